//! Bodies of given steps.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use bytes::Bytes;
use driftlock::BoxError;
use http::HeaderMap;
use http_body::{Body, Frame};

/// What one poll of a body gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Data(Bytes),
    Trailers,
    Fail,
    /// Pending, once.
    Wait,
    /// Pending, for ever.
    Hang,
    Panic,
}

impl Step {
    pub fn data(data: impl Into<Bytes>) -> Self {
        Self::Data(data.into())
    }
}

/// A body that follows a script, and then ends.
#[derive(Debug, Default)]
pub struct ScriptedBody {
    steps: VecDeque<Step>,
    /// Whether it says that it has ended as soon as its last step is taken.
    pub admits_end: bool,
    pub log: Arc<Mutex<BodyLog>>,
    ended: bool,
}

/// What a body has given so far.
#[derive(Clone, Debug, Default)]
pub struct BodyLog {
    pub bytes: Vec<u8>,
    pub has_ended: bool,
    pub has_failed: bool,
}

impl ScriptedBody {
    pub fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self { steps: steps.into_iter().collect(), ..Self::default() }
    }

    pub fn admitting_end(mut self) -> Self {
        self.admits_end = true;
        self
    }
}

impl From<Bytes> for ScriptedBody {
    fn from(bytes: Bytes) -> Self {
        Self::new([Step::Data(bytes)])
    }
}

impl Body for ScriptedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        assert!(!self.ended, "a body was polled after its end");
        if self.steps.front() == Some(&Step::Hang) {
            return Poll::Pending;
        }
        match self.steps.pop_front() {
            None => {
                self.ended = true;
                self.log.lock().unwrap().has_ended = true;
                Poll::Ready(None)
            }
            Some(Step::Data(data)) => {
                let mut log = self.log.lock().unwrap();
                log.bytes.extend_from_slice(&data);
                log.has_ended = self.admits_end && self.steps.is_empty();
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            Some(Step::Trailers) => Poll::Ready(Some(Ok(Frame::trailers(HeaderMap::new())))),
            Some(Step::Fail) => {
                self.ended = true;
                self.log.lock().unwrap().has_failed = true;
                Poll::Ready(Some(Err("the connection broke".into())))
            }
            Some(Step::Wait | Step::Hang) => Poll::Pending,
            Some(Step::Panic) => panic!("a body panicked"),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.admits_end && self.steps.is_empty()
    }
}
