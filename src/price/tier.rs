//! What, besides the model, decides which of its rates applies.
//!
//! Providers name these things freely and add names without notice. A name that
//! is not known stands for the dearest rate, so that a new service tier can make
//! a recorded cost too high, never too low.

/// The service tier a provider says it used.
///
/// # Example
/// ```
/// use driftlock::Tier;
///
/// assert_eq!(Tier::named("flex"), Tier::Flex);
/// assert_eq!(Tier::named("standard"), Tier::Default);
/// assert_eq!(Tier::named("warp"), Tier::Unknown);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Tier {
    /// The list price. A response that names no tier is this one.
    #[default]
    Default,
    /// Many requests handed in together, answered within a day.
    Batch,
    /// Cheaper and slower.
    Flex,
    /// Capacity paid in advance; its tokens are counted at the list price.
    Scale,
    /// Dearer, with priority.
    Priority,
    /// Dearer, with faster output: OpenAI's tier and Anthropic's `speed`.
    Fast,
    /// A name that is not known; costs what the model's dearest tier costs.
    Unknown,
}

impl Tier {
    /// The tier of this name, as providers write it. `auto` in a response says
    /// nothing about the price, so it is [`Tier::Unknown`].
    pub fn named(name: &str) -> Self {
        match name {
            "default" | "standard" | "standard_only" | "on_demand" => Self::Default,
            "batch" => Self::Batch,
            "flex" => Self::Flex,
            "scale" | "reserved" => Self::Scale,
            "priority" => Self::Priority,
            "fast" => Self::Fast,
            _ => Self::Unknown,
        }
    }

    /// Tiers a provider may move any request down to.
    pub(super) fn is_discount(self) -> bool {
        matches!(self, Self::Default | Self::Batch | Self::Flex | Self::Scale)
    }
}

/// Where a provider says it ran the model.
///
/// For an example see [`Asked`](crate::Asked).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Region {
    /// Anywhere. A response that names no region is this one.
    #[default]
    Global,
    /// In one region only, which some models charge extra for.
    Regional,
}

impl Region {
    /// The region of this name, as in Anthropic's `inference_geo`. A name that is
    /// not known is [`Region::Regional`], the dearer one.
    pub fn named(name: &str) -> Self {
        match name {
            "global" | "not_available" | "" => Self::Global,
            _ => Self::Regional,
        }
    }
}

/// What a request asks for, as far as it moves the price.
///
/// An account can be set up so that a request which names no tier or region gets
/// a dear one. A request does not show that: where an account is set up so, pass
/// `tier: Some("auto")` or the region for every call.
///
/// # Example
/// ```
/// use driftlock::{Asked, Price, Usd};
///
/// let price = Price::per_mtok(Usd::dollars(1), Usd::dollars(4))
///     .audio(Usd::dollars(10), Usd::dollars(20));
/// let plain = price.ceiling(1_000, 0, &Asked::default());
/// let spoken = price.ceiling(1_000, 0, &Asked { media: true, ..Asked::default() });
/// assert_eq!((plain, spoken), (Usd::nanos(1_000_000), Usd::nanos(10_000_000)));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked<'a> {
    /// The service tier named in the request. Default none: the list price.
    /// `auto` and unknown names are reserved at the dearest tier they can mean.
    pub tier: Option<&'a str>,
    /// The region named in the request. Default none: [`Region::Global`].
    pub region: Option<&'a str>,
    /// Whether audio, images or documents go in or come out. Default no.
    pub media: bool,
    /// The most web searches the provider may run and bill. Default 0.
    pub web_searches: u64,
}

impl Asked<'_> {
    /// Whether a request like this can be billed at `tier`.
    ///
    /// Every request may end on the list price or a discount. `auto` may be
    /// raised to priority; the fast tier has to be asked for by name.
    pub(super) fn permits(&self, tier: Tier) -> bool {
        match self.tier {
            None => tier.is_discount(),
            Some("auto") => tier != Tier::Fast,
            Some(name) => match Tier::named(name) {
                Tier::Unknown => true,
                asked => tier == asked || tier.is_discount(),
            },
        }
    }

    pub(super) fn region(&self) -> Region {
        self.region.map_or(Region::Global, Region::named)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_request_that_says_so_can_be_raised_to_a_dearer_tier() {
        let permits = |name, tier| Asked { tier: name, ..Asked::default() }.permits(tier);
        assert!(!permits(None, Tier::Priority));
        assert!(!permits(Some("flex"), Tier::Priority));
        assert!(permits(Some("flex"), Tier::Default));
        assert!(permits(Some("auto"), Tier::Priority));
        assert!(!permits(Some("auto"), Tier::Fast));
        assert!(permits(Some("warp"), Tier::Fast));
    }

    #[test]
    fn an_unknown_region_is_the_dearer_one() {
        assert_eq!(Region::named("us"), Region::Regional);
        assert_eq!(Region::named("mars"), Region::Regional);
        assert_eq!(Region::named("global"), Region::Global);
    }
}
