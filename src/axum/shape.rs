//! The JSON in which providers tell their errors.

use serde_json::{Value, json};

use super::reason::Answer;
use crate::denial::{Denial, DenialKind};

/// Whose clients the body is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Shape {
    #[default]
    OpenAi,
    Anthropic,
}

/// What a body tells.
#[derive(Debug)]
pub(super) struct Told<'t> {
    pub(super) answer: Answer,
    pub(super) message: &'t str,
    /// The key of the request body that is wrong.
    pub(super) key: Option<&'static str>,
    pub(super) denial: Option<&'t Denial>,
    /// Whether all that is known of the denial goes along.
    pub(super) amounts: bool,
}

impl Shape {
    pub(super) fn body(self, told: &Told<'_>) -> Value {
        let mut error = match self {
            Self::OpenAi => json!({
                "message": told.message,
                "type": openai_type(told.answer),
                "param": told.key,
                "code": openai_code(told.answer, told.denial),
            }),
            Self::Anthropic => json!({
                "type": anthropic_type(told.answer),
                "message": told.message,
            }),
        };
        if let Some(denial) = told.denial.filter(|_| told.amounts) {
            error["denial"] = json!(denial);
        }
        match self {
            Self::OpenAi => json!({ "error": error }),
            Self::Anthropic => json!({ "type": "error", "error": error }),
        }
    }
}

fn openai_type(answer: Answer) -> &'static str {
    match answer {
        Answer::Unreadable => "invalid_request_error",
        Answer::Forbidden => "permission_error",
        Answer::Spent => "insufficient_quota",
        Answer::Later(_) => "rate_limit_error",
        Answer::Unchecked | Answer::Failed | Answer::TimedOut => "server_error",
    }
}

/// OpenAI's own word where it has one that its clients know, else ours.
fn openai_code(answer: Answer, denial: Option<&Denial>) -> &'static str {
    match (answer, denial.map(Denial::kind)) {
        (Answer::Spent, _) => "insufficient_quota",
        (Answer::Later(_), _) => "rate_limit_exceeded",
        (Answer::Unreadable, _) => "unreadable_request",
        (Answer::Unchecked, _) => "not_checked",
        (Answer::Failed, _) => "provider_failed",
        (Answer::TimedOut, _) => "provider_timed_out",
        (Answer::Forbidden, kind) => match kind {
            Some(DenialKind::Restricted) => "restricted",
            Some(DenialKind::UnknownPrice) => "unknown_price",
            Some(DenialKind::TooExpensive) => "too_expensive",
            Some(DenialKind::Budget | DenialKind::Velocity) => "exceeds_limit",
            Some(DenialKind::Unbounded) => "unbounded",
            Some(DenialKind::Unmeterable) => "unmeterable",
            Some(DenialKind::MissingUser) => "missing_user",
            _ => "not_allowed",
        },
    }
}

fn anthropic_type(answer: Answer) -> &'static str {
    match answer {
        Answer::Unreadable => "invalid_request_error",
        Answer::Forbidden => "permission_error",
        Answer::Spent => "billing_error",
        Answer::Later(_) => "rate_limit_error",
        Answer::Unchecked | Answer::Failed => "api_error",
        Answer::TimedOut => "timeout_error",
    }
}
