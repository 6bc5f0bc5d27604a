//! A reservation on its way to whoever asked for it.

use std::sync::Arc;

use super::{op::Op, shared::Shared};
use crate::store::contract::Reservation;

/// Booked and committed, but not taken yet: dropped, it is given back.
#[derive(Debug)]
pub(super) struct Unclaimed {
    /// None once it was taken.
    reservation: Option<Reservation>,
    shared: Arc<Shared>,
}

impl Unclaimed {
    pub(super) fn new(reservation: Reservation, shared: &Arc<Shared>) -> Self {
        Self { reservation: Some(reservation), shared: Arc::clone(shared) }
    }

    pub(super) fn claim(mut self) -> Option<Reservation> {
        self.reservation.take()
    }
}

impl Drop for Unclaimed {
    fn drop(&mut self) {
        if let Some(reservation) = self.reservation.take() {
            let fall = self.shared.expect_fall();
            self.shared.queue.push(Op::Release { id: reservation.key, at: 0, _fall: fall });
            self.shared.end(reservation.key);
        }
    }
}
