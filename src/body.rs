//! A response body that tells a [`Meter`] what passes through it.
//!
//! The bytes go on to the caller untouched and as soon as they come; what they say
//! about usage is read on the way. A body can end in five ways (its end, an error,
//! trailers, a last frame after which it says that it has ended, being dropped),
//! and a stream can say that it is complete before any of them. Whichever comes
//! first settles the call, once: callers differ in which of them they wait for.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::{
    meter::Meter,
    policy::Permit,
    provider::{Format, Observer},
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
        // trailers or an error that must wait for bytes still to be given out
        last: Option<Result<Frame<Bytes>, B::Error>>,
        has_ended: bool,
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
        }
    }
}

/// How a response is to be read. What reads it is large, and made where it stays.
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

/// A [`Mode`] at work.
#[derive(Debug)]
enum Watch {
    Nothing,
    Json(Observer),
    Events(Events),
    Hidden(Screen),
}

impl<B, M> MeteredBody<B, M>
where
    B: Body,
    M: Meter,
{
    /// Reads `body` as `mode` says and tells `meter`. A body that is empty from the
    /// start completes at once, since nobody may ever poll it.
    pub(crate) fn new(body: B, mode: Mode, meter: Option<M>) -> Self {
        let watch = match mode {
            Mode::Unobserved => Watch::Nothing,
            Mode::Json(format) => Watch::Json(format.observer()),
            Mode::Sse { format, hide: false } => Watch::Events(Events::new(format.observer())),
            Mode::Sse { format, hide: true } => {
                Watch::Hidden(Screen::new(Events::new(format.observer())))
            }
        };
        let mut metered = Self { inner: body, watch, meter, last: None, has_ended: false };
        if metered.inner.is_end_stream() {
            metered.watch.finish(&mut metered.meter);
            complete(&mut metered.meter);
        }
        metered
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
            if let Some(last) = this.last.take() {
                return Poll::Ready(Some(last));
            }
            if *this.has_ended {
                return Poll::Ready(None);
            }
            let Some(result) = ready!(this.inner.as_mut().poll_frame(cx)) else {
                *this.has_ended = true;
                this.watch.finish(this.meter);
                complete(this.meter);
                continue;
            };
            match result.map(Frame::into_data) {
                Ok(Ok(bytes)) => {
                    let passing = this.watch.read(bytes, this.meter);
                    if this.inner.is_end_stream() {
                        // a caller may not poll again
                        this.watch.finish(this.meter);
                        complete(this.meter);
                    }
                    if let Some(bytes) = passing {
                        return Poll::Ready(Some(Ok(Frame::data(bytes))));
                    }
                }
                Ok(Err(trailers)) => {
                    this.watch.finish(this.meter);
                    complete(this.meter);
                    *this.last = Some(Ok(trailers));
                }
                Err(error) => {
                    *this.has_ended = true;
                    this.watch.finish(this.meter);
                    if let Some(meter) = this.meter.take() {
                        meter.fail();
                    }
                    *this.last = Some(Err(error));
                }
            }
        }
    }

    /// Only true once the meter knows of the end: the body within may come to know
    /// between two polls, and a caller who is told so need not poll again.
    fn is_end_stream(&self) -> bool {
        self.meter.is_none()
            && self.last.is_none()
            && !self.watch.is_holding()
            && (self.has_ended || self.inner.is_end_stream())
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
            Self::Json(observer) => {
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
        self.tell(meter);
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
            Self::Nothing => return,
            Self::Json(observer) => observer.end_document(),
            Self::Events(events) => {
                events.finish();
            }
            Self::Hidden(screen) => screen.finish(),
        }
        self.tell(meter);
    }

    /// Tells the meter what is new; a stream that says it is complete settles here,
    /// since some clients drop the body at that word.
    fn tell(&mut self, meter: &mut Option<impl Meter>) {
        let observer = match self {
            Self::Nothing => return,
            Self::Json(observer) => observer,
            Self::Events(events) => events.observer(),
            Self::Hidden(screen) => screen.observer(),
        };
        let Some(observed) = observer.news() else { return };
        if let Some(meter) = meter {
            meter.observe(observed);
        }
        if observed.is_final {
            complete(meter);
        }
    }

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

fn complete(meter: &mut Option<impl Meter>) {
    if let Some(meter) = meter.take() {
        meter.complete();
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
