//! Models in the paths of Gemini's content generation.

use std::borrow::Cow;

/// Where Gemini's models are: the makers', tuned ones, and those deployed on Vertex AI.
pub(super) const COLLECTIONS: [&str; 3] = ["models", "tunedModels", "endpoints"];

/// A model in a path of Gemini's, and what stands around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GeminiModel<'a> {
    /// Up to the model's collection.
    before: &'a str,
    collection: &'a str,
    name: &'a str,
    /// The method, from its colon on.
    after: &'a str,
}

impl<'a> GeminiModel<'a> {
    pub(super) fn of(path: &'a str) -> Option<Self> {
        let (resource, _) = path.rsplit_once(':').filter(|(_, method)| {
            let method = method.trim_end_matches('/');
            matches!(method, "generateContent" | "streamGenerateContent")
        })?;
        let after = path.get(resource.len()..)?;
        let (rest, name) = resource.rsplit_once('/').filter(|(_, name)| !name.is_empty())?;
        let collection = rest.rsplit('/').next().filter(|last| COLLECTIONS.contains(last))?;
        let before = rest.get(..rest.len() - collection.len())?;
        Some(Self { before, collection, name, after })
    }

    /// The name by which the model is known; that of one which is not a maker's has
    /// its collection before it, because the maker may have another of that name.
    pub(super) fn full_name(self) -> Cow<'a, str> {
        let name = unescaped(self.name);
        if self.collection == "models" {
            name
        } else {
            format!("{}/{name}", self.collection).into()
        }
    }

    /// The path for another model.
    pub(super) fn path_to(self, model: &str) -> String {
        let Self { before, collection, after, .. } = self;
        let known = COLLECTIONS
            .iter()
            .find_map(|own| Some((*own, model.strip_prefix(own)?.strip_prefix('/')?)));
        let (makers, (collection, name)) = match known {
            Some(known) => ("", known),
            // Vertex AI has its own models elsewhere than those deployed on it.
            None if collection == "endpoints" => ("publishers/google/", ("models", model)),
            None => ("", ("models", model)),
        };
        format!("{before}{makers}{collection}/{}{after}", segment(name))
    }
}

/// Whether a path asks for a stream.
pub(super) fn is_stream(path: &str) -> bool {
    path.trim_end_matches('/').ends_with(":streamGenerateContent")
}

/// A name as one segment of a path.
pub(super) fn segment(name: &str) -> String {
    name.bytes().fold(String::with_capacity(name.len()), |mut out, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(byte.into())
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
        out
    })
}

/// A segment of a path as a name. What is no UTF-8 is replaced: no model has such a
/// name.
pub(super) fn unescaped(segment: &str) -> Cow<'_, str> {
    if !segment.contains('%') {
        return segment.into();
    }
    let (mut out, mut rest) = (Vec::with_capacity(segment.len()), segment.as_bytes());
    while let [first, after @ ..] = rest {
        let digit = |at: usize| after.get(at).and_then(|digit| char::from(*digit).to_digit(16));
        rest = match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high << 4 | low) as u8);
                after.get(2..).unwrap_or_default()
            }
            _ => {
                out.push(*first);
                after
            }
        };
    }
    String::from_utf8_lossy(&out).into_owned().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_named_by_the_last_segment() {
        for (path, model) in [
            ("/v1beta/models/gemini-2.5-flash:generateContent", "gemini-2.5-flash"),
            ("/models/gemini-2.5-flash:streamGenerateContent/", "gemini-2.5-flash"),
            ("/v1beta/models/gemini%2D2.5%2dflash:generateContent", "gemini-2.5-flash"),
            ("/v1beta/models/%67%FF%2:generateContent", "g\u{FFFD}%2"),
            ("/v1beta/models/a:b:generateContent", "a:b"),
            ("/v1beta/tunedModels/mine-17:generateContent", "tunedModels/mine-17"),
            (
                "/v1/projects/p/locations/l/publishers/google/models/gemini-3-pro:generateContent",
                "gemini-3-pro",
            ),
            ("/v1/projects/p/locations/l/endpoints/123:streamGenerateContent", "endpoints/123"),
        ] {
            assert_eq!(GeminiModel::of(path).unwrap().full_name(), model, "{path}");
        }
        for path in ["/v1beta/models/x:countTokens", "/v1beta/models/", "", ":generateContent"] {
            assert_eq!(GeminiModel::of(path), None, "{path}");
        }
    }

    #[test]
    fn another_model_is_another_path() {
        for (path, model, expected) in [
            ("/v1beta/models/a:generateContent", "b c", "/v1beta/models/b%20c:generateContent"),
            ("/models/a:streamGenerateContent/", "models/b", "/models/b:streamGenerateContent/"),
            ("/v1/models/a:generateContent", "tunedModels/b", "/v1/tunedModels/b:generateContent"),
            ("/v1/tunedModels/a:generateContent", "b/c", "/v1/models/b%2Fc:generateContent"),
            (
                "/v1/projects/p/locations/l/endpoints/1:generateContent",
                "gemini-3-pro",
                "/v1/projects/p/locations/l/publishers/google/models/gemini-3-pro:generateContent",
            ),
        ] {
            assert_eq!(GeminiModel::of(path).unwrap().path_to(model), expected, "{path}");
        }
    }
}
