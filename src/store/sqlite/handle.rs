//! What all handles of one store share, and the end of the last one.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
};

use super::{front::Front, shared::Shared};

/// The last one of them ends the writer.
pub(super) struct Handle {
    pub(super) shared: Arc<Shared>,
    pub(super) front: Arc<Front>,
    pub(super) place: PathBuf,
    pub(super) writer: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.queue.close();
        let writer = self.writer.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        // The last handle may go away in the writer, in a waker that it calls. It will come to
        // its end when it is back from there.
        let is_elsewhere = |writer: &JoinHandle<()>| writer.thread().id() != thread::current().id();
        if let Some(writer) = writer.filter(is_elsewhere) {
            // It writes down what it was handed. If it has panicked, that is told already.
            let _ = writer.join();
        }
    }
}
