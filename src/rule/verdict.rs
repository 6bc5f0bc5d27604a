//! What a rule says about a call.

use smol_str::SmolStr;

use crate::{claim::Claim, denial::Deny};

/// What a rule says about a call.
///
/// # Example
/// ```
/// use driftlock::{Deny, Verdict};
///
/// fn small_hours(hour: u8) -> Verdict {
///     if hour < 5 { Deny::new("asleep").into() } else { Verdict::Allow }
/// }
/// # let _ = small_hours(3);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Verdict {
    /// Nothing against it.
    Allow,
    /// No; later rules are not asked.
    Deny(Deny),
    /// Use this model instead. The call is priced again and later rules see it.
    Rewrite(SmolStr),
    /// Admit only if all of these have room, together with what other rules claim.
    Claim(Vec<Claim>),
}

impl Verdict {
    /// Use this model instead.
    pub fn rewrite(model: impl Into<SmolStr>) -> Self {
        Self::Rewrite(model.into())
    }
}

impl From<Deny> for Verdict {
    fn from(deny: Deny) -> Self {
        Self::Deny(deny)
    }
}

impl From<Claim> for Verdict {
    fn from(claim: Claim) -> Self {
        Self::Claim(vec![claim])
    }
}

impl From<Vec<Claim>> for Verdict {
    fn from(claims: Vec<Claim>) -> Self {
        Self::Claim(claims)
    }
}

/// `None` allows, so that a closure may end in `condition.then(|| Deny::new(…))`.
impl From<Option<Deny>> for Verdict {
    fn from(deny: Option<Deny>) -> Self {
        deny.map_or(Self::Allow, Self::Deny)
    }
}
