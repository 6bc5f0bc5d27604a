//! The command `driftlock`, run as a person or a program would.
#![allow(dead_code, unreachable_pub)] // each test uses a part of it
#![allow(clippy::unwrap_used)] // tests

use std::{
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;

pub fn command(db: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_driftlock"));
    command.env_remove("COLUMNS").env("DRIFTLOCK_DB", db);
    command
}

/// Runs it for `prod`, unless it is about the whole file.
pub fn run(db: &Path, args: &[&str]) -> (i32, String, String) {
    let mut command = command(db);
    if !["backup", "check", "prune"].contains(&args[0]) {
        command.args(["--workspace", "prod"]);
    }
    let Output { status, stdout, stderr } = command.args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// What a command says that succeeds.
pub fn said(db: &Path, args: &[&str]) -> String {
    let (code, stdout, stderr) = run(db, args);
    assert_eq!((code, stderr.as_str()), (0, ""), "{args:?}: {stdout}");
    stdout
}

pub fn json(db: &Path, args: &[&str]) -> Value {
    let mut args = args.to_vec();
    args.push("--json");
    serde_json::from_str(&said(db, &args)).unwrap()
}

/// The row of a table that has a cell.
pub fn row(table: &str, cell: &str) -> Vec<String> {
    let cells = |line: &str| -> Vec<String> {
        line.split(['│', '┆'])
            .map(|cell| cell.trim().to_owned())
            .filter(|cell| !cell.is_empty())
            .collect()
    };
    let mut rows = table.lines().map(cells);
    rows.find(|row| row.iter().any(|known| known == cell))
        .unwrap_or_else(|| panic!("no {cell} in {table}"))
}
