//! The carrier of async-openai's typed requests.

use std::future::{Ready, ready};

use http::{HeaderMap, Method, Uri};
use smol_str::SmolStr;

use super::{Auto, Carrier, Changes, Intake, spoken::Spoken};
use crate::{
    error::Error,
    labels::Labels,
    policy::{Answer, Permit, Policy},
    provider::Route,
    unreadable::Unreadable,
};

/// Why a typed request cannot be sent with another model.
const FIXED: &str =
    "a rule changed its model, and a typed request cannot change the address that names it";

/// Carries async-openai's typed requests, for services that take and answer them.
///
/// | request | response |
/// |---|---|
/// | `CreateChatCompletionRequest` | `CreateChatCompletionResponse`, `ChatCompletionResponseStream` |
/// | `CreateResponse` | `Response`, `ResponseStream` |
/// | `CreateEmbeddingRequest` | `CreateEmbeddingResponse`, `CreateBase64EmbeddingResponse` |
///
/// Such a request does not say where it goes. [`Auto`] takes it for one to OpenAI;
/// `Typed` says where else, and with that whose prices hold. It is read as it would be
/// over HTTP, and whether it can be metered is up to the policy's
/// [`Routes`](crate::Routes), too. Where the address names the model, as that of an
/// Azure deployment does, a call whose model a rule changes is not sent but an error.
///
/// An `async_openai::Client` that is left as it comes retries on its own, below the
/// layer. Either give it a `ReqwestService` and put retries above, or have the policy
/// know of them: [`hidden_retries`](crate::PolicyBuilder::hidden_retries).
///
/// # Example
// async-openai's client comes with this feature only.
#[cfg_attr(feature = "examples", doc = "```")]
#[cfg_attr(not(feature = "examples"), doc = "```ignore")]
/// use async_openai::{Client, config::OpenAIConfig, types::chat::CreateChatCompletionRequest};
/// use driftlock::{DriftlockLayer, MonthlyBudget, Policy, Usd, carrier::Typed};
/// use tower::{ServiceBuilder, service_fn};
///
/// let client = Client::with_config(
///     OpenAIConfig::new().with_api_base("https://api.groq.com/openai/v1"),
/// );
/// let chat = service_fn(move |request: CreateChatCompletionRequest| {
///     let client = client.clone();
///     async move { client.chat().create(request).await }
/// });
///
/// let policy = Policy::builder().rule(MonthlyBudget::new(Usd::dollars(100))).build()?;
/// let groq = Typed::at("https://api.groq.com/openai/v1");
/// let governed = ServiceBuilder::new()
///     .layer(DriftlockLayer::new(policy).with_carrier(groq))
///     .service(chat);
/// # fn assert<S: tower::Service<CreateChatCompletionRequest>>(_: S) {}
/// # assert(governed);
/// # Ok::<(), driftlock::BuildError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Typed {
    base: SmolStr,
}

impl Typed {
    /// Of requests to an API under this address, as a client's configuration has it:
    /// `https://api.openai.com/v1`.
    pub fn at(base: impl AsRef<str>) -> Self {
        Self { base: base.as_ref().trim_end_matches('/').into() }
    }

    fn openai() -> Self {
        Self { base: SmolStr::new_static("https://api.openai.com/v1") }
    }

    fn intake<Req, Res>(&self, mut request: Req, policy: &Policy) -> Result<Intake<Req>, Error>
    where
        Req: Spoken<Res>,
    {
        let address = format!("{}{}", self.base, Req::PATH);
        let uri = Uri::try_from(&address).map_err(Error::inner)?;
        let routes = policy.settings().routes();
        let endpoint = match routes.classify(&Method::POST, &uri, &HeaderMap::new()) {
            Route::Metered(endpoint) => endpoint,
            Route::Free => return Ok(Intake::Free(request)),
            Route::Unmeterable(why) => {
                let why = format!("POST {address} cannot be metered: {why}");
                return Ok(Intake::Unmeterable { why, request });
            }
        };
        request.prepare();
        let body = serde_json::to_vec(&request).map_err(Error::inner)?.into();
        let uri = endpoint.needs_uri().then(|| Box::new(uri));
        Ok(Intake::Call { endpoint, uri, body, request, labels: Labels::new() })
    }
}

impl<Req, Res> Carrier<Req, Res> for Typed
where
    Req: Spoken<Res>,
{
    type Response = Res;
    type Read = Ready<Result<Intake<Req>, Error>>;

    fn read(&self, request: Req, policy: &Policy) -> Self::Read {
        ready(self.intake(request, policy))
    }

    fn change(&self, request: &mut Req, changes: Changes<'_>) -> Result<(), Error> {
        if changes.uri.is_some() {
            // It would go to the old model, and be reserved for the new one.
            return Err(Unreadable::Unmeterable { why: FIXED }.into());
        }
        request.change(&changes);
        Ok(())
    }

    fn meter(&self, response: Res, permit: Permit) -> Res {
        meter::<Req, Res>(response, permit)
    }

    fn pass(&self, response: Res) -> Res {
        response
    }
}

/// As [`Typed`], of requests to OpenAI.
impl<Req, Res> Carrier<Req, Res> for Auto
where
    Req: Spoken<Res>,
{
    type Response = Res;
    type Read = Ready<Result<Intake<Req>, Error>>;

    fn read(&self, request: Req, policy: &Policy) -> Self::Read {
        Typed::openai().read(request, policy)
    }

    fn change(&self, request: &mut Req, changes: Changes<'_>) -> Result<(), Error> {
        Typed::openai().change(request, changes)
    }

    fn meter(&self, response: Res, permit: Permit) -> Res {
        meter::<Req, Res>(response, permit)
    }

    fn pass(&self, response: Res) -> Res {
        response
    }
}

fn meter<Req: Spoken<Res>, Res>(response: Res, permit: Permit) -> Res {
    let hides_usage = permit.reply().hides_usage;
    Req::meter(response, Answer::to(permit), hides_usage)
}
