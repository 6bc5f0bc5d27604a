//! The command `driftlock`: what was spent, by whom, what is left, and how to put a
//! counter right.
//!
//! Reports are read beside the running service. Changes go through the same store that
//! the service uses, so it sees them at once, and each is written down with its reason.
#![warn(clippy::unwrap_used, clippy::expect_used)]

mod args;
mod bars;
mod calls;
mod change;
mod failure;
mod left;
mod print;
mod prove;
mod show;
mod table;
mod when;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::{CommandFactory, Parser, error::ErrorKind};

use args::{Args, Command};
use driftlock::report::Report;
use failure::Failure;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return refuse(&error, std::env::args_os().any(|arg| arg == "--json")),
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    let done = run(&args, &mut out).and_then(|code| Ok(out.flush().map(|()| code)?));
    match done {
        Ok(code) => code,
        // Whoever reads has seen enough, as `head` does.
        Err(failure) if failure.is_closed_pipe() => ExitCode::SUCCESS,
        Err(Failure::Usage(message)) => {
            refuse(&Args::command().error(ErrorKind::ValueValidation, message), args.json)
        }
        Err(failure) if args.json => {
            tell(&failure);
            ExitCode::FAILURE
        }
        Err(failure) => {
            let _ = writeln!(io::stderr(), "driftlock: {}", print::tame(&failure.to_string()));
            ExitCode::FAILURE
        }
    }
}

/// What a command line that makes no sense, or asks for help, is answered with.
fn refuse(error: &clap::Error, is_json: bool) -> ExitCode {
    if is_json && error.use_stderr() {
        let text = error.render().to_string();
        // Behind an empty line comes how it is used, which is for people.
        let what = text.split("\n\n").next().unwrap_or_default();
        tell(&what.trim().trim_start_matches("error: "));
    } else {
        // Nothing is left to be told if this cannot be.
        let _ = error.print();
    }
    ExitCode::from(if error.use_stderr() { 2 } else { 0 })
}

/// An error for programs.
fn tell(error: &dyn std::fmt::Display) {
    let _ = writeln!(io::stderr(), "{}", serde_json::json!({ "error": error.to_string() }));
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
    let has_workspaces = args.workspace.is_none() && report.workspaces()?.len() > 1;
    let mut to = print::To { out, is_json: args.json, has_workspaces };
    match &args.command {
        Command::Stats { during } => show::stats(&report, *during, &mut to)?,
        Command::Budgets { key, label, most } => {
            left::budgets(&report, key.as_ref(), label.as_deref(), *most, &mut to)?;
        }
        Command::TopUsers { during, label, most } => {
            show::top_users(&report, label, *during, *most, &mut to)?;
        }
        Command::Models { during } => show::models(&report, *during, &mut to)?,
        Command::Outcomes { during } => calls::outcomes(&report, *during, &mut to)?,
        Command::Forecast { days, most } => left::forecast(&report, *days, *most, &mut to)?,
        Command::Recent(asked) => calls::recent(&report, asked, &mut to)?,
        Command::Export { since, until, format } => {
            calls::export(&report, *since, *until, *format, &mut to)?;
        }
        Command::Changes { most } => calls::changes(&report, *most, &mut to)?,
        Command::Check => return prove::check(&report, &mut to),
        Command::Backup { file } => prove::backup(&report, file, &mut to)?,
        Command::Reconcile(asked) => return prove::reconcile(&report, asked, &mut to),
        Command::Reset { key, reason } => change::reset(&report, key, reason, &mut to)?,
        Command::Raise(asked) => change::raise(&report, asked, &mut to)?,
        Command::Seed { key, amount, new, reason } => {
            change::seed(&report, key, amount, *new, reason, &mut to)?;
        }
        Command::Prune { before } => change::prune(&report, *before, &mut to)?,
    }
    Ok(ExitCode::SUCCESS)
}
