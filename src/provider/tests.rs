//! How the formats' tests read requests.

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};

use super::{Edits, Endpoint, Reading, Route, Routes, prepare, read};
use crate::unreadable::Unreadable;

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
    read(&endpoint(&uri), &uri, body.as_bytes())
}

/// A request with these edits; `None` if they change nothing.
pub(super) fn edited(uri: &str, body: &str, edits: Edits<'_>) -> Option<String> {
    let layout = read_at(uri, body).unwrap().layout;
    let mut body = Bytes::copy_from_slice(body.as_bytes());
    prepare(&mut body, &layout, &edits).then(|| String::from_utf8(body.to_vec()).unwrap())
}
