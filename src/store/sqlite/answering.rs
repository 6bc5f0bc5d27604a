//! Answers that are true once a transaction has happened.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::{op::Reply, shared::Shared, unclaimed::Unclaimed};
use crate::store::{Reading, Refusal, Reservation, ReserveError, StoreError};

type ReserveReply = oneshot::Sender<Result<Unclaimed, ReserveError>>;

/// An answer that is true once the transaction has happened.
pub(super) enum Answer {
    Booked(ReserveReply, u64, u64),
    Refused(ReserveReply, Refusal),
    Senseless(ReserveReply, StoreError),
    Read(Reply<Reading>, Result<Reading, StoreError>),
    Flushed(Reply<()>),
    Pruned(Option<Reply<u64>>, u64),
}

impl Answer {
    /// Tells whoever waits. Nobody is told who went away; a reservation nobody takes is
    /// given back.
    pub(super) fn send(self, shared: &Arc<Shared>) {
        match self {
            Self::Booked(reply, id, deadline) => {
                let reservation = Reservation { key: id, tag: shared.identity };
                shared.begin(id, deadline);
                let _ = reply.send(Ok(Unclaimed::new(reservation, shared)));
            }
            Self::Refused(reply, refusal) => {
                let _ = reply.send(Err(ReserveError::Refused(refusal)));
            }
            Self::Senseless(reply, error) => {
                let _ = reply.send(Err(ReserveError::Unavailable(error)));
            }
            Self::Read(reply, reading) => {
                let _ = reply.send(reading);
            }
            Self::Flushed(reply) => {
                let _ = reply.send(Ok(()));
            }
            Self::Pruned(reply, pruned) => {
                let _ = reply.map(|reply| reply.send(Ok(pruned)));
            }
        }
    }

    /// Tells whoever waits that it did not happen.
    pub(super) fn refuse(self, error: &StoreError) {
        match self {
            Self::Booked(reply, ..) | Self::Refused(reply, _) | Self::Senseless(reply, _) => {
                let _ = reply.send(Err(ReserveError::Unavailable(error.clone())));
            }
            Self::Read(reply, _) => {
                let _ = reply.send(Err(error.clone()));
            }
            Self::Flushed(reply) => {
                let _ = reply.send(Err(error.clone()));
            }
            Self::Pruned(reply, _) => {
                let _ = reply.map(|reply| reply.send(Err(error.clone())));
            }
        }
    }
}
