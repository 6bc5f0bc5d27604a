//! What was recorded against what was billed.

mod spent;

use driftlock::{
    PriceBook, Usd,
    report::{Day, Invoice, Report, Span},
    store::SqliteStore,
};
use spent::{Scratch, filled};

/// What two calls of the fixture to gpt-4o and one to gpt-4o-mini cost, a day's.
const DAY: u64 = 2 * 7_500_000 + 450_000;

#[test]
fn an_invoice_is_compared_by_day_and_model() {
    let scratch = Scratch::new();
    let prod = Report::open(filled(&scratch)).unwrap().workspace("prod").unwrap();
    let csv = "\u{feff}Date,Model,Line,AMOUNT\n\
        2200-03-11,gpt-4o,a,0.0075\n2200-03-11,gpt-4o-2024-08-06,b,0.0080\n\
        2200-03-11,GPT-4o-mini-2024-07-18,c,4.5e-4\n\
        2200-03-12,gpt-4o-2024-08-06,d,0.010\n2200-03-12,gpt-4o-2024-08-06,d,0.005\n\
        2200-03-12,o3-pro,e,1.00\n";
    let invoice = Invoice::read(csv.as_bytes()).unwrap();
    let compared = prod.reconcile(&invoice, &PriceBook::bundled()).unwrap();
    let rows: Vec<_> = compared
        .rows
        .iter()
        .map(|row| {
            let missing = || "missing".to_owned();
            let model = row.model.as_deref().unwrap();
            let ours = row.recorded.map_or_else(missing, |usd| usd.to_string());
            let theirs = row.billed.map_or_else(missing, |usd| usd.to_string());
            format!("{} {model}: {ours} {theirs} {:+}", row.day, row.difference)
        })
        .collect();
    assert_eq!(
        rows,
        [
            "2200-03-11 gpt-4o: $0.0075 $0.0075 $0.00",
            "2200-03-11 gpt-4o-2024-08-06: $0.0075 $0.008 +$0.0005",
            "2200-03-11 gpt-4o-mini: $0.00045 $0.00045 $0.00",
            "2200-03-12 gpt-4o: $0.015 $0.015 $0.00",
            "2200-03-12 gpt-4o-mini: $0.00045 missing -$0.00045",
            "2200-03-12 o3-pro: missing $1.00 +$1.00",
        ]
    );
    assert_eq!((compared.recorded, compared.billed), (Usd::nanos(2 * DAY), invoice.total()));

    let by_day =
        Invoice::read("day,usd\n2200-03-11,0.02\n2200-03-13,0.01545\n".as_bytes()).unwrap();
    let compared = prod.reconcile(&by_day, &PriceBook::bundled()).unwrap();
    let rows: Vec<_> =
        compared.rows.iter().map(|row| (row.billed.is_some(), row.difference)).collect();
    let differences = rows.iter().map(|(billed, difference)| (*billed, difference.as_nanos()));
    let expected = [(true, 4_550_000), (false, -15_450_000), (true, 0)];
    assert_eq!(differences.collect::<Vec<_>>(), expected);
    assert!(compared.rows.iter().all(|row| row.model.is_none()));
}

#[test]
fn invoices_are_read_as_consoles_export_them() {
    let scratch = Scratch::new();
    let path = filled(&scratch);
    let prod = Report::open(&path).unwrap().workspace("prod").unwrap();
    let book = PriceBook::bundled();
    let second = |day: &str| day.parse::<Day>().unwrap().start().as_nanos() / 1_000_000_000;
    let (eleven, twelve) = (second("2200-03-11"), second("2200-03-12"));
    let openai = format!(
        "start_time,end_time,amount_value,amount_currency,line_item,project_id\n\
         {eleven},{twelve},0.005,usd,\"gpt-4o-2024-08-06, input\",p\n\
         {eleven},{twelve},0.013,usd,\"gpt-4o-2024-08-06, output\",p\n\
         {eleven},{twelve},-0.003,usd,\"gpt-4o-2024-08-06, output\",p\n\
         {eleven},{twelve},0.00045,usd,\"gpt-4o-mini, input\",p\n"
    );
    let anthropic = "usage_date_utc\tmodel\ttoken_type\tcost_usd\n\
         2200-03-11\tgpt-4o-2024-08-06\toutput\t$0.015\n2200-03-11\tgpt-4o-mini\tinput\t0.00045 USD\n";
    for csv in [openai.as_str(), anthropic] {
        let invoice = Invoice::read(csv.as_bytes()).unwrap();
        let compared = prod.reconcile(&invoice, &book).unwrap();
        assert_eq!((compared.rows.len(), compared.difference.as_nanos()), (2, 0), "{compared:?}");
        assert_eq!(compared.basis_points, Some(0));
        assert_eq!(prod.reconcile_provider("openai", &invoice, &book).unwrap(), compared);
        let other = prod.reconcile_provider("anthropic", &invoice, &book).unwrap_err();
        assert!(other.to_string().ends_with("provider `anthropic`, but to openai"), "{other}");
    }

    // A month is one row, however many of its days had calls.
    let month =
        Invoice::read("date;usd\n2200-03;1,000.30\n2200-03;-1,000.20\n".as_bytes()).unwrap();
    let compared = prod.reconcile(&month, &book).unwrap();
    let all = prod.totals(Span::all()).unwrap().spent.cost;
    assert_eq!((compared.rows.len(), compared.recorded), (1, all));
    assert_eq!(compared.rows[0].day.to_string(), "2200-03");
    assert_eq!(compared.billed.as_nanos(), 100_000_000);
    assert_eq!(prod.reconcile_provider("openai", &month, &book).unwrap(), compared);
    let credit = Invoice::read("date,usd\n2200-03,-2\n".as_bytes()).unwrap();
    assert_eq!(prod.reconcile(&credit, &book).unwrap().billed.to_string(), "-$2.00");

    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let store = SqliteStore::open(&path).unwrap();
        store.prune("2200-03-12T00:00:00Z".parse().unwrap()).await.unwrap();
    });
    assert_eq!(prod.reconcile(&month, &book).unwrap().recorded, all);
    let pruned = prod.reconcile_provider("openai", &month, &book).unwrap_err();
    assert!(pruned.to_string().ends_with("is complete from 2200-03-12 on"), "{pruned}");
}

#[test]
fn an_invoice_that_cannot_be_read_says_where() {
    for (csv, why) in [
        ("", "line 1: no column `day` or `date` or `usage_date_utc`"),
        ("day,price\n2026-11-01,1\n", "line 1: no column `cost` or `amount` or `usd`"),
        ("day,cost\n2026-11-01,1\n11/02/2026,1\n", "line 3: the day `11/02/2026`"),
        ("day,cost\n2026-11-01,1\n2026-11-02\n", "line 3: the amount ``: expected digits"),
        ("day,cost\n2026-11-01,\"1,00\"\n", "line 2: the amount `1,00`: a comma goes between"),
        ("day;cost\n2026-11-01;1,000\n", "line 2: the amount `1,000`: is the comma one of"),
        ("day,cost\n2026-11-01,99999999999\n", "line 2: the amount `99999999999`: too large"),
        ("day,cost\n", "line 1: nothing is billed below the names"),
        ("day,cost\n2026-11-01,1\n2026-11,1\n", "line 3: the day `2026-11`: an invoice is by"),
        ("day,cost,Cost\n2026-11-01,1,2\n", "line 1: two columns are named `cost`"),
        ("day,cost,currency\n2026-11-01,1,eur\n", "line 2: the currency `eur`: only dollars"),
    ] {
        let error = Invoice::read(csv.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with(why), "{error}");
    }
    let names = "x".repeat(1_000_000);
    assert!(Invoice::read(names.as_bytes()).unwrap_err().to_string().len() < 1_000);
    let error = Invoice::read(&b"day,cost\n2026-11-01,\xff\n"[..]).unwrap_err();
    assert_eq!(error.line(), 2);
}
