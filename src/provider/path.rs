//! What the path of a request with a body says.

use super::{
    format::Format,
    gemini_path::{COLLECTIONS, segment, unescaped},
    place::is_devious,
    short,
};
use crate::blocks::{Block, are};

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
        // Not by way of `..`: `/v1/uploads/../complete` may be served as `/v1/complete`.
        (upload, "parts" | "complete")
            if !(upload.is_empty() || is_devious(upload)) && tail.next() == Some("uploads") =>
        {
            Free
        }
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
        ("v1", "messages") => Metered(Format::AnthropicMessages),
        ("v1", "complete") => Unmeterable("Anthropic's text completions are not read"),
        (_, "invoke" | "invoke-with-response-stream" | "converse" | "converse-stream") => {
            Unmeterable("Amazon Bedrock's own API is not read")
        }
        _ => match last.rsplit_once(':') {
            Some((name, method)) => google(before, name, method),
            None => Unmeterable(UNKNOWN),
        },
    }
}

/// What a method of Google's is, `before` being the collection of what it is called on.
fn google(before: &str, name: &str, method: &str) -> Kind {
    match method {
        "generateContent" | "streamGenerateContent" => {
            if leads_elsewhere(name) {
                Kind::Unmeterable(DEVIOUS)
            } else if COLLECTIONS.contains(&before) && !name.is_empty() {
                Kind::Metered(Format::GeminiGenerate)
            } else {
                Kind::Unmeterable("Gemini's content generation names a model in its path")
            }
        }
        "countTokens" | "computeTokens" => Kind::Free,
        "embedContent" | "batchEmbedContents" => {
            Kind::Unmeterable("Gemini's embeddings do not tell their usage")
        }
        "batchGenerateContent" | "asyncBatchEmbedContent" => {
            Kind::Unmeterable("batches are billed later, and elsewhere")
        }
        "rawPredict" | "streamRawPredict" => {
            Kind::Unmeterable("other makers' models on Vertex AI are not read")
        }
        "predict" | "predictLongRunning" => {
            Kind::Unmeterable("Google's images, videos and predictions are not read")
        }
        _ => Kind::Unmeterable(UNKNOWN),
    }
}

const WORD: &[u8] = b"deployments";

/// The name in `/deployments/{name}/…`, if the path has one.
pub(super) fn deployment(path: &str) -> Option<&str> {
    const BEFORE: &[u8] = b"/deployments/";
    let at = path.as_bytes().windows(BEFORE.len()).position(|part| part == BEFORE)?;
    let behind = path.get(at + BEFORE.len()..)?;
    let name = behind.get(..behind.bytes().position(|byte| byte == b'/')?)?;
    Some(name).filter(|name| !name.is_empty())
}

/// The same for a path that is yet to be judged.
///
/// # Errors
/// The reason, if the path may be served by another deployment than the one it names, or
/// by one where it names none: a provider that reads `..`, `%64` or capitals in its own way
/// would answer with a model that no rule has seen.
#[inline]
pub(super) fn sure_deployment(path: &str) -> Result<Option<&str>, &'static str> {
    match may_name_deployments(path) {
        false => Ok(None),
        true => judge(path),
    }
}

/// The same for a path that may name one.
fn judge(path: &str) -> Result<Option<&str>, &'static str> {
    let may_be_read_otherwise = |block| are(block, b'%') | are(block, b';') | are(block, b'\\');
    if short::has(path, may_be_read_otherwise) {
        return judge_at_length(path);
    }
    // The slashes at its ends lead nowhere else.
    let inner = path.strip_prefix('/').unwrap_or(path);
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    let (mut is_devious, mut is_named, mut is_named_twice) = (false, false, false);
    for segment in inner.as_bytes().split(|byte| *byte == b'/') {
        is_devious |= matches!(segment, b"" | b"." | b"..");
        if segment.eq_ignore_ascii_case(WORD) {
            (is_named, is_named_twice) = (true, is_named);
        }
    }
    match deployment(path) {
        None if is_named => Err(DEVIOUS),
        Some(_) if is_devious || is_named_twice => Err(DEVIOUS),
        name => Ok(name),
    }
}

/// The same for one that may be read in several ways.
fn judge_at_length(path: &str) -> Result<Option<&str>, &'static str> {
    // Twice, because one that stands before another may do so once itself.
    let once = unescaped(path);
    let plain = unescaped(&once);
    let mut all = plain.split(['/', '\\']).filter(|segment| {
        let name = segment.split(';').next().unwrap_or_default();
        name.as_bytes().eq_ignore_ascii_case(WORD)
    });
    let is_hidden = match (all.next(), all.next()) {
        (None, _) => false,
        (Some(_), Some(_)) => true,
        (Some(_), None) => is_devious(path) || deployment(path).is_none(),
    };
    if is_hidden { Err(DEVIOUS) } else { Ok(deployment(path)) }
}

/// Whether the word is in a path, or may be if it is read in another way. Nearly every
/// path is one in which it is not.
#[inline]
fn may_name_deployments(path: &str) -> bool {
    let begins = |first: &u8| first.eq_ignore_ascii_case(&b'd');
    let is_word = |part: &[u8]| part.first().is_some_and(begins) && part.eq_ignore_ascii_case(WORD);
    // With this bit, letters of both cases are the same.
    let may_begin = |block: Block| are(block | Block::splat(0x20), b'd') | are(block, b'%');
    short::has(path, may_begin)
        && (path.as_bytes().windows(WORD.len()).any(is_word) || path.contains('%'))
}

/// Whether a name would lead to another one if its escapes were read as a part of the path.
fn leads_elsewhere(name: &str) -> bool {
    unescaped(name).split(['/', '\\']).any(|part| matches!(part, "." | ".."))
}

/// Whether what is asked for under this path cannot be given an output maximum.
pub(super) fn has_no_maximum(path: &str) -> bool {
    path.trim_end_matches('/').ends_with("/responses/compact")
}

/// The path to another deployment.
pub(super) fn to_deployment(path: &str, model: &str) -> Option<String> {
    let old = deployment(path)?;
    // The deployment is a part of the path, so it has a place in it.
    let (before, after) = path.split_once(&format!("/deployments/{old}/"))?;
    Some(format!("{before}/deployments/{}/{after}", segment(model)))
}

pub(super) const DEVIOUS: &str = "the path may lead elsewhere than it says";
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
    use proptest::{collection::vec, prelude::*, sample::select};

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
    fn messages_are_metered_where_anthropics_clients_send_them() {
        for path in ["/v1/messages", "/anthropic/v1/messages/", "/api/v1/messages"] {
            assert_eq!(kind(path), Kind::Metered(Format::AnthropicMessages), "{path}");
        }
    }

    #[test]
    fn content_generation_is_metered_for_every_model() {
        for path in [
            "/v1beta/models/gemini-2.5-flash:generateContent",
            "/models/gemini-2.5-flash:streamGenerateContent/",
            "/v1beta/models/gemini%2D2.5%2dflash:generateContent",
            "/v1beta/models/a:b:generateContent",
            "/v1beta/tunedModels/mine-17:generateContent",
            "/v1/projects/p/locations/l/publishers/google/models/gemini-3-pro:generateContent",
            "/v1/projects/p/locations/l/endpoints/123:streamGenerateContent",
        ] {
            assert_eq!(kind(path), Kind::Metered(Format::GeminiGenerate), "{path}");
        }
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
            "/messages",
            "/v1/messages/batches",
            "/v1/Responses",
            "/v1/embed",
            "/v1/rerank",
            "/v1/messages/m1",
            "/v1/complete",
            "/model/anthropic.claude-sonnet-4-6/invoke",
            "/model/anthropic.claude-sonnet-4-6/converse-stream",
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
            "/v1beta/models/gemini-2.5-flash:embedContent",
            "/v1beta/models/gemini-2.5-flash:batchEmbedContents",
            "/v1beta/models/gemini-2.5-flash:batchGenerateContent",
            "/v1beta/models/gemini-2.5-flash:generatecontent",
            "/v1beta/models/gemini-2.5-flash%3AgenerateContent",
            "/v1beta/models/gemini-2.5-flash:generate%43ontent",
            "/v1beta/models/:generateContent",
            "/v1beta/models:generateContent",
            "/v1beta/models/x/y:generateContent",
            "/v1/projects/p/locations/l/publishers/anthropic/models/claude-opus-4-8:rawPredict",
            "/v1/publishers/google/models/veo-3:predictLongRunning",
            "/v1beta/cachedContents",
            "/api/chat",
            "/api/embeddings",
            "/V1/Chat/Completions",
            "/v1/chat%2Fcompletions",
            "/v1/chat/completions/x",
            "/v1/chat/completions/cancel",
            "/v1/chat/completions/a/..",
            "/v1/uploads/../complete",
            "/v1/uploads/%2e%2e/complete",
            "/v1/uploads//complete",
            "/v1beta/models/gemini-2.5-flash/../gemini-2.5-pro:generateContent",
            "/v1beta/models/gemini-2.5-flash%2F..%2Fgemini-2.5-pro:generateContent",
            "/v1beta/models/..%5Cmodels%5Cgemini-2.5-pro:streamGenerateContent",
            "/v1beta/models/..:generateContent",
        ] {
            assert!(matches!(kind(path), Kind::Unmeterable(_)), "{path}");
        }
    }

    proptest! {
        #[test]
        fn a_plain_path_is_judged_as_any_other(
            parts in vec(select(vec![
                "/", "/", "//", "deployments", "/deployments/", "Deployments", "deployment", "a",
                "gpt-4.1", ".", "..", "é", "%64", "%2F", ";", "\\",
            ]), 0..9),
        ) {
            let path = parts.concat();
            prop_assert_eq!(judge(&path), judge_at_length(&path));
            prop_assert_eq!(sure_deployment(&path), judge_at_length(&path));
        }
    }

    #[test]
    fn a_deployment_is_named_by_the_path() {
        assert_eq!(deployment("/openai/deployments/gpt-4o/chat/completions"), Some("gpt-4o"));
        assert_eq!(deployment("/openai/deployments//chat/completions"), None);
        assert_eq!(deployment("/v1/chat/completions"), None);
    }

    #[test]
    fn a_deployment_that_may_be_another_is_hidden() {
        for path in [
            "/openai/deployments/gpt-4o-mini/../gpt-4o/chat/completions",
            "/openai/deployments/gpt-4o-mini/%2e%2E/gpt-4o/chat/completions",
            "/openai/deployments/gpt%2D4o/chat/completions",
            "/openai/deployments//gpt-4o/chat/completions",
            "/openai/Deployments/gpt-4o/chat/completions",
            "/openai/%64eployments/gpt-4o/chat/completions",
            "/openai/%2564eployments/gpt-4o/chat/completions",
            "/openai%2Fdeployments%2Fgpt-4o/chat/completions",
            "/openai/deployments;v=1/gpt-4o/chat/completions",
            "/openai/deployments/gpt-4o-mini/deployments/gpt-4o/chat/completions",
        ] {
            assert_eq!(sure_deployment(path), Err(DEVIOUS), "{path}");
        }
        for path in [
            "/openai/deployments/gpt-4o/chat/completions",
            "/v1/files/../chat/completions",
            "/a%20b/v1/chat/completions",
            "/v1/responses",
        ] {
            assert_eq!(sure_deployment(path), Ok(deployment(path)), "{path}");
        }
    }
}
