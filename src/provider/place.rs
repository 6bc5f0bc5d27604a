//! Where an override of a route applies.

use super::host::Host;

/// A host, a path, or a path of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    host: Box<str>,
    port: Option<u16>,
    path: Box<str>,
}

impl Place {
    /// Reads `host`, `host:port`, `/path`, or both together; a scheme is passed over.
    pub(super) fn parse(place: &str) -> Self {
        let place = place.split_once("://").map_or(place, |(_, rest)| rest);
        let (authority, path) = place.split_at(place.find('/').unwrap_or(place.len()));
        let Host { name, port } = Host::parse(authority);
        Self { host: name.into(), port, path: path.trim_end_matches('/').into() }
    }

    /// Whether it names a path, and not only a host.
    pub(super) fn has_path(&self) -> bool {
        !self.path.is_empty()
    }

    /// Whether a request is for this place: the path, or one below it.
    pub(super) fn holds(&self, host: Host<'_>, path: &str) -> bool {
        (self.host.is_empty() || self.host.eq_ignore_ascii_case(host.name))
            && (self.port.is_none() || self.port == host.port)
            && path
                .strip_prefix(&*self.path)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// Whether a path may lead elsewhere than its first segments say.
pub(super) fn is_devious(path: &str) -> bool {
    path.split('/').any(|segment| matches!(segment, "." | ".."))
        || path.contains(['%', ';', '\\'])
        || path.contains("//")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(place: &str, host: &str, path: &str) -> bool {
        Place::parse(place).holds(Host::parse(host), path)
    }

    #[test]
    fn a_place_holds_what_is_below_it() {
        assert!(holds("https://LLM.corp/v1/", "llm.corp:443", "/v1/chat"));
        assert!(holds("/v1/files", "any", "/v1/files"));
        assert!(holds("llm.corp", "llm.corp", "/x"));
        assert!(holds("localhost:8000/x", "localhost:8000", "/x/y"));
        assert!(holds("[::1]", "[::1]:9", "/"));
    }

    #[test]
    fn a_place_holds_nothing_beside_it() {
        assert!(!holds("/v1/files", "any", "/v1/files-x"));
        assert!(!holds("llm.corp/v1", "llm.corp", "/v2"));
        assert!(!holds("llm.corp", "other.corp", "/"));
        assert!(!holds("localhost:8000", "localhost:8001", "/"));
    }
}
