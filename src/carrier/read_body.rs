//! Reading a request's body, up to a cap.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use http::Request;
use http_body::{Body, Frame};
use pin_project_lite::pin_project;

use super::Intake;
use crate::{
    error::{BoxError, Error},
    unreadable::Unreadable,
};

pin_project! {
    /// Reads the body of a request, up to a cap. Resolves to an [`Intake`].
    ///
    /// For an example see [`Carrier`](crate::carrier::Carrier).
    #[derive(Debug)]
    pub struct ReadBody<B, Req = Request<B>> {
        #[pin]
        state: State<B, Req>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = StateProjection]
    enum State<B, Req> {
        Known { intake: Option<Result<Intake<Req>, Error>> },
        Reading {
            // Filled here, because it is large, and is to be moved once.
            intake: Option<Intake<Req>>,
            #[pin]
            body: B,
            collected: Collected,
        },
    }
}

impl<B, Req> ReadBody<B, Req> {
    /// Nothing is to be read.
    pub(super) fn known(intake: Result<Intake<Req>, Error>) -> Self {
        Self { state: State::Known { intake: Some(intake) } }
    }

    /// Reads at most `cap` bytes, which become the body of this call.
    #[inline(always)] // it is large, and is to be written where it is going
    pub(super) fn reading(intake: Intake<Req>, body: B, cap: u64) -> Self {
        let collected = Collected { first: None, joined: BytesMut::new(), length: 0, cap };
        Self { state: State::Reading { intake: Some(intake), body, collected } }
    }
}

impl<B, Req> Future for ReadBody<B, Req>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    type Output = Result<Intake<Req>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Known { intake } => intake.take().map_or(Poll::Pending, Poll::Ready),
            StateProjection::Reading { intake, body, collected } => {
                if let Err(error) = ready!(collected.read(body, cx)) {
                    return Poll::Ready(Err(error.into()));
                }
                if let Some(Intake::Call { body, .. }) = intake {
                    *body = collected.take();
                }
                match intake.take() {
                    Some(intake) => Poll::Ready(Ok(intake)),
                    None => Poll::Pending,
                }
            }
        }
    }
}

/// What has been read of a body. Most arrive in one piece, which is kept as it is.
#[derive(Debug)]
struct Collected {
    first: Option<Bytes>,
    joined: BytesMut,
    length: u64,
    cap: u64,
}

impl Collected {
    fn read<B>(
        &mut self,
        mut body: Pin<&mut B>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Unreadable>>
    where
        B: Body,
        B::Error: Into<BoxError>,
    {
        loop {
            if body.is_end_stream() {
                return Poll::Ready(Ok(()));
            }
            let frame = match ready!(body.as_mut().poll_frame(cx)) {
                None => return Poll::Ready(Ok(())),
                Some(Err(error)) => {
                    let error: BoxError = error.into();
                    return Poll::Ready(Err(Unreadable::Body(error.to_string())));
                }
                Some(Ok(frame)) => frame,
            };
            match frame.into_data().map_err(Frame::into_trailers) {
                Ok(mut data) => {
                    if let Err(error) = self.push(data.copy_to_bytes(data.remaining())) {
                        return Poll::Ready(Err(error));
                    }
                }
                Err(Ok(trailers)) if trailers.is_empty() => {}
                Err(_) => return Poll::Ready(Err(Unreadable::Trailers)),
            }
        }
    }

    #[inline]
    fn push(&mut self, piece: Bytes) -> Result<(), Unreadable> {
        self.length = self.length.saturating_add(piece.len() as u64);
        if self.length > self.cap {
            return Err(Unreadable::TooLarge { cap: self.cap });
        }
        match (&self.first, self.joined.is_empty()) {
            (None, true) => self.first = Some(piece),
            (Some(first), true) if first.is_empty() => self.first = Some(piece),
            _ => self.join(&piece),
        }
        Ok(())
    }

    fn join(&mut self, piece: &[u8]) {
        if let Some(first) = self.first.take() {
            self.joined.extend_from_slice(&first);
        }
        self.joined.extend_from_slice(piece);
    }

    #[inline]
    fn take(&mut self) -> Bytes {
        self.first.take().unwrap_or_else(|| std::mem::take(&mut self.joined).freeze())
    }
}
