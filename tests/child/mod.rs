//! A test that runs as a process of its own, to be killed or to share a file.
//!
//! A test's program starts itself again, with the name of the one test that is the
//! child's part. Without a parent that part does nothing.
#![allow(dead_code)] // not every test uses all of it

use std::{
    env,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    thread::{self, JoinHandle},
};

const FILE: &str = "DRIFTLOCK_TEST_FILE";
const TASK: &str = "DRIFTLOCK_TEST_TASK";
/// What the child says is behind this; the rest is of the test harness.
const MARK: &str = "@ ";

/// Starts the child's part of a test, with a file and a task.
pub(crate) fn start(part: &str, file: &Path, task: &str) -> Child {
    Command::new(env::current_exe().unwrap())
        .args([part, "--exact", "--nocapture", "--test-threads=1"])
        .env(FILE, file)
        .env(TASK, task)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// In the child: the file and the task.
pub(crate) fn told() -> Option<(PathBuf, String)> {
    Some((env::var_os(FILE)?.into(), env::var(TASK).ok()?))
}

/// In the child: a line to the parent, in one write.
pub(crate) fn say(line: impl AsRef<str>) {
    println!("{MARK}{}", line.as_ref());
}

/// In the parent: the whole lines that the child says until its end.
pub(crate) fn hear(child: &mut Child) -> JoinHandle<Vec<String>> {
    let out = child.stdout.take().unwrap();
    thread::spawn(move || lines(out).collect())
}

/// The whole lines, one by one: what is cut off by a kill is left out.
pub(crate) fn lines(out: ChildStdout) -> impl Iterator<Item = String> {
    let mut out = BufReader::new(out);
    std::iter::from_fn(move || {
        loop {
            let mut line = String::new();
            out.read_line(&mut line).ok()?;
            let line = line.strip_suffix('\n')?;
            // The harness leaves the name of the test before the first.
            if let Some((_, said)) = line.split_once(MARK) {
                return Some(said.to_owned());
            }
        }
    })
}

/// Ends well or tells why not.
pub(crate) fn ended_well(child: Child) {
    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {error}", output.status);
}

/// Numbers that look random, the same at every run of the test.
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % most
    }
}
