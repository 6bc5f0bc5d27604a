//! What the path of a request with a body says.

use super::format::Format;

/// What a path stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Metered(Format),
    Free,
    Unmeterable(&'static str),
}

/// Judges a path by its last segments, so that gateways may put what they like before.
///
/// Only exact segments count: a path that is spelled differently, by case or percent
/// signs, is not known.
pub(super) fn kind(path: &str) -> Kind {
    use Kind::{Free, Metered, Unmeterable};

    let path = path.trim_end_matches('/');
    // First, because it is what nearly every call says.
    if path.ends_with("/chat/completions") {
        return Metered(Format::OpenAiChat);
    }
    let mut tail = path.rsplit('/');
    let last = tail.next().unwrap_or_default();
    let before = tail.next().unwrap_or_default();
    if let Some(kind) = beta(path, last) {
        return kind;
    }
    match (before, last) {
        (_, "moderations" | "count_tokens" | "tokenize" | "detokenize") => Free,
        ("responses", "input_tokens") => Free,
        ("v1" | "v1beta" | "openai", "files" | "uploads") => Free,
        (_, "parts" | "complete") if tail.next() == Some("uploads") => Free,
        (_, "cancel") => match tail.next() {
            Some("responses" | "batches" | "uploads" | "jobs") => Free,
            _ => Unmeterable(UNKNOWN),
        },
        (_, "responses") | ("responses", "compact") => Metered(Format::OpenAiResponses),
        (_, "batches") => Unmeterable("batches are billed later, and elsewhere"),
        ("api", "chat" | "generate" | "embed" | "embeddings") => {
            Unmeterable("Ollama's own API is not read; its OpenAI-compatible one under /v1 is")
        }
        (_, "completions") => Metered(Format::OpenAiCompletions),
        (_, "embeddings") => Metered(Format::OpenAiEmbeddings),
        (_, "embed") => Unmeterable("embeddings are read in OpenAI's format only"),
        ("audio", "transcriptions" | "translations") => {
            Unmeterable("sound is billed by its length, which an upload does not say")
        }
        ("audio", _) => Unmeterable("sound is billed by its length, which comes with the answer"),
        ("images", _) | (_, "videos") => {
            Unmeterable("images and videos are billed by size and quality, which are not read")
        }
        (_, "messages") => Unmeterable("Anthropic's messages are not read yet"),
        _ => match last.rsplit_once(':') {
            Some((_, "countTokens")) => Free,
            Some((_, "generateContent" | "streamGenerateContent")) => {
                Unmeterable("Gemini's content generation is not read yet")
            }
            _ => Unmeterable(UNKNOWN),
        },
    }
}

/// The name in `/deployments/{name}/…`, if the path has one.
pub(super) fn deployment(path: &str) -> Option<&str> {
    let mut segments = path.split('/').skip_while(|segment| *segment != "deployments");
    let (_, name, rest) = (segments.next()?, segments.next()?, segments.next());
    Some(name).filter(|name| !name.is_empty() && rest.is_some())
}

/// Whether what is asked for under this path cannot be given an output maximum.
pub(super) fn has_no_maximum(path: &str) -> bool {
    path.trim_end_matches('/').ends_with("/responses/compact")
}

const UNKNOWN: &str = "no known endpoint has this path";

/// What runs on the provider's side after the response, or over another transport.
fn beta(path: &str, last: &str) -> Option<Kind> {
    if last == "cancel" {
        return path.contains("/threads/").then_some(Kind::Free);
    }
    path.split('/').find_map(|segment| match segment {
        "realtime" => Some(Kind::Unmeterable("realtime sessions cannot be metered")),
        "assistants" | "threads" => Some(Kind::Unmeterable("assistants cannot be metered")),
        "fine_tuning" | "fine-tuning" | "fine-tunes" => {
            Some(Kind::Unmeterable("fine-tuning cannot be metered"))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chat_is_metered_under_any_prefix() {
        for path in [
            "/v1/chat/completions",
            "/chat/completions",
            "/openai/v1/chat/completions/",
            "/a/b/api/v1/chat/completions",
            "/openai/deployments/gpt-4o/chat/completions",
            "/v1/files/../chat/completions",
        ] {
            assert_eq!(kind(path), Kind::Metered(Format::OpenAiChat), "{path}");
        }
    }

    #[test]
    fn what_is_named_by_its_last_segments_is_metered() {
        for (path, format) in [
            ("/v1/responses", Format::OpenAiResponses),
            ("/openai/v1/responses/", Format::OpenAiResponses),
            ("/openai/responses", Format::OpenAiResponses),
            ("/backend-api/codex/responses", Format::OpenAiResponses),
            ("/v1/responses/compact", Format::OpenAiResponses),
            ("/v1/embeddings", Format::OpenAiEmbeddings),
            ("/api/v1/embeddings", Format::OpenAiEmbeddings),
            ("/openai/deployments/mine/embeddings", Format::OpenAiEmbeddings),
            ("/v1/completions", Format::OpenAiCompletions),
            ("/v1/fim/completions", Format::OpenAiCompletions),
            ("/openai/deployments/mine/completions", Format::OpenAiCompletions),
        ] {
            assert_eq!(kind(path), Kind::Metered(format), "{path}");
        }
        assert!(has_no_maximum("/v1/responses/compact/") && !has_no_maximum("/v1/compact"));
    }

    #[test]
    fn what_costs_nothing_is_free() {
        for path in [
            "/v1/moderations",
            "/v1/files",
            "/v1/uploads",
            "/v1/uploads/u1/parts",
            "/v1/messages/count_tokens",
            "/v1/responses/input_tokens",
            "/v1/responses/r1/cancel",
            "/v1/batches/b1/cancel",
            "/v1/fine_tuning/jobs/j1/cancel",
            "/v1/threads/t1/runs/r1/cancel",
            "/tokenize",
            "/v1beta/models/gemini-2.5-flash:countTokens",
        ] {
            assert_eq!(kind(path), Kind::Free, "{path}");
        }
    }

    #[test]
    fn whatever_else_has_a_body_is_not_let_through() {
        for path in [
            "",
            "/",
            "/v1/responses/r1",
            "/v1/responses/compact/x",
            "/v1/compact",
            "/v1/conversations",
            "/v1/batches",
            "/v1/messages",
            "/v1/messages/batches",
            "/v1/Responses",
            "/v1/embed",
            "/v1/rerank",
            "/v1/audio/speech",
            "/v1/audio/transcriptions",
            "/openai/deployments/whisper/audio/translations",
            "/v1/images/generations",
            "/v1/images/edits",
            "/v1/videos",
            "/v1/realtime/sessions",
            "/v1/threads/t1/messages",
            "/v1/threads/t1/runs",
            "/v1/threads/runs",
            "/v1/assistants",
            "/v1/fine_tuning/jobs",
            "/v1/vector_stores/vs1/files",
            "/v1beta/models/gemini-2.5-flash:generateContent",
            "/api/chat",
            "/api/embeddings",
            "/V1/Chat/Completions",
            "/v1/chat%2Fcompletions",
            "/v1/chat/completions/x",
            "/v1/chat/completions/cancel",
            "/v1/chat/completions/a/..",
        ] {
            assert!(matches!(kind(path), Kind::Unmeterable(_)), "{path}");
        }
    }

    #[test]
    fn a_deployment_is_named_by_the_path() {
        assert_eq!(deployment("/openai/deployments/gpt-4o/chat/completions"), Some("gpt-4o"));
        assert_eq!(deployment("/openai/deployments//chat/completions"), None);
        assert_eq!(deployment("/v1/chat/completions"), None);
    }
}
