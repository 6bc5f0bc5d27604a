//! Whom an example calls: a provider on this machine, or a real one.
//!
//! With `OPENAI_API_KEY` and `OPENAI_BASE_URL` (as `https://api.openai.com/v1`) in the
//! environment it is the real one there, which costs a fraction of a cent; the model is
//! `gpt-4o-mini`, or what `OPENAI_MODEL` says.

// Every example needs another part of it.
#![allow(dead_code, unreachable_pub)]

use std::{env, io, time::Duration};

use driftlock::{BoxError, Policy, Scope, Window, Zone};

use crate::loopback::Loopback;

pub struct Target {
    /// What a client has for the address of the API, down to `/v1`.
    pub base_url: String,
    pub key: String,
    pub model: String,
    loopback: Option<Loopback>,
}

impl Target {
    pub async fn find() -> io::Result<Self> {
        let model = env::var("OPENAI_MODEL").unwrap_or_else(|_| "gpt-4o-mini".to_owned());
        if let (Ok(key), Ok(base_url)) = (env::var("OPENAI_API_KEY"), env::var("OPENAI_BASE_URL")) {
            return Ok(Self { base_url, key, model, loopback: None });
        }
        let loopback = Loopback::start(Duration::from_millis(20)).await?;
        let base_url = format!("{}/v1", loopback.url());
        Ok(Self { base_url, key: "none is needed".to_owned(), model, loopback: Some(loopback) })
    }

    /// The address of chat completions.
    pub fn chat(&self) -> String {
        format!("{}/chat/completions", self.base_url)
    }

    /// Prints what was spent, and holds it against the provider's books where it has some.
    pub async fn settle_up(&self, policy: &Policy) -> Result<(), BoxError> {
        let month = policy.spend(&Scope::Workspace, Window::month(Zone::UTC)).await?;
        println!("spent: {}", month.settled);
        if let Some(loopback) = &self.loopback {
            println!("billed: {}", loopback.billed());
            if month.settled != loopback.billed() {
                return Err("both books should say the same".into());
            }
        }
        Ok(())
    }
}
