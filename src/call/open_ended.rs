//! What follows from the reason for which an input is open-ended.

use super::Call;

/// Tools that run on the provider's side.
pub(crate) const SERVER_TOOLS: &str = "server tools";

/// What is only read, and makes the provider search for nothing.
const ONLY_READ: [&str; 9] = [
    "compaction",
    "data sources",
    "file ids",
    "linked media",
    "predicted output",
    "prompt embeddings",
    "reasoning mode",
    "stored conversation",
    "stored items",
];

impl Call {
    /// Whether the provider may search on its own, and bill that apart.
    #[inline]
    pub(crate) fn may_search(&self) -> bool {
        self.open_ended.is_some_and(|why| !ONLY_READ.contains(&why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{Operation, Provider};

    #[test]
    fn only_what_runs_tools_may_search() {
        let call = || Call::new(Provider::OPENAI, Operation::Chat, "gpt-4o");
        assert!(!call().may_search());
        assert!(!call().with_open_ended("stored conversation").may_search());
        assert!(call().with_open_ended(SERVER_TOOLS).may_search());
        assert!(call().with_open_ended("anything else").may_search());
    }
}
