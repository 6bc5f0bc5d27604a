//! No bytes make a reader stumble, in whatever format.

mod speech;

use bytes::Bytes;
use http::Uri;
use proptest::{prelude::*, sample::Index};

use self::speech::{json, request};
use super::{Edits, Format, Observed, Observer, Reading, prepare, read, tests::endpoint};
use crate::sse::Events;

/// A format, and what it is held to.
#[derive(Debug)]
struct Spoken {
    format: Format,
    uri: &'static str,
    /// The most bytes of text that may come of so many bytes of a request.
    most: fn(u64) -> u64,
    /// Members of requests: the first is always there.
    members: &'static [&'static str],
}

const SPOKEN: &[Spoken] = &[
    Spoken {
        format: Format::OpenAiChat,
        uri: "https://api.openai.com/v1/chat/completions",
        most: AS_SENT,
        members: &[
            r#""model":"m","messages":[{"role":"user","content":?},{"content":[{"text":?}],?:?}]"#,
            r#""max_tokens":12"#,
            r#""max_completion_tokens":null"#,
            r#""n":2"#,
            r#""stream":true"#,
            r#""stream_options":{"x":?}"#,
            r#""tools":[{"type":"function","function":?},?]"#,
            r#""response_format":{"json_schema":?}"#,
            r#""prediction":{"content":?}"#,
            r#""audio":?"#,
        ],
    },
    Spoken {
        format: Format::OpenAiResponses,
        uri: "https://api.openai.com/v1/responses",
        most: AS_SENT,
        members: &[
            r#""model":"m","input":[{"role":"user","content":?},{"type":?,"output":?,"result":?}]"#,
            r#""instructions":"x""#,
            r#""max_output_tokens":12"#,
            r#""stream":true"#,
            r#""tools":[{"type":"function","parameters":?},?]"#,
            r#""text":{"format":{"schema":?},"x":?}"#,
            r#""reasoning":?"#,
            r#""previous_response_id":?"#,
            r#""prompt":?"#,
        ],
    },
    Spoken {
        format: Format::OpenAiEmbeddings,
        uri: "https://api.openai.com/v1/embeddings",
        most: AS_SENT,
        members: &[r#""model":"m","input":[?,?]"#, r#""x":?"#, r#""models":?"#],
    },
    Spoken {
        format: Format::OpenAiCompletions,
        uri: "https://api.openai.com/v1/completions",
        most: AS_SENT,
        members: &[
            r#""model":"m""#,
            r#""prompt":[?,?]"#,
            r#""max_tokens":12"#,
            r#""stream":true"#,
            r#""stream_options":{"x":?}"#,
            r#""best_of":3"#,
            r#""suffix":"x""#,
            r#""prompt_embeds":?"#,
        ],
    },
    Spoken {
        format: Format::AnthropicMessages,
        uri: "https://api.anthropic.com/v1/messages",
        most: WITH_ADDITIONS,
        members: CLAUDE,
    },
    Spoken {
        format: Format::GeminiGenerate,
        uri: "https://x.example/v1beta/models/m:streamGenerateContent?alt=sse",
        most: WITH_ADDITIONS,
        members: GEMINI,
    },
    Spoken {
        format: Format::GeminiGenerate,
        uri: "https://x.example/v1/projects/p/endpoints/m:generateContent",
        most: WITH_ADDITIONS,
        members: GEMINI,
    },
];

/// A token weighs three bytes and takes at least two, with what divides it from the next.
const AS_SENT: fn(u64) -> u64 = |bytes| bytes * 3 / 2 + 1;

/// Of one byte come no more than those of a tool that is known by its name, or of a text
/// that is to be cited at each of its levels.
const WITH_ADDITIONS: fn(u64) -> u64 = |bytes| bytes * 200 + 4_096;

const CLAUDE: &[&str] = &[
    r#""model":"m","messages":[{"role":"user","content":?},{"content":[{"text":"x","source":?}]}]"#,
    r#""system":?"#,
    r#""max_tokens":12"#,
    r#""tools":[{"type":"bash_1","x":?},{"name":"f","input_schema":?}]"#,
    r#""output_config":{"format":{"schema":?},"x":?}"#,
    r#""context_management":{"edits":?}"#,
    r#""container":?"#,
    r#""mcp_servers":?"#,
    r#""metadata":?"#,
];

const GEMINI: &[&str] = &[
    r#""contents":[{"role":"user","parts":[{"text":"x"},{"functionCall":?},{"x":?}]}]"#,
    r#""systemInstruction":{"parts":{"inlineData":{"mimeType":"text/plain","data":?}}}"#,
    r#""generationConfig":{"maxOutputTokens":12,"responseSchema":?}"#,
    r#""generation_config":{"response_json_schema":?,"x":?}"#,
    r#""tools":[{"functionDeclarations":?,"googleSearch":{}}]"#,
    r#""toolConfig":?"#,
    r#""safetySettings":?"#,
];

fn read_in_every_format(body: &[u8]) -> Result<(), TestCaseError> {
    SPOKEN.iter().try_for_each(|spoken| read_in(spoken, body))
}

fn read_in(spoken: &Spoken, body: &[u8]) -> Result<(), TestCaseError> {
    let uri = Uri::from_static(spoken.uri);
    let endpoint = endpoint(&uri);
    prop_assert_eq!(endpoint.format, spoken.format);
    let Ok(Reading { call, layout, .. }) = read(&endpoint, &uri, body) else { return Ok(()) };
    let (input, sent) = (call.input(), body.len() as u64);
    prop_assert!(input.text_bytes + input.schema_bytes <= (spoken.most)(sent), "{:?}", input);
    prop_assert!(input.messages + input.media <= sent, "{:?}", input);
    // What is written is read again, and nothing is left to write.
    let edits = Edits { model: Some("other"), include_usage: true, max_output_tokens: Some(9) };
    let (mut out, mut shared) = (Bytes::copy_from_slice(body), Bytes::copy_from_slice(body));
    let _other = shared.clone();
    let there = endpoint.uri_for(&uri, "other").unwrap().unwrap_or(uri);
    let is_written = prepare(&mut out, &layout, &edits);
    prop_assert_eq!(prepare(&mut shared, &layout, &edits), is_written);
    prop_assert_eq!(&out, &shared);
    if !is_written {
        return Ok(());
    }
    let again = read(&endpoint, &there, &out);
    let again = again.map_err(|error| TestCaseError::fail(format!("{error} in {out:?}")))?;
    prop_assert_eq!(again.call.model(), "other");
    // A prediction that is not met is billed on top.
    prop_assert!(again.call.max_output_tokens().is_none_or(|most| most <= 9 + sent));
    prop_assert_eq!(again.call.max_output_tokens().is_none(), layout.output == [None, None]);
    prop_assert!(!prepare(&mut out, &again.layout, &edits));
    Ok(())
}

fn observe_in_every_format(bytes: &[u8], size: usize) -> Result<(), TestCaseError> {
    for Spoken { format, .. } in SPOKEN {
        let [mut whole, mut pieced] = [(); 2].map(|()| format.observer());
        whole.feed(bytes);
        whole.end_document();
        bytes.chunks(size).for_each(|piece| pieced.feed(piece));
        pieced.end_document();
        prop_assert_eq!(whole.observed(), pieced.observed());
        prop_assert_eq!(&Observer::document(format.dialect(), bytes), pieced.observed());
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
        prop_assert!(usage.is_consistent() && usage.total_tokens() < 1 << 50, "{:?}", usage);
    }
    Ok(())
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_stumble(body in prop::collection::vec(any::<u8>(), 0..400)) {
        read_in_every_format(&body)?;
    }

    #[test]
    fn no_request_makes_a_reader_stumble(
        requests in SPOKEN.iter().map(|spoken| request(spoken.members)).collect::<Vec<_>>(),
        noise in json(),
        at in any::<Index>(),
        byte in any::<u8>(),
    ) {
        read_in_every_format(noise.as_bytes())?;
        for (spoken, request) in SPOKEN.iter().zip(requests) {
            read_in_every_format(request.as_bytes())?;
            let mut bent = request.into_bytes();
            let at = at.index(bent.len());
            read_in(spoken, &bent[..at])?;
            bent[at] = byte;
            read_in(spoken, &bent)?;
        }
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
        let mut list = format!(" [{}", documents.join(",\n")).into_bytes();
        observe_in_every_format(&list, size)?;
        list.extend_from_slice(&noise);
        list.extend_from_slice(b"]");
        observe_in_every_format(&list, size)?;
    }
}

#[test]
fn a_usual_answer_tells_the_same_however_it_is_cut() {
    for answer in [
        r#"{"model":"m","choices":[{"message":{"content":"x"}}],"service_tier":"default",
            "usage":{"prompt_tokens":12,"completion_tokens":7,"total_tokens":19}}"#,
        r#"{"model":"m","output":[],"usage":{"input_tokens":9,"output_tokens":8}}"#,
        r#"{"type":"response.completed","response":{"model":"m","usage":{"input_tokens":9,"output_tokens":8}}}"#,
        r#"{"object":"list","data":[],"model":"m","usage":{"prompt_tokens":8,"total_tokens":8}}"#,
        r#"{"type":"message","model":"m","stop_reason":null,"usage":{"input_tokens":9,"output_tokens":5}}"#,
        r#"{"candidates":[{"content":{}}],"usageMetadata":{"promptTokenCount":5,"totalTokenCount":5}}"#,
    ] {
        for size in 1..answer.len() {
            observe_in_every_format(answer.as_bytes(), size).unwrap();
            observe_in_every_format(format!("data: {answer}\n\n").as_bytes(), size).unwrap();
        }
    }
}

#[test]
fn an_endless_list_costs_no_memory_and_no_time() {
    let part = r#"{"candidates":[{"content":{"parts":[{"text":"x"}]},"groundingMetadata":{"a":"b"}}],
        "usageMetadata":{"promptTokenCount":1}},"#;
    let many = part.repeat(1_000);
    let mut observer = Format::GeminiGenerate.observer();
    observer.feed(b"[");
    for _ in 0..50 {
        observer.feed(many.as_bytes());
    }
    assert_eq!(observer.observed().usage.map(|usage| usage.input_tokens), Some(1));
    assert_eq!(observer.kept_len(), 0);
}
