//! The command `driftlock`: what was spent, by whom, what is left, and how to put a
//! counter right.
//!
//! Reports are read beside the running service. Changes go through the same store that
//! the service uses, so it sees them at once, and each is written down with its reason.
#![warn(clippy::unwrap_used, clippy::expect_used)]

mod args;
mod bars;
mod change;
mod failure;
mod print;
mod prove;
mod show;
mod table;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::{CommandFactory, Parser, error::ErrorKind};

use args::{Args, Command};
use driftlock::report::Report;
use failure::Failure;

fn main() -> ExitCode {
    let args = Args::parse();
    let mut out = io::BufWriter::new(io::stdout().lock());
    let done = run(&args, &mut out).and_then(|code| Ok(out.flush().map(|()| code)?));
    match done {
        Ok(code) => code,
        // Whoever reads has seen enough, as `head` does.
        Err(failure) if failure.is_closed_pipe() => ExitCode::SUCCESS,
        Err(Failure::Usage(message)) => {
            let error = Args::command().error(ErrorKind::ValueValidation, message);
            // Nothing is left to be told if this cannot be.
            let _ = error.print();
            ExitCode::from(2)
        }
        Err(failure) => {
            let _ = writeln!(io::stderr(), "driftlock: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let Some(path) = &args.db else {
        let message = "which file? say --db FILE, or set DRIFTLOCK_DB";
        return Err(Failure::Usage(message.into()));
    };
    if args.workspace.is_some() && args.command.is_of_the_file() {
        let message = "this is done to the whole file, all its workspaces: leave --workspace out";
        return Err(Failure::Usage(message.into()));
    }
    let report = Report::open(path)?;
    let report = match &args.workspace {
        Some(name) => report.workspace(name)?,
        None => report,
    };
    let mut to = print::To { out, is_json: args.json };
    match &args.command {
        Command::Stats { since } => show::stats(&report, *since, &mut to)?,
        Command::Budgets { key, most } => show::budgets(&report, key.as_ref(), *most, &mut to)?,
        Command::TopUsers { since, label, most } => {
            show::top_users(&report, label, *since, *most, &mut to)?;
        }
        Command::Models { since } => show::models(&report, *since, &mut to)?,
        Command::Forecast { days, most } => show::forecast(&report, *days, *most, &mut to)?,
        Command::Recent { most } => show::recent(&report, *most, &mut to)?,
        Command::Export { since, until, format } => {
            show::export(&report, *since, *until, *format, &mut to)?;
        }
        Command::Check => return prove::check(&report, &mut to),
        Command::Reconcile(asked) => return prove::reconcile(&report, asked, &mut to),
        Command::Reset { key, reason } => change::reset(&report, key, reason, &mut to)?,
        Command::Raise { key, amount, until, new, reason } => {
            change::raise(&report, key, amount, *until, *new, reason, &mut to)?;
        }
        Command::Seed { key, amount, new, reason } => {
            change::seed(&report, key, amount, *new, reason, &mut to)?;
        }
        Command::Backup { file } => prove::backup(&report, file, &mut to)?,
        Command::Prune { before } => change::prune(&report, *before, &mut to)?,
    }
    Ok(ExitCode::SUCCESS)
}
