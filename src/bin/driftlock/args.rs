//! What the command line may say.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum, builder::PossibleValuesParser};
use driftlock::report::{Format, Key, Tolerance};

use crate::when::{Before, During, Length, Since, Until};

const EXAMPLES: &str = "\
Examples:
  export DRIFTLOCK_DB=/var/lib/app/driftlock.db
  driftlock stats --since 7d
  driftlock budgets
  driftlock raise user=u-17 50 --for 7d --reason 'launch week'
  driftlock export --since 2026-11-01 > november.csv

A KEY names a counter: SCOPE[@WINDOW][#calls], as `driftlock budgets` prints it.
  workspace                     what all calls cost this month
  user=u-17                     what one user's calls cost this month
  team=search@day/Europe/Berlin a team's day, from midnight to midnight in Berlin
  user=u-17@60s#calls           how many calls a user made in 60 seconds
  user=%28none%29               what calls without a user, (none), cost this month
In a label's value, % and two hexadecimal digits stand for a byte; @ has to be written
as %40, # as %23 and % as %25: user=ann%40example.com.

Exit codes: 0 fine, 1 an error, a failed check or an invoice that is off by more than
--tolerance, 2 a command line that makes no sense.";

/// What LLM calls cost, by whom, and what is left of their budgets
#[derive(Debug, Parser)]
#[command(name = "driftlock", version, after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The file of the service's SqliteStore
    #[arg(long, value_name = "FILE", env = "DRIFTLOCK_DB", global = true)]
    pub(crate) db: Option<PathBuf>,
    /// JSON for programs instead of tables, also of errors
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Only this workspace, where the file has several; not for backup, check and prune
    #[arg(long, value_name = "NAME", global = true)]
    pub(crate) workspace: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Spend in all, by day and by model, and what was denied; by whole days of UTC
    Stats {
        #[command(flatten)]
        during: During,
    },
    /// What is left of budgets: money first, of the workspace, then what is most used up
    Budgets {
        /// Only this one
        #[arg(conflicts_with = "label")]
        key: Option<Key>,
        /// Only those of a label's values, like user or team
        #[arg(long, value_name = "LABEL")]
        label: Option<String>,
        /// How many at most
        #[arg(short = 'n', long, default_value_t = 50, value_name = "N")]
        most: usize,
    },
    /// Who spent most, by whole days of UTC
    TopUsers {
        #[command(flatten)]
        during: During,
        /// By another label that calls are counted by
        #[arg(long, default_value = "user", value_name = "LABEL")]
        label: String,
        /// How many at most
        #[arg(short = 'n', long, default_value_t = 10, value_name = "N")]
        most: usize,
    },
    /// Spend by model, by whole days of UTC
    Models {
        #[command(flatten)]
        during: During,
    },
    /// How certain the money is: what was reported, what estimated; reads every call
    Outcomes {
        #[command(flatten)]
        during: During,
    },
    /// Where spending leads, and when budgets will be gone
    Forecast {
        /// Looks at so many days, today included
        #[arg(long, default_value_t = 7, value_name = "N")]
        days: u32,
        /// How many budgets at most
        #[arg(short = 'n', long, default_value_t = 20, value_name = "N")]
        most: usize,
    },
    /// The last calls, denied ones among them
    Recent(Recent),
    /// Every call, one by one, to standard output
    Export {
        /// Since when: 7d is so many days with today, 24h so long ago, 2026-11-01; all unless said
        #[arg(long, value_name = "SPAN")]
        since: Option<Since>,
        #[command(flatten)]
        until: Until,
        /// How; csv, or with --json jsonl, unless said
        #[arg(long, value_enum)]
        format: Option<ExportFormat>,
    },
    /// What was changed by hand: adjustments and raises, the latest first
    Changes {
        /// How many at most
        #[arg(short = 'n', long, default_value_t = 20, value_name = "N")]
        most: usize,
    },
    /// Takes away what is settled on a budget; what calls in flight hold stays
    Reset {
        /// Which budget, as `driftlock budgets` prints it: user=u-17, workspace@day
        key: Key,
        /// Why, for whoever audits it
        #[arg(long, default_value = "reset by hand", value_name = "TEXT")]
        reason: String,
    },
    /// Raises the limits on a budget for a while, instead of any raise before; 0 ends that
    Raise(Raise),
    /// Adds an opening balance: what was spent before driftlock counted
    Seed {
        /// Which budget, as `driftlock budgets` prints it: user=u-17, workspace@day
        key: Key,
        /// How much: dollars, or calls if the key ends in #calls
        #[arg(allow_negative_numbers = true)]
        amount: String,
        /// For somebody who has not called yet
        #[arg(long)]
        new: bool,
        /// Why, for whoever audits it
        #[arg(long, default_value = "opening balance", value_name = "TEXT")]
        reason: String,
    },
    /// Adds everything up again, of all workspaces: counters, days, and the file itself
    Check,
    /// Copies the file as it is now, also while the service runs
    ///
    /// A copy of the .db file alone lacks what is still in its -wal. Services that
    /// are to go on from a copy open it as they would open the original.
    Backup {
        /// Where to; no such file may be there
        file: PathBuf,
    },
    /// Compares what was recorded with an invoice, by day or month and model
    Reconcile(Reconcile),
    /// Deletes old calls of all workspaces from the ledger; counters and sums by day stay
    Prune {
        /// Calls decided before this date, 00:00 UTC, or time; 30d keeps so many days with today
        #[arg(long, value_name = "DATE|DAYS")]
        before: Before,
    },
}

impl Command {
    /// Whether it is about the file, whatever workspaces are in it.
    pub(crate) fn is_of_the_file(&self) -> bool {
        matches!(self, Self::Backup { .. } | Self::Check | Self::Prune { .. })
    }
}

/// As the ledger has them.
const OUTCOMES: [&str; 11] = [
    "actual",
    "estimated",
    "abandoned",
    "ambiguous",
    "refused",
    "not_sent",
    "expired",
    "unmetered",
    "unreadable",
    "open",
    "denied",
];

#[derive(Debug, clap::Args)]
pub(crate) struct Recent {
    /// How many
    #[arg(short = 'n', long, default_value_t = 20, value_name = "N")]
    pub(crate) most: usize,
    /// Only this user's; '(none)' are those without one
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// Only those with this label; several have to be there all
    #[arg(long, value_name = "NAME=VALUE", value_parser = label)]
    pub(crate) label: Vec<(String, String)>,
    /// Only those that ended like this
    #[arg(long, value_name = "OUTCOME", value_parser = PossibleValuesParser::new(OUTCOMES))]
    pub(crate) outcome: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Raise {
    /// Which budget, as `driftlock budgets` prints it: user=u-17, workspace@day
    pub(crate) key: Key,
    /// By how much: dollars, or calls if the key ends in #calls. It takes the place of the
    /// raise before and does not add to it
    #[arg(allow_negative_numbers = true)]
    pub(crate) amount: String,
    #[command(flatten)]
    pub(crate) until: Until,
    /// For so long from now: 24h, 7d
    #[arg(long = "for", value_name = "LENGTH", conflicts_with = "until")]
    pub(crate) length: Option<Length>,
    /// For somebody who has not called yet
    #[arg(long)]
    pub(crate) new: bool,
    /// Why, for whoever audits it
    #[arg(long, default_value = "raised by hand", value_name = "TEXT")]
    pub(crate) reason: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Reconcile {
    /// A CSV file with a line of names, as by hand, or as OpenAI's and Anthropic's consoles
    /// export costs; separated by commas, semicolons or tabs; `-` reads standard input
    pub(crate) invoice: PathBuf,
    /// Only what was recorded of this provider, like openai; slower, for it reads every call
    #[arg(long, value_name = "NAME")]
    pub(crate) provider: Option<String>,
    /// Exit code 1 if the difference in all is larger: 1% of what was recorded, or 5.00 dollars
    #[arg(long, value_name = "SHARE|AMOUNT")]
    pub(crate) tolerance: Option<Tolerance>,
    /// The column of days (2026-11-22, a time, unix seconds) or months (2026-11), if not day,
    /// date, usage_date_utc, start_time_iso or start_time
    #[arg(long, value_name = "COLUMN")]
    pub(crate) day_column: Option<String>,
    /// The column of models, if not model or line_item
    #[arg(long, value_name = "COLUMN")]
    pub(crate) model_column: Option<String>,
    /// The column of dollars, if not cost, amount, usd, billed, amount_usd, cost_usd or
    /// amount_value
    #[arg(long, value_name = "COLUMN")]
    pub(crate) cost_column: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ExportFormat {
    Csv,
    Jsonl,
}

impl From<ExportFormat> for Format {
    fn from(format: ExportFormat) -> Self {
        match format {
            ExportFormat::Csv => Self::Csv,
            ExportFormat::Jsonl => Self::JsonLines,
        }
    }
}

fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE, like team=search")?;
    Ok((name.to_owned(), value.to_owned()))
}
