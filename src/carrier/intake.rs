//! The trait of carriers.

use std::future::Future;

use bytes::Bytes;
use http::Uri;

use super::Changes;
use crate::{
    call::Call,
    error::Error,
    labels::Labels,
    policy::{Permit, Policy},
    provider::Endpoint,
};

/// Takes requests of one type apart and puts them together again.
///
/// `Req` is what the governed service is called with, `Res` what it answers with.
/// The request type stays the same on both sides of the layer.
///
/// A carrier of JSON gives an [`Intake::Call`], which is read in the format of its
/// endpoint; one of typed requests can give the facts itself, as [`Intake::Facts`].
///
/// # Example
/// A client with types of its own, from its request to the usage in its answer:
/// ```
/// use std::{convert::Infallible, future::{Ready, ready}};
///
/// use driftlock::{
///     Call, DriftlockLayer, Error, Input, Operation, Permit, Policy, Provider, Receipt, Usage, Usd,
/// };
/// use driftlock::carrier::{Carrier, Changes, Intake};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// struct Question {
///     model: String,
///     text: String,
///     max_tokens: u64,
/// }
///
/// struct Answer {
///     text: String,
///     tokens_in: u64,
///     tokens_out: u64,
/// }
///
/// #[derive(Clone)]
/// struct Questions;
///
/// impl Carrier<Question, Answer> for Questions {
///     // Whatever the callers should get; here the receipt, too.
///     type Response = (Answer, Option<Receipt>);
///     type Read = Ready<Result<Intake<Question>, Error>>;
///
///     fn read(&self, request: Question, _: &Policy) -> Self::Read {
///         let text_bytes = request.text.len() as u64;
///         let call = Call::new(Provider::OPENAI, Operation::Chat, request.model.as_str())
///             .with_input(Input { text_bytes, messages: 1, ..Input::default() })
///             .with_max_output_tokens(request.max_tokens);
///         ready(Ok(Intake::facts(call, request)))
///     }
///
///     // What the rules changed.
///     fn change(&self, request: &mut Question, changes: Changes<'_>) -> Result<(), Error> {
///         if let Some(model) = changes.model {
///             request.model = model.to_owned();
///         }
///         if let Some(tokens) = changes.max_output_tokens {
///             request.max_tokens = request.max_tokens.min(tokens);
///         }
///         Ok(())
///     }
///
///     // The answer tells its usage, and the call settles to what it did cost.
///     fn meter(&self, answer: Answer, permit: Permit) -> Self::Response {
///         let receipt = permit.receipt().cloned();
///         permit.settle(&Usage::tokens(answer.tokens_in, answer.tokens_out));
///         (answer, receipt)
///     }
///
///     fn pass(&self, answer: Answer) -> Self::Response {
///         (answer, None)
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let policy = Policy::builder().receipts(true).build()?;
/// let client = ServiceBuilder::new()
///     .layer(DriftlockLayer::new(policy).with_carrier(Questions))
///     .service(service_fn(|question: Question| async move {
///         let text = format!("{}? Certainly.", question.text);
///         Ok::<_, Infallible>(Answer { text, tokens_in: 1_000, tokens_out: 100 })
///     }));
///
/// let question = Question { model: "gpt-4o".into(), text: "Is it".into(), max_tokens: 500 };
/// let (answer, receipt) = client.oneshot(question).await?;
/// assert_eq!(answer.text, "Is it? Certainly.");
/// assert_eq!(receipt.unwrap().settled().await.cost, Usd::nanos(3_500_000)); // $2.50 and $10 a million
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "driftlock cannot carry requests of type `{Req}` and responses of type `{Res}`",
    note = "`http::Request<B>` needs `B: http_body::Body + From<bytes::Bytes>`; for other bodies use \
            `DriftlockLayer::rebuild_with(fn(Bytes) -> B)`",
    note = "`http::Response<B>` needs `B: http_body::Body<Data = bytes::Bytes>`",
    note = "`reqwest::Request` needs the feature `reqwest`, async-openai's requests need `async-openai`",
    note = "for other request types implement `driftlock::carrier::Carrier` and use `DriftlockLayer::with_carrier`"
)]
pub trait Carrier<Req, Res>: Clone {
    /// The response as the caller gets it, with the permit inside.
    type Response;
    /// Reads a request.
    type Read: Future<Output = Result<Intake<Req>, Error>>;

    /// Takes a request apart. What is free is told from its head alone, so that its
    /// body need not be polled.
    fn read(&self, request: Req, policy: &Policy) -> Self::Read;

    /// Puts a request together again, as the policy has admitted it.
    ///
    /// # Errors
    /// If that is not possible; nothing is sent then.
    fn change(&self, request: &mut Req, changes: Changes<'_>) -> Result<(), Error>;

    /// Wraps a response so that the permit learns how it ends, or settles it at once.
    fn meter(&self, response: Res, permit: Permit) -> Self::Response;

    /// The response of a request that is not metered.
    fn pass(&self, response: Res) -> Self::Response;
}

/// What a carrier made of a request.
///
/// For an example see [`Carrier`](crate::carrier::Carrier).
#[derive(Debug)]
pub enum Intake<Req> {
    /// To be sent as it is; its body was not polled.
    Free(Req),
    /// A call, taken apart: where it goes, its body, and the request without it.
    Call {
        /// Where it goes and in which format it speaks.
        endpoint: Endpoint,
        /// Its address, for endpoints that have the model in it. Few calls have one, and
        /// it is large.
        uri: Option<Box<Uri>>,
        /// Its body.
        body: Bytes,
        /// The request without its body.
        request: Req,
        /// The labels the request itself carries.
        labels: Labels,
    },
    /// A call that the carrier has read, with the labels that the request carries.
    Facts {
        /// What rules and estimates go by. It is large, and most calls are not read so.
        call: Box<Call>,
        /// The request, whole.
        request: Req,
    },
    /// A call that may be sent only if the policy lets unmetered calls pass.
    Unmeterable {
        /// Why it cannot be metered, and where it was going.
        why: String,
        /// The request, whole.
        request: Req,
    },
}

impl<Req> Intake<Req> {
    /// A call that the carrier has read.
    pub fn facts(call: Call, request: Req) -> Self {
        Self::Facts { call: Box::new(call), request }
    }
}
