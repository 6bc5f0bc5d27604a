//! Who may use the gateway: keys, names, and what each may spend in a month.

use std::{collections::HashMap, sync::Arc};

use driftlock::{Labels, Usd};
use http::{HeaderMap, header::AUTHORIZATION};

/// A table of API keys.
#[derive(Clone, Debug)]
pub(crate) struct Users(Arc<HashMap<String, User>>);

/// One user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) month: Usd,
}

impl Users {
    /// Reads `key=name=dollars` pairs, `sk-ann=ann=5.00,sk-bob=bob=0.50`.
    pub(crate) fn parse(table: &str) -> Result<Self, String> {
        let users = table.split(',').map(str::trim).filter(|line| !line.is_empty()).map(|line| {
            let mut parts = line.split('=').map(str::trim);
            match (parts.next(), parts.next(), parts.next(), parts.next()) {
                (Some(key), Some(name), Some(month), None) if !key.is_empty() => {
                    let month = month.parse().map_err(|error| format!("user {name}: {error}"))?;
                    Ok((key.to_owned(), User { name: name.to_owned(), month }))
                }
                // Not the line itself, which has a key in it.
                _ => Err("users are `key=name=dollars a month`, parted by commas".to_owned()),
            }
        });
        users.collect::<Result<_, _>>().map(|users| Self(Arc::new(users)))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &User> {
        self.0.values()
    }

    /// The user whose key a request has, where clients of OpenAI or Anthropic put it.
    pub(crate) fn find(&self, headers: &HeaderMap) -> Option<&User> {
        let bearer = || headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ");
        let key = || headers.get("x-api-key")?.to_str().ok();
        self.0.get(bearer().or_else(key)?)
    }

    pub(crate) fn named(&self, name: &str) -> Option<&User> {
        self.iter().find(|user| user.name == name)
    }
}

impl User {
    pub(crate) fn labels(&self) -> Labels {
        Labels::new().with("user", self.name.as_str())
    }
}
