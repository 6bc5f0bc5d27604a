//! The usage that is read is the one that was reported.

use super::{
    exchange::exchanges,
    frames::{cuttings, mode, screened, told},
    kind::{KINDS, Kind, RECORDED, Tally},
};

#[tokio::test]
async fn every_recorded_usage_is_read_however_it_is_cut() {
    for name in RECORDED.iter().filter(|name| KINDS.iter().all(|kind| kind.name != **name)) {
        eprintln!("SKIPPED: no format reads {name}");
    }
    for kind in KINDS {
        check(kind).await;
    }
}

async fn check(kind: &'static Kind) {
    let (mut documents, mut streams, mut hidden, mut runs) = (0, 0, 0, 0);
    let mut otherwise = Tally::default();
    for (seed, exchange) in exchanges(kind.name).iter().enumerate() {
        let (id, response) = (&exchange.id, &exchange.response);
        let (_, whole) = told(response, &[], mode(exchange, kind.format, false)).await;
        let observed = &whole.observed;
        let read = observed.usage.unwrap_or_else(|| panic!("{id}: no usage read"));
        assert!(!observed.contradictory, "{id}");
        assert_eq!(observed.model.as_deref(), exchange.model.as_deref(), "{id}");
        let reported = (kind.reported)(&exchange.usage);
        if read != reported {
            let what =
                || format!("reported {}\n{reported:?}\n    read as {read:?}", exchange.usage);
            otherwise.count(kind.read_otherwise, exchange, observed, what);
        }
        let without = if exchange.is_stream { screened(response) } else { response.clone() };
        for cuts in cuttings(&exchange.response, exchange.is_stream, seed + 1) {
            for hide in if exchange.is_stream { &[false, true][..] } else { &[false] } {
                let (out, log) = told(response, &cuts, mode(exchange, kind.format, *hide)).await;
                assert_eq!(&log.observed, observed, "{id} cut at {cuts:?}");
                assert_eq!(log.end, Some("complete"), "{id}");
                assert_eq!(&out, if *hide { &without } else { response }, "{id} cut at {cuts:?}");
                runs += 1;
            }
        }
        documents += usize::from(!exchange.is_stream);
        streams += usize::from(exchange.is_stream);
        hidden += usize::from(without.len() < response.len());
    }
    if documents + streams == 0 {
        return;
    }
    eprintln!(
        "{}: {documents} documents, {streams} streams ({hidden} with a hidden chunk), {runs} runs; \
         read as reported except",
        kind.name
    );
    otherwise.check(kind.read_otherwise);
    assert_eq!((documents, streams), kind.count, "{}", kind.name);
}
