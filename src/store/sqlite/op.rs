//! What is handed to the writer, in a form that outlives the call it came from.

use smallvec::SmallVec;
use smol_str::SmolStr;
use tokio::sync::oneshot;

use super::{shared::Fall, unclaimed::Unclaimed};
use crate::{
    clock::{Timestamp, saturating_nanos},
    settled::SettledHow,
    store::facts::{Ending, Facts},
    store::{Charge, CounterId, Hold, Limit, Reading, ReserveError, StoreError},
    usage::Usage,
};

/// Where an answer goes.
pub(super) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// One thing for the writer to do.
#[derive(Debug)]
pub(super) enum Op {
    Reserve(Box<OwnedHold>, oneshot::Sender<Result<Unclaimed, ReserveError>>),
    Settle {
        id: u64,
        cost: u64,
        at: u64,
        ended: Option<Box<Ended>>,
        /// Of a call that counts as settled already.
        _fall: Option<Fall>,
    },
    Release {
        id: u64,
        at: u64,
        _fall: Fall,
    },
    Extend {
        id: u64,
        deadline: u64,
    },
    Write(Box<Line>),
    Read {
        counter: CounterId,
        value: SmolStr,
        at: u64,
        reply: Reply<Reading>,
    },
    Change(Box<Change>, Reply<Reading>),
    /// Looks whether somebody else has written.
    Look,
    /// Gives a counter a number in the file.
    Know(CounterId),
    /// Deletes old calls from the ledger; `done` counts those that were.
    Prune {
        before: u64,
        done: u64,
        reply: Option<Reply<u64>>,
    },
    Flush(Reply<()>),
}

/// A [`Hold`].
#[derive(Debug)]
pub(super) struct OwnedHold {
    pub(super) values: SmallVec<[SmolStr; 4]>,
    pub(super) charges: SmallVec<[Charge; 8]>,
    pub(super) cost: u64,
    pub(super) limits: SmallVec<[Limit; 8]>,
    pub(super) at: u64,
    pub(super) lasts: u64,
    pub(super) call: Option<OwnedFacts>,
}

impl OwnedHold {
    pub(super) fn new(hold: &Hold<'_>) -> Self {
        Self {
            values: hold.values.iter().map(SmolStr::new).collect(),
            charges: SmallVec::from_slice(hold.charges),
            cost: hold.cost.as_nanos(),
            limits: SmallVec::from_slice(hold.limits),
            at: hold.at.as_nanos(),
            lasts: saturating_nanos(hold.deadline.since(hold.at)),
            call: hold.call.map(OwnedFacts::new),
        }
    }
}

/// [`Facts`].
#[derive(Debug)]
pub(super) struct OwnedFacts {
    pub(super) workspace: SmolStr,
    pub(super) provider: SmolStr,
    pub(super) operation: SmolStr,
    pub(super) requested_model: SmolStr,
    pub(super) model: SmolStr,
    /// A JSON object, where there are any.
    pub(super) labels: Option<String>,
    pub(super) prices: SmolStr,
    pub(super) rule: Option<SmolStr>,
}

impl OwnedFacts {
    pub(super) fn new(facts: &Facts<'_>) -> Self {
        let labels = (!facts.labels.is_empty()).then(|| serde_json::to_string(facts.labels));
        Self {
            workspace: facts.workspace.into(),
            provider: facts.provider.into(),
            operation: facts.operation.into(),
            requested_model: facts.requested_model.into(),
            model: facts.model.into(),
            labels: labels.and_then(Result::ok),
            prices: facts.prices.into(),
            rule: facts.would_deny.map(SmolStr::new),
        }
    }
}

/// An [`Ending`].
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) how: SettledHow,
    pub(super) model: Option<SmolStr>,
    pub(super) usage: Option<Usage>,
}

impl Ended {
    pub(super) fn new(ending: &Ending<'_>) -> Self {
        let model = ending.model.map(SmolStr::new);
        Self { how: ending.how, model, usage: ending.usage.copied() }
    }
}

/// A call that was not counted: a rule denied it, or it was sent while the file was away.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) facts: OwnedFacts,
    /// Nothing if it was sent.
    pub(super) denied_by: Option<SmolStr>,
    pub(super) estimate: u64,
    pub(super) at: u64,
}

/// A change by hand of one counter of one scope.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) counter: CounterId,
    pub(super) value: SmolStr,
    pub(super) what: What,
    pub(super) reason: String,
    pub(super) at: u64,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    /// Adds to what is settled, or takes from it.
    Add(i64),
    /// Takes away all that is settled.
    Reset,
    /// Raises every limit by so much, until then.
    Raise { by: u64, until: u64 },
}

impl Op {
    /// Whether somebody waits for it; else it must not be lost.
    pub(super) fn is_asked(&self) -> bool {
        match self {
            Self::Reserve(..) | Self::Read { .. } | Self::Change(..) => true,
            Self::Prune { .. } | Self::Flush(_) => true,
            Self::Settle { .. } | Self::Release { .. } | Self::Extend { .. } => false,
            Self::Write(_) | Self::Look | Self::Know(_) => false,
        }
    }

    /// Tells whoever waits that nothing was done.
    pub(super) fn refuse(self, error: &StoreError) {
        // Nobody is told who went away.
        match self {
            Self::Reserve(_, reply) => {
                let _ = reply.send(Err(ReserveError::Unavailable(error.clone())));
            }
            Self::Read { reply, .. } | Self::Change(_, reply) => {
                let _ = reply.send(Err(error.clone()));
            }
            Self::Prune { reply, .. } => {
                let _ = reply.map(|reply| reply.send(Err(error.clone())));
            }
            Self::Flush(reply) => {
                let _ = reply.send(Err(error.clone()));
            }
            Self::Settle { .. } | Self::Release { .. } | Self::Extend { .. } => {}
            Self::Write(_) | Self::Look | Self::Know(_) => {}
        }
    }
}

/// A time at which "for ever" has not come yet.
pub(super) fn before_the_end(time: u64) -> u64 {
    time.min(Timestamp::MAX.as_nanos() - 1)
}
