//! What all of the formats are held to, and how their tests read requests.

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};
use proptest::prelude::*;

use crate::{
    provider::{self, Edits, Endpoint, Format, Observed, Reading, Route, Routes, prepare},
    sse::Events,
    unreadable::Unreadable,
};

/// Where a request to this address goes.
pub(super) fn endpoint(uri: &Uri) -> Endpoint {
    match Routes::new().classify(&Method::POST, uri, &HeaderMap::new()) {
        Route::Metered(endpoint) => endpoint,
        other => panic!("{uri}: {other:?}"),
    }
}

/// Reads a request as a layer does.
pub(super) fn read_at(uri: &str, body: &str) -> Result<Reading, Unreadable> {
    let uri: Uri = uri.parse().unwrap();
    provider::read(&endpoint(&uri), &uri, body.as_bytes())
}

/// A request with these edits; `None` if they change nothing.
pub(super) fn edited(uri: &str, body: &str, edits: Edits<'_>) -> Option<String> {
    let layout = read_at(uri, body).unwrap().layout;
    let out = prepare(&Bytes::copy_from_slice(body.as_bytes()), &layout, &edits)?;
    Some(String::from_utf8(out.to_vec()).unwrap())
}

const FORMATS: [(Format, &str); 4] = [
    (Format::OpenAiChat, "https://api.openai.com/v1/chat/completions"),
    (Format::OpenAiResponses, "https://api.openai.com/v1/responses"),
    (Format::OpenAiEmbeddings, "https://api.openai.com/v1/embeddings"),
    (Format::OpenAiCompletions, "https://api.openai.com/v1/completions"),
];

/// Keys and values that mean something, in any place and order, right or wrong.
fn json() -> impl Strategy<Value = String> {
    const WORDS: &[&str] = &[
        "model",
        "models",
        "input",
        "messages",
        "prompt",
        "content",
        "output",
        "type",
        "role",
        "tools",
        "text",
        "format",
        "schema",
        "reasoning",
        "mode",
        "stream",
        "stream_options",
        "include_usage",
        "max_tokens",
        "max_output_tokens",
        "n",
        "best_of",
        "suffix",
        "result",
        "image_url",
        "file_id",
        "file_data",
        "input_audio",
        "previous_response_id",
        "background",
        "image_generation_call",
        "item_reference",
        "usage",
        "response",
        "input_tokens",
        "prompt_tokens",
        "output_tokens",
        "completion_tokens",
        "total_tokens",
        "tool_usage",
        "image_gen",
        "web_search",
        "num_requests",
        "response.completed",
        "service_tier",
        "data",
        "choices",
        "function",
        "namespace",
        "standard",
        "pro",
        "http://x",
        "é\\u00e9\\n",
        "",
    ];
    let word = || prop::sample::select(WORDS).prop_map(|word| format!("\"{word}\""));
    let number = prop_oneof![
        any::<u64>().prop_map(|number| number.to_string()),
        (0..50u8).prop_map(|number| number.to_string()),
        any::<f64>()
            .prop_filter("JSON has no others", |number| number.is_finite())
            .prop_map(|number| format!("{number:e}")),
    ];
    let leaf = prop_oneof![
        word(),
        number,
        prop::sample::select(vec!["null", "true", "false"]).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(5, 60, 8, move |value| {
        let items = prop::collection::vec(value.clone(), 0..6);
        let members = prop::collection::vec((word(), value), 0..8);
        prop_oneof![
            items.prop_map(|items| format!("[{}]", items.join(","))),
            members.prop_map(|members| {
                let members: Vec<_> =
                    members.iter().map(|(key, value)| format!("{key}:{value}")).collect();
                format!("{{{}}}", members.join(", "))
            }),
        ]
    })
}

/// A request that is read, or nearly: what each format must have, and anything else.
fn request() -> impl Strategy<Value = String> {
    let array =
        || prop::collection::vec(json(), 0..4).prop_map(|items| format!("[{}]", items.join(",")));
    let texts = || prop_oneof![Just(r#""text""#.to_owned()), array()];
    // to responses a prompt is something else
    let prompt = prop::option::of(texts().prop_map(|texts| format!(r#","prompt":{texts}"#)));
    (array(), texts(), prompt, json()).prop_map(|(messages, input, prompt, more)| {
        let prompt = prompt.unwrap_or_default();
        let mut body = format!(r#"{{"model":"m","messages":{messages},"input":{input}{prompt}"#);
        match more.strip_prefix('{') {
            Some("}") | None => body.push('}'),
            Some(more) => body.push_str(&format!(",{more}")),
        }
        body
    })
}

fn read_in_every_format(body: &[u8]) -> Result<(), TestCaseError> {
    for (format, uri) in FORMATS {
        let uri = Uri::from_static(uri);
        let endpoint = endpoint(&uri);
        prop_assert_eq!(endpoint.format, format);
        let Ok(Reading { call, layout, .. }) = provider::read(&endpoint, &uri, body) else {
            continue;
        };
        // What is read is no larger than what was sent: a token weighs three bytes and
        // takes at least two, with what divides it from the next.
        let input = call.input();
        let most = body.len() as u64 * 3 / 2 + 1;
        prop_assert!(input.text_bytes + input.schema_bytes <= most, "{:?}", input);
        prop_assert!(input.messages + input.media <= most, "{:?}", input);
        // What is written is read again, and nothing is left to write.
        let edits = Edits { model: Some("other"), include_usage: true, max_output_tokens: Some(9) };
        let body = Bytes::copy_from_slice(body);
        if let Some(out) = prepare(&body, &layout, &edits) {
            let again = provider::read(&endpoint, &uri, &out);
            let again =
                again.map_err(|error| TestCaseError::fail(format!("{error} in {out:?}")))?;
            prop_assert_eq!(again.call.model(), "other");
            prop_assert_eq!(prepare(&out, &again.layout, &edits), None);
        }
    }
    Ok(())
}

fn observe_in_every_format(bytes: &[u8], size: usize) -> Result<(), TestCaseError> {
    for (format, _) in FORMATS {
        let [mut whole, mut pieced] = [(); 2].map(|()| format.observer());
        whole.feed(bytes);
        whole.end_document();
        bytes.chunks(size).for_each(|piece| pieced.feed(piece));
        pieced.end_document();
        prop_assert_eq!(whole.observed(), pieced.observed());
        check_usage(whole.observed())?;
        let [mut whole, mut pieced] = [(); 2].map(|()| Events::new(format.observer()));
        whole.read_all(bytes);
        whole.finish();
        bytes.chunks(size).for_each(|piece| pieced.read_all(piece));
        pieced.finish();
        prop_assert_eq!(whole.observed(), pieced.observed());
        check_usage(whole.observed())?;
    }
    Ok(())
}

fn check_usage(observed: &Observed) -> Result<(), TestCaseError> {
    if let Some(usage) = observed.usage {
        prop_assert!(usage.is_consistent() && usage.total_tokens() < 1 << 44, "{:?}", usage);
    }
    Ok(())
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_stumble(body in prop::collection::vec(any::<u8>(), 0..400)) {
        read_in_every_format(&body)?;
    }

    #[test]
    fn no_json_makes_a_reader_stumble(body in prop_oneof![request(), json()]) {
        read_in_every_format(body.as_bytes())?;
    }

    #[test]
    fn no_cut_or_bent_request_makes_a_reader_stumble(
        body in request(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bent = body.into_bytes();
        let at = at.index(bent.len());
        read_in_every_format(&bent[..at])?;
        bent[at] = byte;
        read_in_every_format(&bent)?;
    }

    #[test]
    fn no_answer_makes_a_reader_stumble_however_it_is_cut(
        documents in prop::collection::vec(json(), 0..4),
        noise in prop::collection::vec(any::<u8>(), 0..40),
        size in 1..50usize,
    ) {
        let mut stream = Vec::new();
        for document in &documents {
            observe_in_every_format(document.as_bytes(), size)?;
            stream.extend_from_slice(format!("data: {document}\n\n").as_bytes());
            stream.extend_from_slice(&noise);
        }
        observe_in_every_format(&stream, size)?;
    }
}
