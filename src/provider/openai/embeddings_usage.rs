//! Usage as OpenAI's embeddings tell it: what was read, since nothing is written.

use super::totals;
use crate::{
    extract::{Counts, Finds, Found, Key},
    provider::{
        list::List,
        observe::{Dialect, EventKind, Memory, Observed},
    },
    usage::Usage,
};

/// Of embeddings, which are never streamed.
pub(in crate::provider) static DIALECT: Dialect =
    Dialect { keys: &KEYS, starts_as: List::Single, end_marker: b"", read };

const USAGE: usize = 0;
const MODEL: usize = 1;

static KEYS: [Key; 2] =
    [Key::counts("usage", USAGE, 64 * 1024, &COUNTS), Key::take("model", MODEL, 1024)];

fn read(found: &Finds<'_>, observed: &mut Observed, _: &mut Memory) -> EventKind {
    observed.tell_model(found.found(MODEL));
    match found.found(USAGE) {
        Found::Absent | Found::Value(b"null") => {}
        Found::Unusable => observed.tell_usage(None),
        Found::Value(_) => match found.counts(USAGE, &COUNTS).as_deref() {
            // an input is never empty: some hosts send zeros because they do not count
            Some([Some(0), ..]) => {}
            told => observed.tell_usage(told.and_then(usage_of)),
        },
    }
    EventKind::Other
}

/// What `usage` has of counts, by their numbers.
static COUNTS: [Key; 3] = [
    Key::count("prompt_tokens", 0),
    Key::count("completion_tokens", 1),
    Key::count("total_tokens", 2),
];

fn usage_of([prompt, completion, total, ..]: &Counts) -> Option<Usage> {
    totals::settled(Usage::tokens((*prompt)?, completion.unwrap_or(0)), *total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::Observer;

    fn told(document: &str) -> Observed {
        let mut observer = Observer::new(&DIALECT);
        observer.feed(document.as_bytes());
        observer.end_document();
        observer.observed().clone()
    }

    #[test]
    fn the_prompt_is_all_there_is() {
        let told = told(
            r#"{"data":[{"embedding":[0.1,-2e3],"usage":{"prompt_tokens":9}}],"model":"m",
            "usage":{"prompt_tokens":31,"total_tokens":31}}"#,
        );
        assert_eq!(told.usage, Some(Usage::tokens(31, 0)));
        assert_eq!((told.model.as_deref(), told.is_final), (Some("m"), true));
    }

    #[test]
    fn a_completion_counts_where_a_host_has_one() {
        let told = told(r#"{"usage":{"prompt_tokens":31,"completion_tokens":2}}"#);
        assert_eq!(told.usage, Some(Usage::tokens(31, 2)));
    }

    #[test]
    fn zeros_say_nothing_and_nonsense_is_flagged() {
        assert_eq!(told(r#"{"usage":{"prompt_tokens":0,"total_tokens":0}}"#).usage, None);
        for nonsense in [
            r#"{"prompt_tokens":31,"total_tokens":30}"#,
            r#"{"prompt_tokens":-1}"#,
            r#"{"prompt_tokens":1.5}"#,
            r#"{"prompt_tokens":1,"prompt_tokens":2}"#,
            r#"{"prompt_tokens":99999999999999}"#,
            "[]",
            "{}",
        ] {
            let told = told(&format!(r#"{{"usage":{nonsense}}}"#));
            assert!(told.contradictory && told.usage.is_none(), "{nonsense}");
        }
    }
}
