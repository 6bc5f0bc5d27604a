use proptest::prelude::*;

use super::*;

fn written(scope: Scope, window: Window) -> String {
    Key::cost(scope, window).to_string()
}

#[test]
fn keys_are_short_for_what_is_common() {
    let month = Window::month(Zone::UTC);
    let berlin = Zone::named("Europe/Berlin").unwrap();
    let seconds = |seconds| Window::sliding(Duration::from_secs(seconds));
    assert_eq!(written(Scope::Workspace, month), "workspace");
    assert_eq!(written(Scope::user("u-17"), month), "user=u-17");
    assert_eq!(written(Scope::user("u-17"), Window::day(Zone::UTC)), "user=u-17@day");
    assert_eq!(written(Scope::Workspace, Window::month(berlin)), "workspace@month/Europe/Berlin");
    assert_eq!(written(Scope::Workspace, Window::Lifetime), "workspace@lifetime");
    let lengths =
        [60, 90, 3_600, 86_400 * 7].map(|length| written(Scope::Workspace, seconds(length)));
    assert_eq!(lengths, ["workspace@60s", "workspace@90s", "workspace@1h", "workspace@7d"]);
    let calls = Key::calls(Scope::label("team", "search"), seconds(60));
    assert_eq!(calls.to_string(), "team=search@60s#calls");
    assert_eq!("user_id=u@5m".parse(), Ok(Key::cost(Scope::user("u"), seconds(300))));
}

#[test]
fn what_could_be_taken_for_something_else_is_escaped() {
    let month = Window::month(Zone::UTC);
    for (value, key) in [
        ("ann@example.com", "user=ann%40example.com"),
        ("ann@day", "user=ann%40day"),
        ("a=b", "user=a=b"),
        ("#calls", "user=%23calls"),
        ("#call", "user=%23call"),
        ("50%", "user=50%25"),
        ("a b\u{1b}[31m", "user=a%20b%1B%5B31m"),
        ("", "user="),
        ("(none)", "user=%28none%29"),
        ("~/$(x)*;'\"!", "user=%7E/%24%28x%29%2A%3B%27%22%21"),
        ("größe", "user=größe"),
    ] {
        assert_eq!(written(Scope::user(value), month), key);
    }
    assert_eq!(written(Scope::label("a=b", "c"), month), "a%3Db=c");
    for plain in ["(none)", "a b", "$x!*", "größe", "\u{1b}"] {
        assert_eq!(format!("user={plain}").parse(), Ok(Key::cost(Scope::user(plain), month)));
    }
}

#[test]
fn what_is_no_key_is_refused_with_the_reason() {
    for (bad, reason) in [
        ("", "expected SCOPE"),
        ("u-17", "expected SCOPE"),
        ("=x", "expected SCOPE"),
        ("@day", "expected SCOPE"),
        ("workspace@mnth", "`mnth` after `@` is no window"),
        ("user=ann@example.com", "%40: user=ann%40example.com"),
        ("user=ann@example.com@day#calls", "%40: user=ann%40example.com@day#calls"),
        ("user=a@b#c", "`b` after `@` is no window"),
        (
            "user=#call",
            "`call` after `#` is not `calls`; in a value, `#` is written %23: user=%23call",
        ),
        ("user=a#b#calls", "%23: user=a%23b#calls"),
        ("user=a@day#", "`` after `#` is not `calls`"),
        ("workspace@0s", "is no window"),
        ("workspace@99999999999999d", "is no window"),
        ("workspace@month/Atlantis", "is no window"),
        ("user=100%", "two hexadecimal digits"),
        ("user=%ff", "two hexadecimal digits"),
        ("user=%é", "two hexadecimal digits"),
    ] {
        let error = bad.parse::<Key>().expect_err(bad).to_string();
        assert!(error.contains(reason), "{bad}: {error}");
    }
}

fn windows() -> impl Strategy<Value = Window> {
    const ZONES: [&str; 3] = ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires"];
    let zone = prop::sample::select(&ZONES[..]).prop_map(|name| Zone::named(name).unwrap());
    let period = prop::sample::select(vec![Period::Day, Period::Week, Period::Month]);
    prop_oneof![
        Just(Window::Lifetime),
        (period, zone).prop_map(|(period, zone)| Window::Calendar(period, zone)),
        any::<u64>().prop_map(|nanos| Window::sliding(Duration::from_nanos(nanos))),
        (1..1_000_000u64).prop_map(|seconds| Window::sliding(Duration::from_secs(seconds))),
    ]
}

fn scopes() -> impl Strategy<Value = Scope> {
    let words = "([a-z@#=%/]|month|day|60s|#calls|%40|\\PC|.){0,6}";
    prop_oneof![
        Just(Scope::Workspace),
        (words, words)
            .prop_filter("a label has a name", |(key, _)| !key.is_empty())
            .prop_map(|(key, value)| Scope::label(key, value)),
    ]
}

proptest! {
    #[test]
    fn every_key_reads_back_as_it_was(scope in scopes(), window in windows(), calls: bool) {
        let unit = if calls { Unit::Calls } else { Unit::Cost };
        let key = Key { scope, window, unit };
        prop_assert_eq!(key.to_string().parse(), Ok(key));
    }

    #[test]
    fn any_text_is_a_key_or_an_error(text in ".{0,40}") {
        if let Ok(key) = text.parse::<Key>() {
            prop_assert_eq!(key.to_string().parse(), Ok(key));
        }
    }
}
