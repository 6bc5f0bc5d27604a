//! Counters in memory.

/// Placeholder.
#[derive(Debug)]
pub struct MemoryStore;
