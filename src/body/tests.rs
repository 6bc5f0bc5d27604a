use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{Arc, Mutex},
};

use http::HeaderMap;
use http_body_util::{BodyExt, Empty, Full};

use super::*;
use crate::{provider::Observed, usage::Usage};

/// What a meter was told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    pub(crate) observed: Observed,
    pub(crate) frames: usize,
    pub(crate) end: Option<&'static str>,
}

/// Writes down what it is told.
#[derive(Debug)]
pub(crate) struct Told(Arc<Mutex<Log>>);

impl Told {
    pub(crate) fn new() -> (Self, impl Fn() -> Log) {
        let log = Arc::new(Mutex::new(Log::default()));
        (Self(log.clone()), move || log.lock().unwrap().clone())
    }

    fn end(&self, how: &'static str, told: &Observed) {
        let mut log = self.0.lock().unwrap();
        log.observed = told.clone();
        assert_eq!(log.end.replace(how), None, "ended twice");
    }
}

impl Meter for Told {
    fn alive(&mut self) {
        self.0.lock().unwrap().frames += 1;
    }

    fn complete(self, told: &Observed) {
        self.end("complete", told);
    }

    fn fail(self, told: &Observed) {
        self.end("failed", told);
    }

    fn abandon(self, told: &Observed) {
        self.end("abandoned", told);
    }
}

/// A body of given frames; whether it admits to its end after the last is given too.
pub(crate) struct Frames {
    frames: VecDeque<Result<Frame<Bytes>, &'static str>>,
    admits_end: bool,
}

impl Frames {
    pub(crate) fn new<T: Into<Bytes>>(data: impl IntoIterator<Item = T>) -> Self {
        let frames = data.into_iter().map(|data| Ok(Frame::data(data.into()))).collect();
        Self { frames, admits_end: false }
    }

    fn then(mut self, frame: Result<Frame<Bytes>, &'static str>) -> Self {
        self.frames.push_back(frame);
        self
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        Poll::Ready(self.frames.pop_front())
    }

    fn is_end_stream(&self) -> bool {
        self.admits_end && self.frames.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(7)
    }
}

pub(super) fn json() -> Mode {
    Mode::Json(Format::OpenAiChat)
}

pub(super) fn sse(hide: bool) -> Mode {
    Mode::Sse { format: Format::OpenAiChat, hide }
}

const DOCUMENT: &str = r#"{"model":"m","usage":{"prompt_tokens":3,"completion_tokens":4}}"#;
const CHUNK: &str = "data: {\"choices\":[{}],\"model\":\"m\"}\n\n";
const USAGE: &str =
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

async fn frames<B: Body<Data = Bytes> + Unpin>(
    body: &mut B,
) -> Vec<Result<Frame<Bytes>, B::Error>> {
    let mut frames = Vec::new();
    while let Some(frame) = body.frame().await {
        frames.push(frame);
    }
    frames
}

fn text<E>(frames: &[Result<Frame<Bytes>, E>]) -> Vec<String> {
    let data = frames.iter().filter_map(|frame| frame.as_ref().ok()?.data_ref());
    data.map(|data| String::from_utf8_lossy(data).into_owned()).collect()
}

#[tokio::test]
async fn a_document_is_read_on_its_way_and_settles_at_its_end() {
    let (meter, log) = Told::new();
    let (head, tail) = DOCUMENT.split_at(30);
    let mut body = MeteredBody::new(Frames::new([head, tail]), json(), Some(meter));
    assert_eq!(text(&frames(&mut body).await), [head, tail]);
    let log = log();
    assert_eq!(log.observed.usage, Some(Usage::tokens(3, 4)));
    assert_eq!((log.observed.model.as_deref(), log.observed.is_final), (Some("m"), true));
    assert_eq!((log.frames, log.end), (2, Some("complete")));
    assert!(body.is_end_stream());
}

#[tokio::test]
async fn a_last_frame_settles_if_the_body_admits_to_its_end() {
    let (meter, log) = Told::new();
    let mut body = MeteredBody::new(Full::from(DOCUMENT), json(), Some(meter));
    assert!(!body.is_end_stream());
    assert_eq!(body.size_hint().exact(), Some(DOCUMENT.len() as u64));
    body.frame().await;
    assert!(body.is_end_stream());
    assert_eq!((log().end, log().observed.usage), (Some("complete"), Some(Usage::tokens(3, 4))));
}

#[tokio::test]
async fn an_empty_body_settles_though_nobody_polls_it() {
    let (meter, log) = Told::new();
    let body = MeteredBody::new(Empty::<Bytes>::new(), json(), Some(meter));
    assert!(body.is_end_stream());
    assert_eq!(log().end, Some("complete"));
}

#[tokio::test]
async fn trailers_settle_and_pass_after_what_was_held() {
    for hide in [false, true] {
        let (meter, log) = Told::new();
        let inner = Frames::new([CHUNK, "data: x"]).then(Ok(Frame::trailers(HeaderMap::new())));
        let mut body = MeteredBody::new(inner, sse(hide), Some(meter));
        let frames = frames(&mut body).await;
        assert_eq!(text(&frames), [CHUNK, "data: x"]);
        assert!(frames.last().unwrap().as_ref().unwrap().is_trailers());
        assert_eq!(log().end, Some("complete"));
    }
}

#[tokio::test]
async fn an_error_fails_after_what_was_held() {
    for hide in [false, true] {
        let (meter, log) = Told::new();
        let inner = Frames::new([USAGE, "data: x"]).then(Err("reset"));
        let mut body = MeteredBody::new(inner, sse(hide), Some(meter));
        let frames = frames(&mut body).await;
        assert_eq!(text(&frames).last().map(String::as_str), Some("data: x"));
        assert_eq!(frames.last().unwrap().as_ref().unwrap_err(), &"reset");
        assert_eq!((log().end, log().observed.usage), (Some("failed"), Some(Usage::tokens(3, 4))));
        assert!(body.is_end_stream());
    }
}

#[tokio::test]
async fn who_asks_for_the_end_misses_nothing_that_waits() {
    for last in [Ok(Frame::trailers(HeaderMap::new())), Err("reset")] {
        let (meter, _) = Told::new();
        let mut inner = Frames::new([CHUNK, "data: x"]).then(last);
        inner.admits_end = true;
        let mut body = MeteredBody::new(inner, sse(true), Some(meter));
        let mut frames = 0;
        while !body.is_end_stream() {
            assert!(body.frame().await.is_some());
            frames += 1;
        }
        assert_eq!(frames, 3);
    }
}

#[tokio::test]
async fn what_comes_behind_trailers_passes_and_behind_an_error_is_nothing() {
    let trailers = Ok(Frame::trailers(HeaderMap::new()));
    for (last, passes) in [(trailers, &[CHUNK, "more"][..]), (Err("reset"), &[CHUNK])] {
        let (meter, _) = Told::new();
        let inner = Frames::new([CHUNK]).then(last).then(Ok(Frame::data("more".into())));
        let mut body = MeteredBody::new(inner, sse(false), Some(meter));
        assert_eq!(text(&frames(&mut body).await), passes);
    }
}

#[tokio::test]
async fn a_body_that_is_dropped_is_abandoned() {
    let (meter, log) = Told::new();
    let mut body = MeteredBody::new(Frames::new([CHUNK, USAGE]), sse(false), Some(meter));
    body.frame().await;
    drop(body);
    assert_eq!((log().end, log().frames), (Some("abandoned"), 1));
    assert_eq!(log().observed.model.as_deref(), Some("m"));
}

#[tokio::test]
async fn the_end_marker_settles_though_the_body_goes_on() {
    for hide in [false, true] {
        let (meter, log) = Told::new();
        let inner = Frames::new([CHUNK, USAGE, DONE, ": bye\n"]).then(Err("reset"));
        let mut body = MeteredBody::new(inner, sse(hide), Some(meter));
        while log().end.is_none() {
            assert!(body.frame().await.is_some());
        }
        assert_eq!(
            (log().end, log().observed.usage),
            (Some("complete"), Some(Usage::tokens(3, 4)))
        );
        let rest = frames(&mut body).await;
        assert_eq!((text(&rest), rest.len()), (vec![": bye\n".to_owned()], 2));
    }
}

#[tokio::test]
async fn frames_pass_untouched_when_nothing_is_hidden() {
    let data = [CHUNK, "", "data: {\"cho", USAGE].map(Bytes::from);
    for mode in [sse(false), json(), Mode::Unobserved] {
        let (meter, log) = Told::new();
        let mut body = MeteredBody::new(Frames::new(data.clone()), mode, Some(meter));
        for sent in &data {
            let got = body.frame().await.unwrap().unwrap().into_data().unwrap();
            assert_eq!((got.as_ptr(), got.len()), (sent.as_ptr(), sent.len()));
        }
        assert_eq!(body.size_hint().exact(), Some(7));
        assert!(body.frame().await.is_none());
        assert_eq!((log().end, log().frames), (Some("complete"), 4));
    }
}

#[tokio::test]
async fn an_unobserved_body_tells_only_its_end() {
    let (meter, log) = Told::new();
    let mut body = MeteredBody::new(Full::from(DOCUMENT), Mode::Unobserved, Some(meter));
    frames(&mut body).await;
    assert_eq!((log().observed, log().end), (Observed::default(), Some("complete")));
}

#[tokio::test]
async fn a_hiding_body_has_no_empty_frames_no_size_and_no_early_end() {
    let (meter, log) = Told::new();
    let mut inner = Frames::new([CHUNK, USAGE, "", "data: tail"]);
    inner.admits_end = true;
    let mut body = MeteredBody::new(inner, sse(true), Some(meter));
    assert_eq!(body.size_hint().upper(), None);
    assert_eq!(text(&[body.frame().await.unwrap()]), [CHUNK]);
    assert!(!body.is_end_stream());
    assert_eq!(text(&[body.frame().await.unwrap()]), ["data: tail"]);
    assert!(body.is_end_stream());
    assert_eq!((log().end, log().observed.usage), (Some("complete"), Some(Usage::tokens(3, 4))));
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn several_stretches_of_a_frame_come_out_one_by_one() {
    let mut inner = Frames::new([["data: x\n\n", USAGE, CHUNK, USAGE, CHUNK].concat()]);
    inner.admits_end = true;
    let mut body = MeteredBody::new(inner, sse(true), Some(Told::new().0));
    let mut seen = Vec::new();
    while !body.is_end_stream() {
        seen.push(body.frame().await.unwrap());
    }
    assert_eq!(text(&seen), ["data: x\n\n", CHUNK, CHUNK]);
}

#[tokio::test]
async fn without_a_meter_the_usage_chunk_is_still_hidden() {
    let inner = Frames::new([CHUNK, USAGE, DONE]);
    let mut body = MeteredBody::new(inner, sse(true), None::<Told>);
    assert_eq!(text(&frames(&mut body).await), [CHUNK, DONE]);
}

#[test]
fn it_can_be_sent_and_shared() {
    fn is<T: Send + Sync + Unpin + 'static>() {}
    is::<MeteredBody<Full<Bytes>, Told>>();
}

#[tokio::test]
async fn a_channel_ends_with_its_sender() {
    let (meter, log) = Told::new();
    let (mut sender, inner) = http_body_util::channel::Channel::<Bytes, Infallible>::new(1);
    let mut body = MeteredBody::new(inner, sse(true), Some(meter));
    sender.send_data(CHUNK.into()).await.unwrap();
    assert_eq!(text(&[body.frame().await.unwrap()]), [CHUNK]);
    sender.send_data(USAGE.into()).await.unwrap();
    drop(sender);
    assert!(body.frame().await.is_none());
    assert_eq!((log().end, log().observed.usage), (Some("complete"), Some(Usage::tokens(3, 4))));
}
