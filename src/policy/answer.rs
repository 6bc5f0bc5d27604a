//! An answer that its reader tells the permit of, where no body passes through a layer.

use super::Permit;
use crate::{
    meter::Meter,
    provider::{Format, Observer},
    usage::Usage,
};

/// What the reader of an answer tells while it goes on.
impl Permit {
    /// Takes the usage so far, as a total. It is what the answer has cost at least,
    /// should it not be read to its end; [`settle`](Self::settle) has the last word.
    pub fn see(&mut self, usage: &Usage) {
        self.alive();
        self.note(usage);
    }

    /// Says that the answer goes on: the deadline by which the call counts as lost moves
    /// along.
    pub fn alive(&mut self) {
        Meter::alive(self);
    }
}

/// Follows an answer by its JSON, and settles the call it belongs to.
///
/// For code that gets answers from something else than a layer: a client of another
/// protocol, or a carrier of typed responses. It reads what a layer reads: usage, the
/// model that answered, its service tier. Dropped before its end, the answer counts as
/// abandoned, and the call costs the larger of what was seen and the estimate.
///
/// # Example
/// ```
/// use driftlock::{Answer, Call, Format, Operation, Policy, Provider, Scope, Usd, Window, Zone};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let policy = Policy::builder().build()?;
/// let mut call = Call::new(Provider::OPENAI, Operation::Chat, "gpt-4o").with_streaming(true);
/// let mut permit = policy.admit(&mut call).await?;
/// permit.sent();
///
/// let mut answer = Answer::new(permit, Format::OpenAiChat);
/// for event in [
///     r#"{"model":"gpt-4o","choices":[{"delta":{"content":"Hello"}}]}"#,
///     r#"{"model":"gpt-4o","choices":[],"usage":{"prompt_tokens":1000,"completion_tokens":100}}"#,
/// ] {
///     answer.event(event.as_bytes());
/// }
/// answer.complete();
///
/// let spent = policy.spend(&Scope::Workspace, Window::month(Zone::UTC)).await?;
/// assert_eq!(spent.settled, Usd::nanos(3_500_000));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "a dropped answer counts as abandoned"]
pub struct Answer {
    observer: Observer,
    /// None once it has settled.
    permit: Option<Permit>,
}

impl Answer {
    /// Follows an answer that is written in this format.
    pub fn new(permit: Permit, format: Format) -> Self {
        Self { observer: format.observer(), permit: Some(permit) }
    }

    /// Follows an answer in the format of the call that the permit is for.
    #[cfg(feature = "async-openai")]
    pub(crate) fn to(permit: Permit) -> Self {
        let format = permit.reply().format;
        Self::new(permit, format)
    }

    /// Reads one event of a stream: its data, which is JSON or the marker of the end.
    /// One that says that the answer is complete settles it.
    pub fn event(&mut self, data: &[u8]) {
        self.alive();
        self.observer.event(data);
        if self.observer.observed().is_final {
            self.settle();
        }
    }

    /// Reads a whole answer that is no stream, and settles.
    pub fn document(mut self, json: &[u8]) {
        self.observer.feed(json);
        self.observer.end_document();
        self.settle();
    }

    /// Something came that says nothing of usage: the deadline by which the call counts
    /// as lost moves along.
    pub fn alive(&mut self) {
        if let Some(permit) = &mut self.permit {
            permit.alive();
        }
    }

    /// The answer has ended: settles to what it told, or to the estimate.
    pub fn complete(mut self) {
        self.settle();
    }

    /// The answer broke off with an error: settles as one that is abandoned.
    pub fn fail(mut self) {
        if let Some(permit) = self.permit.take() {
            permit.fail(self.observer.observed());
        }
    }

    fn settle(&mut self) {
        if let Some(permit) = self.permit.take() {
            permit.complete(self.observer.observed());
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            permit.abandon(self.observer.observed());
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        Answer, Call, Format, OnAbandoned, Operation, Policy, Provider, SettledHow, Usage, Usd,
    };

    /// What a call costs whose answer told this before it was dropped.
    async fn dropped_after(on_abandoned: OnAbandoned, output_tokens: u64) -> (Usd, Usd) {
        let policy = Policy::builder().on_abandoned(on_abandoned).receipts(true).build().unwrap();
        let mut call = Call::new(Provider::OPENAI, Operation::Chat, "gpt-4o").with_streaming(true);
        let mut permit = policy.admit(&mut call).await.unwrap();
        permit.sent();
        let receipt = permit.receipt().unwrap().clone();
        let mut answer = Answer::new(permit, Format::OpenAiChat);
        let usage = format!(r#"{{"prompt_tokens":10,"completion_tokens":{output_tokens}}}"#);
        answer.event(format!(r#"{{"choices":[{{}}],"usage":{usage}}}"#).as_bytes());
        assert_eq!(receipt.try_settled(), None, "more may come");
        drop(answer);
        let settled = receipt.try_settled().unwrap();
        assert_eq!(settled.how, SettledHow::Abandoned);
        assert_eq!(settled.usage, Some(Usage::tokens(10, output_tokens)));
        (settled.cost, settled.reserved)
    }

    #[tokio::test]
    async fn a_dropped_answer_costs_what_it_told_or_the_estimate_if_that_is_more() {
        let (cost, reserved) = dropped_after(OnAbandoned::Seen, 100).await;
        assert_eq!(cost, Usd::nanos(10 * 2_500 + 100 * 10_000));
        assert!(cost < reserved);
        let (cost, reserved) = dropped_after(OnAbandoned::Estimate, 100).await;
        assert_eq!(cost, reserved);
        let (cost, reserved) = dropped_after(OnAbandoned::Estimate, 100_000).await;
        assert!(cost > reserved);
    }
}
