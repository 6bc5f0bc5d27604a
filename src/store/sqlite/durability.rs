//! What a commit survives.

/// What a commit to a file survives.
///
/// For an example see [`SqliteStoreBuilder`](super::SqliteStoreBuilder).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// The end of the process, however sudden; the default. When the machine loses
    /// power, the last moments are lost, and the file stays whole.
    #[default]
    Process,
    /// Loss of power as well: each commit waits for the disk, and as many calls as
    /// possible share one.
    Power,
}
