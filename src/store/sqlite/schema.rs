//! The tables of the file, by version.

/// "drft": tells driftlock's files from others.
pub(crate) const APPLICATION: i32 = 0x6472_6674;

/// The scripts that make version n out of version n - 1. Released ones are never edited.
pub(crate) const VERSIONS: [&str; 3] =
    [include_str!("v1.sql"), include_str!("v2.sql"), include_str!("v3.sql")];

/// The version this program writes.
pub(crate) const VERSION: i32 = VERSIONS.len() as i32;
