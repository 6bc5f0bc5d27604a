//! What a policy does with a call while deciding.

use std::sync::Arc;

use bytes::Bytes;
use smol_str::SmolStr;

use super::{Call, Counters, Estimate};
use crate::{clock::Timestamp, labels::Labels};

/// What of a call a rule may change.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    model: SmolStr,
    requested_model: Option<SmolStr>,
    max_output_tokens: Option<u64>,
    estimate: Option<Estimate>,
}

/// What a policy does with a call while deciding.
impl Call {
    pub(crate) fn terms(&self) -> Terms {
        Terms {
            model: self.model.clone(),
            requested_model: self.requested_model.clone(),
            max_output_tokens: self.max_output_tokens,
            estimate: self.estimate,
        }
    }

    pub(crate) fn set_terms(&mut self, terms: Terms) {
        let Terms { model, requested_model, max_output_tokens, estimate } = terms;
        (self.model, self.requested_model) = (model, requested_model);
        (self.max_output_tokens, self.estimate) = (max_output_tokens, estimate);
    }

    pub(crate) fn lend(&mut self, counters: Option<Arc<dyn Counters>>) {
        self.counters = counters;
    }

    #[inline]
    pub(crate) fn set_labels(&mut self, labels: Labels) {
        self.labels = labels;
    }

    #[inline]
    pub(crate) fn set_body(&mut self, body: Bytes) {
        self.body = body;
    }

    pub(crate) fn decide_at(&mut self, at: Timestamp) {
        self.at = at;
    }

    pub(crate) fn set_estimate(&mut self, estimate: Option<Estimate>) {
        self.estimate = estimate;
    }

    pub(crate) fn model_name(&self) -> &SmolStr {
        &self.model
    }

    /// Whether it goes to another model than the one that was asked for.
    #[inline]
    pub(crate) fn is_rewritten(&self) -> bool {
        self.requested_model.as_ref().is_some_and(|asked| *asked != self.model)
    }

    pub(crate) fn rewrite(&mut self, model: SmolStr) {
        let asked = std::mem::replace(&mut self.model, model);
        self.requested_model.get_or_insert(asked);
    }

    pub(crate) fn clamp_output(&mut self, most: u64) {
        self.max_output_tokens = self.max_output_tokens.map(|asked| asked.min(most));
    }

    pub(crate) fn set_max_output_tokens(&mut self, tokens: u64) {
        self.max_output_tokens = Some(tokens);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{Operation, Provider};

    #[test]
    fn a_rewrite_keeps_the_model_that_was_asked_for() {
        let mut call = Call::new(Provider::OPENAI, Operation::Chat, "gpt-4o");
        assert!(!call.is_rewritten());
        call.rewrite("gpt-4o-mini".into());
        call.rewrite("gpt-4.1-nano".into());
        assert_eq!((call.requested_model(), call.model()), ("gpt-4o", "gpt-4.1-nano"));
        assert!(call.is_rewritten());
        call.rewrite("gpt-4o".into());
        assert!(!call.is_rewritten());
    }
}
