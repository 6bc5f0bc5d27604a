//! What is written into a request.

use proptest::prelude::*;

use super::*;

const GROQ: &str = "https://api.groq.com/openai/v1/chat/completions";

const ASK: Edits<'static> = Edits { model: None, include_usage: true, max_output_tokens: None };

fn most(tokens: u64) -> Edits<'static> {
    Edits { max_output_tokens: Some(tokens), ..Edits::default() }
}

#[test]
fn the_model_is_replaced_and_nothing_else() {
    let body = r#" {"messages":[{"model":"gpt-4o"}] , "model" : "gpt-4o" , "x":1.50} "#;
    let edits = Edits { model: Some("a\"b"), ..Edits::default() };
    assert_eq!(
        edited(OPENAI, body, edits).unwrap(),
        r#" {"messages":[{"model":"gpt-4o"}] , "model" : "a\"b" , "x":1.50} "#
    );
    assert_eq!(edited(OPENAI, body, Edits { model: Some("gpt-4o"), ..Edits::default() }), None);
}

#[test]
fn usage_is_asked_for_wherever_the_ask_has_its_place() {
    for (options, expected) in [
        ("", r#","stream_options":{"include_usage":true}"#),
        (r#","stream_options":null"#, r#","stream_options":{"include_usage":true}"#),
        (r#","stream_options":{}"#, r#","stream_options":{"include_usage":true}"#),
        (r#","stream_options":{ "a":{}}"#, r#","stream_options":{"include_usage":true, "a":{}}"#),
        (
            r#","stream_options":{"a":1,"include_usage":false}"#,
            r#","stream_options":{"a":1,"include_usage":true}"#,
        ),
        (
            r#","stream_options":{"include_usage":null}"#,
            r#","stream_options":{"include_usage":true}"#,
        ),
    ] {
        let body = |options| format!(r#"{{"model":"m","messages":[],"stream":true{options}}}"#);
        assert_eq!(edited(OPENAI, &body(options), ASK).unwrap(), body(expected), "{options}");
        assert!(read_at(OPENAI, &body(options)).unwrap().ask_usage);
        assert!(
            !read_at("https://llm.example.com/chat/completions", &body(options)).unwrap().ask_usage
        );
    }
}

#[test]
fn usage_is_not_asked_for_twice_or_outside_a_stream() {
    for members in [
        r#""stream":false"#,
        r#""stream_options":null"#,
        r#""stream":true,"stream_options":{"include_usage":true}"#,
    ] {
        let body = format!(r#"{{"model":"m","messages":[],{members}}}"#);
        assert_eq!(edited(OPENAI, &body, ASK), None, "{members}");
        assert!(!read_at(OPENAI, &body).unwrap().ask_usage);
    }
}

#[test]
fn a_maximum_is_written_where_one_is_stated_or_where_the_host_looks() {
    let body = |members: &str| format!(r#"{{"model":"m","messages":[]{members}}}"#);
    for (uri, before, after) in [
        (OPENAI, "", r#","max_completion_tokens":9"#),
        (GROQ, "", r#","max_tokens":9"#),
        (OPENAI, r#","max_tokens":700"#, r#","max_tokens":9"#),
        (GROQ, r#","max_completion_tokens":10"#, r#","max_completion_tokens":9"#),
        (OPENAI, r#","max_completion_tokens":null"#, r#","max_completion_tokens":9"#),
        (OPENAI, r#","max_tokens":null"#, r#","max_tokens":null,"max_completion_tokens":9"#),
        (
            OPENAI,
            r#","max_completion_tokens":700,"max_tokens":8"#,
            r#","max_completion_tokens":9,"max_tokens":8"#,
        ),
    ] {
        assert_eq!(edited(uri, &body(before), most(9)).unwrap(), body(after), "{uri} {before}");
    }
}

/// Requests as clients write them, their keys in any order.
fn requests() -> impl Strategy<Value = Vec<(String, Value)>> {
    let tokens = || prop_oneof![Just(Value::Null), (1..100_000).prop_map(Value::from)];
    let options = prop_oneof![
        Just(Value::Null),
        Just(json!({})),
        Just(json!({"include_usage": false, "x": [1]})),
        Just(json!({"x": {"include_usage": 1}, "include_usage": true})),
    ];
    let member = |name: &'static str, value: BoxedStrategy<Value>| {
        prop::option::of(value.prop_map(move |value| (name.to_owned(), value)))
    };
    let members = (
        member("stream", any::<bool>().prop_map(Value::from).boxed()),
        member("stream_options", options.boxed()),
        member("max_tokens", tokens().boxed()),
        member("max_completion_tokens", tokens().boxed()),
        member("temperature", (0.0..2.0).prop_map(Value::from).boxed()),
        member("métadata", ".{0,20}".prop_map(|text| json!({ "model": text })).boxed()),
        ".{1,30}".prop_map(|name| ("model".to_owned(), Value::from(name))),
        prop::collection::vec(".{0,50}", 0..4)
            .prop_map(|texts| ("messages".to_owned(), json!(texts))),
    );
    members
        .prop_map(|(a, b, c, d, e, f, model, messages)| {
            [a, b, c, d, e, f, Some(model), Some(messages)]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
        })
        .prop_shuffle()
}

/// The members as JSON.
fn written(members: &[(String, Value)], space: &str) -> String {
    let members: Vec<_> = members
        .iter()
        .map(|(key, value)| format!("{space}{}{space}:{space}{value}", Value::from(key.as_str())))
        .collect();
    format!("{space}{{{}{space}}}{space}", members.join(","))
}

fn expected(mut value: Value, edits: &Edits<'_>) -> Value {
    if let Some(model) = edits.model {
        value["model"] = model.into();
    }
    if edits.include_usage && value["stream"] == true {
        value["stream_options"]["include_usage"] = true.into();
    }
    if let Some(tokens) = edits.max_output_tokens {
        let stated: Vec<_> = ["max_tokens", "max_completion_tokens"]
            .into_iter()
            .filter(|key| value[*key].is_number())
            .collect();
        for key in if stated.is_empty() { vec!["max_completion_tokens"] } else { stated } {
            value[key] = value[key].as_u64().map_or(tokens, |stated| stated.min(tokens)).into();
        }
    }
    value
}

proptest! {
    #[test]
    fn only_what_was_edited_differs(
        members in requests(),
        space in prop::sample::select(vec!["", " ", "\n\t"]),
        model in prop::option::of(".{1,40}"),
        include_usage in any::<bool>(),
        max_output_tokens in prop::option::of(1..u64::from(u32::MAX)),
    ) {
        let body = written(&members, space);
        let edits = Edits { model: model.as_deref(), include_usage, max_output_tokens };
        let original: Value = serde_json::from_str(&body).unwrap();
        let out = edited(OPENAI, &body, edits);
        let edited: Value = serde_json::from_str(out.as_deref().unwrap_or(&body)).unwrap();
        let expected = expected(original.clone(), &edits);
        prop_assert_eq!(&edited, &drop_nulls(expected, &edited));
        // A second pass has nothing left to do.
        if let Some(out) = out {
            prop_assert_eq!(self::edited(OPENAI, &out, edits), None);
        }
    }
}

/// Indexing a value while expecting put `null` where there was nothing.
fn drop_nulls(mut expected: Value, edited: &Value) -> Value {
    if let Value::Object(members) = &mut expected {
        members.retain(|key, value| !value.is_null() || edited.get(key).is_some());
    }
    expected
}
