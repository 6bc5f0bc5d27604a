//! How one call's money ended.

use serde::Serialize;

use crate::{usage::Usage, usd::Usd};

/// How one call ended.
///
/// # Example
/// ```
/// use driftlock::{Policy, SettledHow};
///
/// let policy = Policy::builder()
///     .on_settled(|settled, receipt| {
///         let user = receipt.labels().user().unwrap_or("nobody");
///         println!("{user} spent {} on {}", settled.cost, receipt.model());
///         if settled.how == SettledHow::Estimated {
///             eprintln!("no usage for a call of about {}", settled.cost);
///         }
///     })
///     .build()?;
/// # Ok::<(), driftlock::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Settled {
    /// What it cost, as charged.
    pub cost: Usd,
    /// What had been reserved for it.
    pub reserved: Usd,
    /// Where the cost comes from.
    pub how: SettledHow,
    /// The usage the provider reported, if any was seen.
    pub usage: Option<Usage>,
}

/// Where a settled cost comes from.
///
/// For an example see [`Settled`](crate::Settled).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SettledHow {
    /// The usage the provider reported at the end.
    Actual,
    /// The estimate, because no usable usage was reported.
    Estimated,
    /// The answer was not read to its end, or was cut off before it.
    Abandoned,
    /// It failed, and it is open whether it was billed.
    Ambiguous,
    /// The provider refused it, which is not billed.
    Refused,
    /// Nothing was sent.
    NotSent,
}

impl SettledHow {
    /// Its name in events, as `actual`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Actual => "actual",
            Self::Estimated => "estimated",
            Self::Abandoned => "abandoned",
            Self::Ambiguous => "ambiguous",
            Self::Refused => "refused",
            Self::NotSent => "not_sent",
        }
    }
}
