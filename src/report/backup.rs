//! A copy of the file that can be trusted.
//!
//! What was written last is not in the file itself but in the `-wal` beside it, so a copy
//! of the one without the other lacks it, and a copy of both that is not made at one
//! moment may fit nowhere.

use std::{
    fs::{self, OpenOptions},
    io,
    path::Path,
};

use rusqlite::ffi;

use super::{Report, ReportError, report::plainly};

impl Report {
    /// Copies the file, as it is at this moment, to where there is none. Calls go on
    /// meanwhile. The copy has all workspaces, is as small as it can be, may be read by
    /// [`Report`] and opened by a [`SqliteStore`](crate::store::SqliteStore), and has the
    /// permissions of the original. Returns its size in bytes.
    ///
    /// Copying the `.db` file with the means of the system, while a store has it open, loses
    /// what is still in its `-wal`.
    ///
    /// # Errors
    /// [`ReportError::Write`] if there is such a file, or it cannot be written; then nothing
    /// is left of it. [`ReportError`] if the original cannot be read.
    ///
    /// # Example
    /// ```no_run
    /// use driftlock::report::Report;
    ///
    /// let report = Report::open("driftlock.db")?;
    /// report.backup("/backup/driftlock-2026-11-22.db")?;
    /// # Ok::<(), driftlock::report::ReportError>(())
    /// ```
    pub fn backup(&self, to: impl AsRef<Path>) -> Result<u64, ReportError> {
        let to = to.as_ref();
        let named = |error: io::Error| {
            let why = format!("{}: {error}", to.display());
            ReportError::Write(io::Error::new(error.kind(), why))
        };
        let name = plainly(to);
        let name = name.to_str().ok_or_else(|| {
            named(io::Error::new(io::ErrorKind::InvalidInput, "SQLite needs a name in UTF-8"))
        })?;
        // Nobody else can make it in between, and SQLite takes a file that is empty.
        let made = OpenOptions::new().write(true).create_new(true).open(to).map_err(named)?;
        let copied = fs::metadata(self.path())
            .and_then(|original| made.set_permissions(original.permissions()))
            .map_err(named)
            .and_then(|()| {
                let copied = self.db.execute("VACUUM INTO ?1", [name]);
                copied.map_err(|error| match error.sqlite_extended_error_code() {
                    // Only the copy is written.
                    Some(ffi::SQLITE_FULL | ffi::SQLITE_IOERR_WRITE) => {
                        named(io::Error::other(error))
                    }
                    _ => ReportError::of(error),
                })
            })
            .and_then(|_| made.sync_all().map_err(named))
            .and_then(|()| Ok(made.metadata().map_err(named)?.len()));
        if copied.is_err() {
            // Half a copy is worse than none; that it is there is not the error to tell.
            let _ = fs::remove_file(to);
        }
        copied
    }
}
