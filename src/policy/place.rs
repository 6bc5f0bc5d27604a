//! Where it is kept what a permit holds.
//!
//! That is large, and a permit is moved from the decision to the request to the response.
//! So it has a place of its own, in which it is written and read and which it never
//! leaves; what is moved is a pointer. Places are used again: a call takes the last one
//! that its thread was given back, and allocates only if there is none.

use std::cell::RefCell;

use super::held::Held;

/// Something held, or nothing. Its place is given back when this is dropped.
#[derive(Default)]
pub(super) struct Place(Option<Box<Option<Held>>>);

/// A thread keeps no more places than this for its next calls.
const MOST_SPARE: usize = 64;

#[allow(clippy::vec_box)] // the boxes are what is kept
type Spare = Vec<Box<Option<Held>>>;

thread_local! {
    /// Nothing is held in them.
    static SPARE: RefCell<Spare> = const { RefCell::new(Vec::new()) };
}

impl Place {
    /// No place, for who holds nothing.
    pub(super) const NONE: Self = Self(None);

    /// A place in which nothing is held yet.
    #[inline]
    pub(super) fn empty() -> Self {
        // At the end of a thread, its spare ones are gone before the last of its permits.
        let spare = SPARE.try_with(|spare| spare.try_borrow_mut().ok()?.pop());
        Self(Some(spare.ok().flatten().unwrap_or_default()))
    }

    /// Fills the place. Take an [`empty`](Self::empty) one before the thing is made, so
    /// that it is written there at once.
    #[inline(always)]
    pub(super) fn hold(&mut self, held: Held) {
        if let Some(place) = &mut self.0 {
            **place = Some(held);
        }
    }

    #[inline]
    pub(super) fn get(&self) -> Option<&Held> {
        self.0.as_deref()?.as_ref()
    }

    #[inline]
    pub(super) fn get_mut(&mut self) -> Option<&mut Held> {
        self.0.as_deref_mut()?.as_mut()
    }
}

impl Drop for Place {
    #[inline]
    fn drop(&mut self) {
        if let Some(place) = self.0.take() {
            give_back(place);
        }
    }
}

#[inline(never)]
fn give_back(mut place: Box<Option<Held>>) {
    // Before anything is borrowed: it may be the last handle of a policy, whose end may run
    // code of others.
    *place = None;
    let _ = SPARE.try_with(|spare| {
        if let Ok(mut spare) = spare.try_borrow_mut()
            && spare.len() < MOST_SPARE
        {
            spare.push(place);
        }
    });
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, sync::Arc, thread};

    use super::{MOST_SPARE, SPARE};
    use crate::{Call, Operation, Permit, Policy, Provider, policy::Admission};

    fn admit(policy: &Policy) -> Permit {
        let mut call = Call::new(Provider::OPENAI, Operation::Chat, "gpt-4o");
        match policy.admit_now(&mut call) {
            Admission::Now(Ok(permit)) => permit,
            Admission::Now(Err(error)) => panic!("{error}"),
            Admission::Later(_) => panic!("there is nothing to await"),
        }
    }

    fn in_flight(policy: &Policy) -> usize {
        policy.0.store.get().in_flight(policy.0.clock.now())
    }

    fn spare() -> usize {
        SPARE.with_borrow(Vec::len)
    }

    #[test]
    fn a_place_is_used_again_and_holds_nothing_meanwhile() {
        let policy = Policy::builder().build().unwrap();
        let inner = Arc::downgrade(&policy.0);
        drop(admit(&policy));
        assert_eq!(spare(), 1);
        let again = admit(&policy);
        assert_eq!(spare(), 0);
        drop(policy);
        assert!(inner.upgrade().is_some(), "the permit has to settle");
        drop(again);
        assert!(inner.upgrade().is_none());
        assert_eq!(spare(), 1);
    }

    #[test]
    fn a_thread_that_is_given_back_many_places_keeps_some() {
        let policy = Policy::builder().build().unwrap();
        let permits: Vec<_> = (0..2 * MOST_SPARE).map(|_| admit(&policy)).collect();
        let kept = thread::spawn(move || {
            drop(permits);
            spare()
        });
        assert_eq!((kept.join().unwrap(), spare()), (MOST_SPARE, 0));
        assert_eq!(in_flight(&policy), 0);
    }

    #[test]
    fn a_permit_settles_that_is_dropped_at_the_end_of_its_thread() {
        thread_local! {
            static BEFORE: RefCell<Option<Permit>> = const { RefCell::new(None) };
            static AFTER: RefCell<Option<Permit>> = const { RefCell::new(None) };
        }
        let policy = Policy::builder().build().unwrap();
        let mine = policy.clone();
        let thread = thread::spawn(move || {
            // One is there before the thread has places, the other after.
            BEFORE.set(None);
            BEFORE.set(Some(admit(&mine)));
            AFTER.set(Some(admit(&mine)));
            assert_eq!(in_flight(&mine), 2);
        });
        thread.join().unwrap();
        assert_eq!(in_flight(&policy), 0);
    }
}
