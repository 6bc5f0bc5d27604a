//! A stream of typed events that is followed as it passes.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use async_openai::{error::OpenAIError, types::stream::StreamResponse};
use futures_core::Stream;

use crate::policy::Answer;

/// A typed event of a stream.
pub(super) trait Piece: Unpin + Send + 'static {
    /// Tells what it says of usage.
    fn tell(&self, answer: &mut Answer);

    /// Whether it says nothing else.
    fn is_only_usage(&self) -> bool {
        false
    }
}

/// A stream whose end settles a call.
pub(super) struct TypedStream<T> {
    inner: StreamResponse<T>,
    // Dropped with the stream, it counts as abandoned.
    answer: Option<Answer>,
    hides_usage: bool,
}

impl<T: Piece> TypedStream<T> {
    pub(super) fn boxed(
        inner: StreamResponse<T>,
        answer: Answer,
        hides_usage: bool,
    ) -> StreamResponse<T> {
        Box::pin(Self { inner, answer: Some(answer), hides_usage })
    }

    fn read(&mut self, item: Option<&Result<T, OpenAIError>>) {
        let Some(answer) = &mut self.answer else { return };
        match item {
            Some(Ok(piece)) => piece.tell(answer),
            // What async-openai cannot read may tell its usage all the same.
            Some(Err(OpenAIError::JSONDeserialize(_, content))) => answer.event(content.as_bytes()),
            Some(Err(_)) => {
                if let Some(answer) = self.answer.take() {
                    answer.fail();
                }
            }
            None => {
                if let Some(answer) = self.answer.take() {
                    answer.complete();
                }
            }
        }
    }
}

impl<T: Piece> Stream for TypedStream<T> {
    type Item = Result<T, OpenAIError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let item = ready!(self.inner.as_mut().poll_next(cx));
            self.read(item.as_ref());
            match item {
                Some(Ok(piece)) if self.hides_usage && piece.is_only_usage() => {}
                item => return Poll::Ready(item),
            }
        }
    }
}
