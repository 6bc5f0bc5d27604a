//! The README's code that needs features, which its doctests do not have. Here it is built and
//! run, and compared with what the README shows.
#![allow(clippy::unwrap_used)]

use tower::BoxError;

/// Whether what stands between two marks in here is code of the README's, white space aside.
fn is_shown(mark: &str) -> bool {
    let here = include_str!("readme.rs");
    let (begin, end) = (format!("// {mark} begins"), format!("// {mark} ends"));
    let code = here.split_once(&begin).and_then(|(_, rest)| rest.split_once(&end)).unwrap().0;
    let squashed = |text: &str| text.split_whitespace().collect::<String>();
    let shown = squashed(&format!("```rust,ignore{code}```"));
    squashed(include_str!("../README.md")).contains(&shown)
}

#[tokio::test]
async fn budgets_that_survive() -> Result<(), BoxError> {
    let directory = tempfile::tempdir()?;
    std::env::set_current_dir(&directory)?;

    // the file begins
    use std::time::Duration;

    use driftlock::{MonthlyBudget, Policy, Usd, store::SqliteStore};

    let store = SqliteStore::open("driftlock.db")?;
    let policy = Policy::builder()
        .rule(MonthlyBudget::new(Usd::dollars(100)))
        .store(store.clone())
        .build()?;
    // … and at the end of the service, when it makes no more calls:
    tokio::time::timeout(Duration::from_secs(30), policy.drain()).await??;
    // the file ends

    drop((policy, store));
    assert!(directory.path().join("driftlock.db").is_file());
    assert!(is_shown("the file"));
    Ok(())
}

#[test]
fn a_program_of_async_openai() {
    use async_openai::{Client, config::OpenAIConfig, middleware::ReqwestService};
    use driftlock::{DriftlockLayer, Policy};
    use tower::ServiceBuilder;

    let (policy, config) = (Policy::builder().build().unwrap(), OpenAIConfig::new());
    // the client begins
    let governed = ServiceBuilder::new()
        .layer(DriftlockLayer::new(policy))
        .service(ReqwestService::new(reqwest::Client::new()));
    let client = Client::with_config(config).with_http_service(governed);
    // the client ends

    let _chat = client.chat();
    assert!(is_shown("the client"));
}
