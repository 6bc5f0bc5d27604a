//! A small gateway: any client of OpenAI or Anthropic that is pointed at it is
//! governed, per user.
//!
//! ```text
//! cargo run --example axum_gateway --features examples
//!
//! curl http://127.0.0.1:8080/v1/chat/completions -H 'authorization: Bearer sk-ann' \
//!   -H 'content-type: application/json' \
//!   -d '{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]}'
//! ```
//!
//! Out of the box it needs no key and no network: requests go on to a provider on this
//! machine. `OPENAI_BASE_URL` with `OPENAI_API_KEY`, and `ANTHROPIC_BASE_URL` with
//! `ANTHROPIC_API_KEY`, put a real one in its place. Callers have keys of the gateway's:
//!
//! | variable | default | |
//! |---|---|---|
//! | `GATEWAY_ADDRESS` | `127.0.0.1:8080` | port 0 for any that is free |
//! | `GATEWAY_USERS` | `sk-ann=ann=5.00,sk-bob=bob=0.50` | key, name, dollars a month |
//! | `GATEWAY_MONTH` | `100.00` | dollars a month for all of them |
//! | `GATEWAY_DB` | none: in memory | the file that remembers what was spent |
//! | `GATEWAY_DRAIN` | `30` | seconds that open answers have when it is told to stop |
//!
//! Every path goes through one governed client. What costs nothing, as the list of
//! models, passes; what cannot be metered is denied. On Ctrl-C, or a `TERM` signal, no
//! more connections are taken, and open streams flow to their end, so that they settle
//! to what they cost.

use std::{env, future::IntoFuture, process::ExitCode, sync::Arc, time::Duration};

use axum::serve::ListenerExt;
use driftlock::{
    BoxError, MaxCostPerRequest, MonthlyBudget, PerUserBudget, Policy, RestrictModel, Scope, Usd,
    VelocityLimit, Window, Zone, store::SqliteStore,
};
use gateway::{Gateway, Http};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use loopback::Loopback;
use tokio::{net::TcpListener, sync::Notify};
use upstream::Upstream;
use users::Users;

#[path = "axum_gateway/gateway.rs"]
mod gateway;
#[path = "support/loopback.rs"]
mod loopback;
#[path = "axum_gateway/upstream.rs"]
mod upstream;
#[path = "axum_gateway/users.rs"]
mod users;

/// The policy, all of it.
fn policy(users: &Users, all: Usd) -> Result<Policy, BoxError> {
    let each = |budget: PerUserBudget, user: &users::User| budget.user(&*user.name, user.month);
    let policy = Policy::builder()
        .rule(RestrictModel::new(["o1-pro", "claude-opus-*"]))
        .rule(MaxCostPerRequest::new(Usd::cents(50)))
        .rule(VelocityLimit::new(60, Duration::from_secs(60)).per_user())
        .rule(users.iter().fold(PerUserBudget::new(), each))
        .rule(MonthlyBudget::new(all))
        .require_user();
    let policy = match env::var_os("GATEWAY_DB") {
        Some(path) => policy.store(SqliteStore::open(path)?),
        // It forgets what was spent when it ends.
        None => policy.ephemeral_ok(),
    };
    Ok(policy.build()?)
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("axum_gateway: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), BoxError> {
    let users = Users::parse(&setting("GATEWAY_USERS", "sk-ann=ann=5.00,sk-bob=bob=0.50"))?;
    let policy = policy(&users, setting("GATEWAY_MONTH", "100.00").parse()?)?;
    let drain = Duration::from_secs(setting("GATEWAY_DRAIN", "30").parse()?);
    let provider = Loopback::start(Duration::from_millis(20)).await?;
    let openai = match real("OPENAI") {
        Some((base, key)) => Upstream::openai(&base, &key)?,
        None => Upstream::open(provider.url()),
    };
    let anthropic = match real("ANTHROPIC") {
        Some((base, key)) => Upstream::anthropic(&base, &key)?,
        None => Upstream::open(provider.url()),
    };
    let listener = TcpListener::bind(setting("GATEWAY_ADDRESS", "127.0.0.1:8080")).await?;
    println!(
        "gateway: OpenAI's paths go to {}, Anthropic's to {}",
        openai.base(),
        anthropic.base()
    );
    println!("gateway: listening on http://{}", listener.local_addr()?);
    let gateway = Gateway { policy: policy.clone(), users, http: http(), openai, anthropic };
    serve(listener, gateway, drain).await?;
    // Answers that are read to the end have settled; this waits until that is written.
    if tokio::time::timeout(Duration::from_secs(1), policy.drain()).await.is_err() {
        eprintln!("gateway: calls that are open still count at their estimates");
    }

    let month = policy.spend(&Scope::Workspace, Window::month(Zone::UTC)).await?;
    println!("gateway: {} spent, {} of it by calls still open", month.total(), month.reserved);
    Ok(())
}

/// Serves until it is told to stop and open answers have ended, or their time has.
async fn serve(listener: TcpListener, gateway: Gateway, drain: Duration) -> Result<(), BoxError> {
    // Small events would wait for each other.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let stopping = Arc::new(Notify::new());
    let told = Arc::clone(&stopping);
    let serving = axum::serve(listener, gateway.router()).with_graceful_shutdown(async move {
        stop().await;
        println!("gateway: stopping when open answers have ended");
        told.notify_one();
    });
    tokio::select! {
        served = serving.into_future() => served?,
        () = async { stopping.notified().await; tokio::time::sleep(drain).await } => {
            eprintln!("gateway: some answers are still open after {drain:?}");
        }
    }
    Ok(())
}

async fn stop() {
    let interrupt = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminate = async {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! {
        () = interrupt => {}
        () = terminate => {}
    }
}

fn http() -> Http {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    Client::builder(TokioExecutor::new()).build(tls(tcp))
}

fn tls(tcp: HttpConnector) -> HttpsConnector<HttpConnector> {
    let builder = HttpsConnectorBuilder::new();
    let builder = builder.with_native_roots().unwrap_or_else(|error| {
        // The provider on this machine needs none.
        eprintln!("gateway: no real provider can be called: {error}");
        let nobody = rustls::RootCertStore::empty();
        let config = rustls::ClientConfig::builder().with_root_certificates(nobody);
        HttpsConnectorBuilder::new().with_tls_config(config.with_no_client_auth())
    });
    builder.https_or_http().enable_http1().wrap_connector(tcp)
}

fn setting(name: &str, default: &str) -> String {
    env::var(name).unwrap_or_else(|_| default.to_owned())
}

/// Base URL and key of a real provider, if the environment has both.
fn real(provider: &str) -> Option<(String, String)> {
    let variable = |what| env::var(format!("{provider}_{what}")).ok();
    Some((variable("BASE_URL")?, variable("API_KEY")?))
}
