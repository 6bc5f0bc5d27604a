//! A response body that tells a [`Meter`] what passes through it.
//!
//! The bytes go on to the caller untouched and as soon as they come; what they say
//! about usage is read on the way. A body can end in five ways (its end, an error,
//! trailers, a last frame after which it says that it has ended, being dropped),
//! and a stream can say that it is complete before any of them. Whichever comes
//! first settles the call, once: callers differ in which of them they wait for.

use std::{
    fmt, mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::{
    meter::Meter,
    policy::Permit,
    provider::{Dialect, Format, Observed, Observer},
    screen::Screen,
    sse::Events,
};

pin_project! {
    /// A response body whose usage is metered as it passes.
    ///
    /// It is the body of every response that a driftlock layer lets through, and
    /// gives the same frames as the body within, except for a usage chunk that the
    /// caller did not ask for. Dropped before its end, it counts as abandoned.
    ///
    /// For an example see [`DriftlockLayer`](crate::DriftlockLayer).
    pub struct MeteredBody<B, M = Permit>
    where
        B: Body,
        M: Meter,
    {
        #[pin]
        inner: B,
        watch: Watch,
        meter: Option<M>,
        ending: Ending<B::Error>,
    }

    impl<B, M> PinnedDrop for MeteredBody<B, M>
    where
        B: Body,
        M: Meter,
    {
        // What has come of an event or document may tell its usage, or be all of it.
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if this.meter.is_some() {
                this.watch.finish(this.meter);
            }
            if let Some(meter) = this.meter.take() {
                meter.abandon(this.watch.told());
            }
        }
    }
}

/// How a response is to be read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mode {
    /// Not at all, as one that is compressed; the meter learns only how it ended.
    Unobserved,
    /// As one JSON document.
    Json(Format),
    /// As a stream of events.
    Sse {
        /// In what the data of the events is written.
        format: Format,
        /// Whether the caller must not see a chunk that only tells usage.
        hide: bool,
    },
}

/// A [`Mode`] at work. What reads is boxed, because it is large and a response is moved
/// a few times on its way to the caller.
#[derive(Debug)]
enum Watch {
    Nothing,
    /// A document before its first frame, which is mostly the only one. It is then read
    /// on the spot.
    Json(&'static Dialect),
    /// A document in pieces.
    Pieces(Box<Observer>),
    Events(Box<Events>),
    Hidden(Box<Screen>),
}

/// How far a body is. What is last waits until the bytes before it were given out; few bodies
/// have any, so it is boxed. No part is smaller than a word: a response is moved a few times
/// on its way, and is moved by words.
#[derive(Debug)]
enum Ending<E> {
    /// More may come.
    Open,
    /// Trailers are next, and then what may come behind them.
    Trailers(Box<Frame<Bytes>>),
    /// An error is next, and nothing behind it.
    Error(Box<E>),
    Over,
}

impl<E> Ending<E> {
    /// What waits, if anything does.
    fn take(&mut self) -> Option<Result<Frame<Bytes>, E>> {
        let (next, waiting) = match mem::replace(self, Self::Over) {
            Self::Open => (Self::Open, None),
            Self::Trailers(trailers) => (Self::Open, Some(Ok(*trailers))),
            Self::Error(error) => (Self::Over, Some(Err(*error))),
            Self::Over => (Self::Over, None),
        };
        *self = next;
        waiting
    }
}

impl<B, M> MeteredBody<B, M>
where
    B: Body,
    M: Meter,
{
    /// Reads `body` as `mode` says and tells `meter`. A body that is empty from the
    /// start completes at once, since nobody may ever poll it.
    #[inline]
    pub(crate) fn new(body: B, mode: Mode, mut meter: Option<M>) -> Self {
        let mut watch = match mode {
            Mode::Unobserved => Watch::Nothing,
            Mode::Json(format) => Watch::Json(format.dialect()),
            Mode::Sse { format, hide } => {
                let events = Events::new(format.observer());
                match hide {
                    false => Watch::Events(Box::new(events)),
                    true => Watch::Hidden(Box::new(Screen::new(events))),
                }
            }
        };
        if body.is_end_stream() {
            watch.complete(&mut meter);
        }
        Self { inner: body, watch, meter, ending: Ending::Open }
    }
}

impl<B, M> Body for MeteredBody<B, M>
where
    B: Body<Data = Bytes>,
    M: Meter,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        loop {
            if let Some(bytes) = this.watch.pop() {
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            if !matches!(this.ending, Ending::Open) {
                return Poll::Ready(this.ending.take());
            }
            let Some(result) = ready!(this.inner.as_mut().poll_frame(cx)) else {
                *this.ending = Ending::Over;
                this.watch.complete(this.meter);
                continue;
            };
            match result.map(Frame::into_data) {
                Ok(Ok(bytes)) => {
                    // a caller may not poll again
                    let passing = match this.inner.is_end_stream() {
                        true => this.watch.read_last(bytes, this.meter),
                        false => this.watch.read(bytes, this.meter),
                    };
                    if let Some(bytes) = passing {
                        return Poll::Ready(Some(Ok(Frame::data(bytes))));
                    }
                }
                Ok(Err(trailers)) => {
                    this.watch.complete(this.meter);
                    *this.ending = Ending::Trailers(Box::new(trailers));
                }
                Err(error) => {
                    this.watch.finish(this.meter);
                    if let Some(meter) = this.meter.take() {
                        meter.fail(this.watch.told());
                    }
                    *this.ending = Ending::Error(Box::new(error));
                }
            }
        }
    }

    /// Only true once the meter knows of the end: the body within may come to know
    /// between two polls, and a caller who is told so need not poll again.
    fn is_end_stream(&self) -> bool {
        self.meter.is_none()
            && !self.watch.is_holding()
            && match self.ending {
                Ending::Open => self.inner.is_end_stream(),
                Ending::Over => true,
                Ending::Trailers(_) | Ending::Error(_) => false,
            }
    }

    fn size_hint(&self) -> SizeHint {
        match self.watch {
            Watch::Hidden(_) => SizeHint::default(),
            _ => self.inner.size_hint(),
        }
    }
}

impl Watch {
    /// Reads a frame's bytes and gives back what goes on to the caller at once.
    fn read(&mut self, bytes: Bytes, meter: &mut Option<impl Meter>) -> Option<Bytes> {
        let Some(watching) = meter.as_mut() else {
            return self.let_through(bytes);
        };
        watching.alive();
        let passing = match self {
            Self::Nothing => Some(bytes),
            Self::Json(dialect) => {
                let mut observer = Box::new(Observer::new(dialect));
                observer.feed(&bytes);
                *self = Self::Pieces(observer);
                Some(bytes)
            }
            Self::Pieces(observer) => {
                observer.feed(&bytes);
                Some(bytes)
            }
            Self::Events(events) => {
                events.read_all(&bytes);
                Some(bytes)
            }
            Self::Hidden(screen) => {
                screen.push(bytes);
                screen.pop()
            }
        };
        self.listen(meter);
        passing
    }

    /// The same for a frame with which the body ends well.
    fn read_last(&mut self, bytes: Bytes, meter: &mut Option<impl Meter>) -> Option<Bytes> {
        if let Self::Json(dialect) = *self
            && let Some(meter) = meter.take()
        {
            meter.complete(&Observer::document(dialect, &bytes));
            return Some(bytes);
        }
        let passing = self.read(bytes, meter);
        self.complete(meter);
        passing
    }

    /// As [`read`](Self::read), when nobody is to be told any more.
    fn let_through(&mut self, bytes: Bytes) -> Option<Bytes> {
        match self {
            Self::Hidden(screen) => {
                screen.push(bytes);
                screen.pop()
            }
            _ => Some(bytes),
        }
    }

    /// The body has ended. May be called again; then it changes nothing.
    fn finish(&mut self, meter: &mut Option<impl Meter>) {
        match self {
            Self::Nothing | Self::Json(_) => return,
            Self::Pieces(observer) => observer.end_document(),
            Self::Events(events) => {
                events.finish();
            }
            Self::Hidden(screen) => screen.finish(),
        }
        self.listen(meter);
    }

    /// The body has ended well.
    fn complete(&mut self, meter: &mut Option<impl Meter>) {
        self.finish(meter);
        if let Some(meter) = meter.take() {
            meter.complete(self.told());
        }
    }

    /// Looks for the word of a stream that it is complete, which settles it, since some
    /// clients drop the body at that word.
    fn listen(&mut self, meter: &mut Option<impl Meter>) {
        let told = self.told();
        if told.is_final
            && let Some(meter) = meter.take()
        {
            meter.complete(told);
        }
    }

    /// What the response has told so far.
    fn told(&self) -> &Observed {
        const NOTHING: &Observed = &Observed::nothing();
        match self {
            Self::Nothing | Self::Json(_) => NOTHING,
            Self::Pieces(observer) => observer.observed(),
            Self::Events(events) => events.observed(),
            Self::Hidden(screen) => screen.observed(),
        }
    }

    #[inline]
    fn pop(&mut self) -> Option<Bytes> {
        match self {
            Self::Hidden(screen) => screen.pop(),
            _ => None,
        }
    }

    fn is_holding(&self) -> bool {
        matches!(self, Self::Hidden(screen) if screen.is_holding())
    }
}

impl<B, M> fmt::Debug for MeteredBody<B, M>
where
    B: Body,
    M: Meter,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeteredBody")
            .field("watch", &self.watch)
            .field("is_settled", &self.meter.is_none())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests;
