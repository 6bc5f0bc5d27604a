//! async-openai's typed requests, and what their responses tell.
//!
//! A request is read from its JSON, as the provider will read it. Of a response only
//! what tells its usage is written as JSON, and read as it would be from the wire.

use async_openai::types::{
    chat::{
        ChatCompletionResponseStream, ChatCompletionStreamOptions, CreateChatCompletionRequest,
        CreateChatCompletionResponse, CreateChatCompletionStreamResponse,
    },
    embeddings::{CreateBase64EmbeddingResponse, CreateEmbeddingRequest, CreateEmbeddingResponse},
    responses::{CreateResponse, Response, ResponseStream, ResponseStreamEvent},
};
use serde::Serialize;

use super::{
    Changes,
    typed_stream::{Piece, TypedStream},
};
use crate::policy::Answer;

/// A typed request that is answered by a `Res`.
pub trait Spoken<Res>: Serialize + Sized {
    /// Where it goes, below the address of the API.
    const PATH: &'static str;

    /// Sets what the client would set after the call was read.
    fn prepare(&mut self) {}

    /// Writes what the policy changed.
    fn change(&mut self, changes: &Changes<'_>);

    /// Has the answer followed.
    fn meter(response: Res, answer: Answer, hides_usage: bool) -> Res;
}

/// What of a response tells its usage.
#[derive(Serialize)]
struct Told<'r, Tier, Usage> {
    model: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'r Tier>,
    usage: &'r Usage,
}

impl<Tier: Serialize, Usage: Serialize> Told<'_, Tier, Usage> {
    fn json(&self) -> Vec<u8> {
        // What was read from JSON can be written as it; else it tells nothing.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl Spoken<CreateChatCompletionResponse> for CreateChatCompletionRequest {
    const PATH: &'static str = "/chat/completions";

    fn change(&mut self, changes: &Changes<'_>) {
        change_chat(self, changes);
    }

    fn meter(
        response: CreateChatCompletionResponse,
        answer: Answer,
        _: bool,
    ) -> CreateChatCompletionResponse {
        let CreateChatCompletionResponse { model, service_tier, usage, .. } = &response;
        answer.document(&Told { model, service_tier: service_tier.as_ref(), usage }.json());
        response
    }
}

impl Spoken<ChatCompletionResponseStream> for CreateChatCompletionRequest {
    const PATH: &'static str = "/chat/completions";

    fn prepare(&mut self) {
        self.stream.get_or_insert(true);
    }

    fn change(&mut self, changes: &Changes<'_>) {
        change_chat(self, changes);
    }

    fn meter(
        response: ChatCompletionResponseStream,
        answer: Answer,
        hides_usage: bool,
    ) -> ChatCompletionResponseStream {
        TypedStream::boxed(response, answer, hides_usage)
    }
}

fn change_chat(request: &mut CreateChatCompletionRequest, changes: &Changes<'_>) {
    if let Some(model) = changes.model {
        request.model = model.to_owned();
    }
    if let Some(most) = changes.max_output_tokens {
        #[allow(deprecated)] // some hosts know no other
        let stated = [&mut request.max_tokens, &mut request.max_completion_tokens];
        if !lower(stated, most) {
            request.max_completion_tokens = Some(tokens(most));
        }
    }
    if changes.include_usage {
        let options: &mut ChatCompletionStreamOptions =
            request.stream_options.get_or_insert_default();
        options.include_usage = Some(true);
    }
}

/// Lowers the output maxima that are stated; `false` if none is.
fn lower<const N: usize>(stated: [&mut Option<u32>; N], most: u64) -> bool {
    let mut any = false;
    for one in stated.into_iter().flatten() {
        any = true;
        *one = (*one).min(tokens(most));
    }
    any
}

fn tokens(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

impl Piece for CreateChatCompletionStreamResponse {
    fn tell(&self, answer: &mut Answer) {
        let Self { model, service_tier, usage: Some(usage), .. } = self else {
            return answer.alive();
        };
        answer.event(&Told { model, service_tier: service_tier.as_ref(), usage }.json());
    }

    fn is_only_usage(&self) -> bool {
        self.choices.is_empty() && self.usage.is_some()
    }
}

impl Spoken<Response> for CreateResponse {
    const PATH: &'static str = "/responses";

    fn change(&mut self, changes: &Changes<'_>) {
        change_response(self, changes);
    }

    fn meter(response: Response, answer: Answer, _: bool) -> Response {
        answer.document(&told(&response).json());
        response
    }
}

impl Spoken<ResponseStream> for CreateResponse {
    const PATH: &'static str = "/responses";

    fn prepare(&mut self) {
        self.stream.get_or_insert(true);
    }

    fn change(&mut self, changes: &Changes<'_>) {
        change_response(self, changes);
    }

    fn meter(response: ResponseStream, answer: Answer, hides_usage: bool) -> ResponseStream {
        TypedStream::boxed(response, answer, hides_usage)
    }
}

fn change_response(request: &mut CreateResponse, changes: &Changes<'_>) {
    if let Some(model) = changes.model {
        request.model = Some(model.to_owned());
    }
    if let Some(most) = changes.max_output_tokens
        && !lower([&mut request.max_output_tokens], most)
    {
        request.max_output_tokens = Some(tokens(most));
    }
}

fn told(response: &Response) -> Told<'_, impl Serialize, impl Serialize> {
    let Response { model, service_tier, usage, .. } = response;
    Told { model, service_tier: service_tier.as_ref(), usage }
}

/// An event that ends a response.
#[derive(Serialize)]
struct Ended<'r, T> {
    r#type: &'static str,
    response: &'r T,
}

impl Piece for ResponseStreamEvent {
    fn tell(&self, answer: &mut Answer) {
        let (r#type, response) = match self {
            Self::ResponseCompleted(event) => ("response.completed", &event.response),
            Self::ResponseIncomplete(event) => ("response.incomplete", &event.response),
            Self::ResponseFailed(event) => ("response.failed", &event.response),
            _ => return answer.alive(),
        };
        let event = Ended { r#type, response: &told(response) };
        answer.event(&serde_json::to_vec(&event).unwrap_or_default());
    }
}

/// Embeddings of one or the other encoding.
macro_rules! embeddings {
    ($response:ty) => {
        impl Spoken<$response> for CreateEmbeddingRequest {
            const PATH: &'static str = "/embeddings";

            fn change(&mut self, changes: &Changes<'_>) {
                if let Some(model) = changes.model {
                    self.model = model.to_owned();
                }
            }

            fn meter(response: $response, answer: Answer, _: bool) -> $response {
                let (model, usage) = (&response.model, &response.usage);
                answer.document(&Told { model, service_tier: None::<&()>, usage }.json());
                response
            }
        }
    };
}

embeddings!(CreateEmbeddingResponse);
embeddings!(CreateBase64EmbeddingResponse);
