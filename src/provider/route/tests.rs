use super::*;

fn post(routes: &Routes, uri: &str) -> Route {
    routes.classify(&Method::POST, &uri.parse().unwrap(), &HeaderMap::new())
}

fn metered(routes: &Routes, uri: &str) -> Endpoint {
    match post(routes, uri) {
        Route::Metered(endpoint) => endpoint,
        other => panic!("{uri}: {other:?}"),
    }
}

#[test]
fn reading_is_free_unless_it_upgrades() {
    let uri = Uri::from_static("https://api.openai.com/v1/realtime");
    let mut headers = HeaderMap::new();
    for method in [Method::GET, Method::HEAD, Method::OPTIONS, Method::DELETE] {
        assert_eq!(Routes::new().classify(&method, &uri, &headers), Route::Free);
    }
    headers.insert(UPGRADE, "h2c, WebSocket".parse().unwrap());
    let route = Routes::new().classify(&Method::GET, &uri, &headers);
    assert_eq!(route, Route::Unmeterable("a websocket cannot be metered"));
}

#[test]
fn known_hosts_have_their_own_prices_and_keys() {
    let routes = Routes::new();
    let endpoint = metered(&routes, "https://api.openai.com/v1/chat/completions");
    assert_eq!(endpoint.provider, Provider::OPENAI);
    assert_eq!(endpoint.output_key, OutputKey::MaxCompletionTokens);
    assert!(endpoint.asks_usage && !endpoint.model_in_path);
    let endpoint = metered(&routes, "https://api.deepseek.com/chat/completions");
    assert_eq!(endpoint.provider, Provider::named("deepseek"));
    assert_eq!(endpoint.output_key, OutputKey::MaxTokens);
    let azure =
        "https://me.openai.azure.com/openai/deployments/x/chat/completions?api-version=2024-10-21";
    let endpoint = metered(&routes, azure);
    assert_eq!(endpoint.provider, Provider::AZURE);
    assert!(endpoint.asks_usage && endpoint.model_in_path);
}

#[test]
fn unknown_hosts_are_metered_as_openai_and_not_asked() {
    let endpoint = metered(&Routes::new(), "https://llm.example.com/chat/completions");
    assert_eq!((endpoint.provider.name(), endpoint.asks_usage), ("openai", false));
    let endpoint = metered(&Routes::new(), "http://127.0.0.1:8000/v1/chat/completions");
    assert_eq!((endpoint.provider.name(), endpoint.asks_usage), ("openai", true));
}

#[test]
fn a_host_override_sets_prices_and_judges_paths_as_everywhere() {
    let groq = Provider::named("groq");
    let routes = Routes::new()
        .metered_at("llm.example.com", Format::OpenAiChat, groq.clone())
        .ask_usage("llm.example.com", true);
    let endpoint = metered(&routes, "https://llm.example.com/v1/chat/completions");
    assert_eq!((endpoint.provider, endpoint.asks_usage), (groq, true));
    assert_eq!(post(&routes, "https://llm.example.com/v1/files"), Route::Free);
    let other = post(&routes, "https://llm.example.com/v1/audio/speech");
    assert!(matches!(other, Route::Unmeterable(_)), "{other:?}");
}

#[test]
fn an_override_sets_the_prices_of_every_format() {
    let corp = Provider::named("corp");
    for (path, format) in [
        ("v1/chat/completions", Format::OpenAiChat),
        ("v1/messages", Format::AnthropicMessages),
        ("v1beta/models/gemini-2.5-pro:generateContent", Format::GeminiGenerate),
    ] {
        let routes = Routes::new().metered_at("llm.example.com", format, corp.clone());
        let endpoint = metered(&routes, &format!("https://llm.example.com/{path}"));
        assert_eq!((endpoint.format, endpoint.provider), (format, corp.clone()));
    }
}

#[test]
fn a_path_override_meters_whatever_the_path_is_called() {
    let routes = Routes::new().metered_at("/talk", Format::OpenAiChat, Provider::OPENAI);
    metered(&routes, "https://llm.example.com/talk/now");
    assert!(matches!(post(&routes, "https://llm.example.com/talks"), Route::Unmeterable(_)));
}

#[test]
fn the_override_given_last_wins() {
    let routes = Routes::new().deny_at("llm.example.com").free_at("/v1/batches");
    assert_eq!(post(&routes, "https://llm.example.com/v1/batches"), Route::Free);
    let denied = post(&routes, "https://llm.example.com/v1/chat/completions");
    assert_eq!(denied, Route::Unmeterable("the policy's routes deny this path"));
}

#[test]
fn a_free_path_does_not_lead_elsewhere() {
    let routes = Routes::new().free_at("/v1/feedback");
    assert_eq!(post(&routes, "/v1/feedback/x"), Route::Free);
    for path in [
        "/v1/feedback/../chat/completions",
        "/v1/feedback/%2e%2e/chat/completions",
        "/v1/feedback/..%2fchat/completions",
        "/v1/feedback//../chat/completions",
    ] {
        assert!(matches!(post(&routes, path), Route::Unmeterable(_)), "{path}");
    }
}

#[test]
fn azure_is_asked_only_in_versions_that_understand() {
    let asks = |uri: &str| metered(&Routes::new(), uri).asks_usage;
    let deployment = "https://me.openai.azure.com/openai/deployments/x/chat/completions";
    for (version, understands) in [
        ("?api-version=2023-05-15", false),
        ("?api-version=2024-08-01-preview", false),
        ("?a=b&api-version=2024-06-01", false),
        ("?api-version=2024-09-01-preview", true),
        ("?api-version=2024-10-21", true),
        ("?api-version=2025-04-01-preview&a=b", true),
        ("", true),
    ] {
        assert_eq!(asks(&format!("{deployment}{version}")), understands, "{version}");
    }
    assert!(asks("https://me.openai.azure.com/openai/v1/chat/completions?api-version=preview"));
    assert!(!asks(
        "https://me.services.ai.azure.com/models/chat/completions?api-version=2024-05-01-preview"
    ));
    // The version is Azure's: elsewhere it says nothing, and an override wins.
    assert!(asks("https://api.openai.com/v1/chat/completions?api-version=2023-05-15"));
    let routes = Routes::new().ask_usage("me.openai.azure.com", true);
    assert!(metered(&routes, &format!("{deployment}?api-version=2023-05-15")).asks_usage);
}

#[test]
fn only_a_compaction_has_no_output_maximum() {
    let key = |uri| metered(&Routes::new(), uri).output_key;
    assert_eq!(key("https://api.openai.com/v1/responses/compact"), OutputKey::None);
    assert_eq!(key("https://api.openai.com/v1/responses"), OutputKey::MaxCompletionTokens);
    let routes = Routes::new().metered_at("/v1/responses", Format::OpenAiChat, Provider::OPENAI);
    let overridden = metered(&routes, "https://api.openai.com/v1/responses/compact");
    assert_eq!(overridden.output_key, OutputKey::MaxCompletionTokens);
}

#[test]
fn every_known_host_is_one_that_the_book_has_prices_for() {
    let book = crate::PriceBook::bundled();
    for uri in [
        "https://api.openai.com/v1/responses",
        "https://me.openai.azure.com/openai/v1/responses",
        "https://me.services.ai.azure.com/openai/v1/responses",
        "https://api.mistral.ai/v1/chat/completions",
        "https://api.groq.com/openai/v1/chat/completions",
        "https://api.deepseek.com/chat/completions",
        "https://api.x.ai/v1/chat/completions",
        "https://us-east-1.api.x.ai/v1/responses",
        "https://openrouter.ai/api/v1/chat/completions",
        "https://api.together.ai/v1/completions",
        "https://api.fireworks.ai/inference/v1/embeddings",
        "https://api.perplexity.ai/chat/completions",
        "https://api.cerebras.ai/v1/chat/completions",
    ] {
        let provider = metered(&Routes::new(), uri).provider;
        assert!(book.entries().any(|entry| *entry.provider() == provider), "{uri}: {provider}");
    }
}

#[test]
fn a_deployment_that_may_be_another_is_not_metered() {
    for path in [
        "deployments/gpt-4o-mini/../gpt-4o/chat/completions",
        "Deployments/gpt-4o/chat/completions",
        "%64eployments/gpt-4o/embeddings",
    ] {
        let uri = format!("https://me.openai.azure.com/openai/{path}?api-version=1");
        assert_eq!(post(&Routes::new(), &uri), Route::Unmeterable(path::DEVIOUS), "{path}");
    }
}

#[test]
fn a_call_in_the_guise_of_another_method_is_not_free() {
    let uri = "https://x.example/v1beta/models/gemini-2.5-pro:generateContent".parse().unwrap();
    for name in ["x-http-method-override", "X-HTTP-Method", "x-method-override"] {
        let name: http::HeaderName = name.parse().unwrap();
        let headers = HeaderMap::from_iter([(name.clone(), "POST".parse().unwrap())]);
        for method in [Method::GET, Method::DELETE] {
            let route = Routes::new().classify(&method, &uri, &headers);
            assert!(matches!(route, Route::Unmeterable(_)), "{name}: {route:?}");
        }
        let route = Routes::new().classify(&Method::POST, &uri, &headers);
        assert!(matches!(route, Route::Metered(_)), "{name}: {route:?}");
    }
}
