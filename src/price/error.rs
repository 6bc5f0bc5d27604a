//! Overlays that make no sense.

use std::fmt;

use smol_str::SmolStr;

/// Why an [`Overlay`](crate::Overlay) cannot be built.
///
/// For an example see [`Overlay`](crate::Overlay).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PriceError {
    /// A model or alias has no name.
    EmptyName,
    /// A rate is above $1 a token or $1,000 a request or search.
    TooDear {
        /// The model.
        model: SmolStr,
    },
    /// A discount is above 100 percent.
    Discount {
        /// The discount.
        percent: u8,
    },
    /// An alias leads to a model that neither the book nor the overlay has.
    UnknownTarget {
        /// The alias.
        alias: SmolStr,
        /// Where it leads in the end.
        target: SmolStr,
    },
    /// An alias leads back to itself.
    Circle {
        /// The alias.
        alias: SmolStr,
    },
}

impl fmt::Display for PriceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyName => f.write_str("a model or alias has an empty name"),
            Self::TooDear { model } => write!(
                f,
                "`{model}` has a rate above $1 a token or $1,000 a request; \
                 rates are dollars per million tokens"
            ),
            Self::Discount { percent } => write!(f, "a discount of {percent} % is above 100 %"),
            Self::UnknownTarget { alias, target } => {
                write!(f, "the alias `{alias}` leads to `{target}`, which has no price")
            }
            Self::Circle { alias } => write!(f, "the alias `{alias}` leads back to itself"),
        }
    }
}

impl std::error::Error for PriceError {}
