//! Running the rules, in order, the first no wins.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::Ordering},
};

use smallvec::SmallVec;
use smol_str::SmolStr;

use super::{
    Mode, Policy,
    plan::{MOST, Places, PlannedStep},
    pricing::Quote,
};
use crate::{
    call::{Call, Counters, Terms},
    claim::{Claim, Scope, Unit},
    denial::{Denial, DenialKind, Deny},
    labels::Labels,
    price::Entry,
    rule::{Counted, LimitSource, Step, Verdict, View},
    store::Limit,
    telemetry,
};

/// How far a decision has come.
#[derive(Debug)]
pub(crate) struct Progress {
    /// The rule to run next.
    next: usize,
    /// The version of the price book, the same for the whole life of the call.
    pub(super) version: usize,
    pub(super) quote: Quote,
    /// Whether the quote is not the first: a rule has changed the model, perhaps back again.
    pub(super) is_repriced: bool,
    /// Where the values of the plan's scopes are.
    pub(super) places: Places,
    /// What has been claimed on the plan's counters, in the order of the rules.
    /// `ask` is what the call cost at that point.
    pub(super) limits: SmallVec<[Limit; 8]>,
    /// The rule behind each limit.
    pub(super) limit_steps: SmallVec<[u16; 8]>,
    /// What custom rules claimed on counters of their own.
    pub(super) claims: Vec<Claimed>,
    /// While observing: the denial there would have been.
    pub(super) would_deny: Option<Denial>,
    /// While observing: the model the call would have been sent with.
    pub(super) would_use: Option<SmolStr>,
    /// While observing: the call as it was before a rule would have changed it.
    unchanged: Option<Box<(Terms, Quote)>>,
}

/// A custom rule's claim and where its limit belongs in the order of limits.
#[derive(Debug)]
pub(super) struct Claimed {
    pub(super) claim: Claim,
    pub(super) step: u16,
    /// How many limits came before it.
    pub(super) after: usize,
    /// What the call cost when it was claimed.
    pub(super) ask: u64,
}

/// What is next in a decision.
pub(crate) enum Flow {
    /// All rules have run.
    Done,
    /// This rule is to be awaited.
    Await(usize),
}

impl Progress {
    fn new(version: usize, quote: Quote, places: Places) -> Self {
        Self {
            next: 0,
            version,
            quote,
            is_repriced: false,
            places,
            limits: SmallVec::new(),
            limit_steps: SmallVec::new(),
            claims: Vec::new(),
            would_deny: None,
            would_use: None,
            unchanged: None,
        }
    }

    /// While observing, puts the call back to what it was, and remembers the model it
    /// would have been sent with.
    pub(super) fn restore(&mut self, call: &mut Call) {
        if let Some(unchanged) = self.unchanged.take() {
            let (terms, quote) = *unchanged;
            self.would_use = Some(call.model_name().clone());
            call.set_terms(terms);
            self.quote = quote;
        }
    }
}

impl Policy {
    /// Begins a decision that is made step by step.
    pub(super) fn set_out(
        &self,
        call: &mut Call,
        version: usize,
        quoted: Result<Quote, Deny>,
    ) -> Result<Progress, Denial> {
        let plan = &self.0.plan;
        if plan.lends_counters() {
            call.lend(Some(Arc::clone(&self.0) as Arc<dyn Counters>));
        }
        let (quote, deny) = match quoted {
            Ok(quote) => (quote, None),
            Err(deny) => (Quote::default(), Some(deny)),
        };
        let mut progress = Progress::new(version, quote, plan.find_labels(call.labels()));
        match deny {
            None => Ok(progress),
            Some(deny) => self.deny(None, deny, call, &mut progress).map(|()| progress),
        }
    }

    /// Runs rules until one denies, one has to be awaited, or all have run. A panic
    /// of user code denies.
    pub(super) fn run_rules(
        &self,
        call: &mut Call,
        progress: &mut Progress,
    ) -> Result<Flow, Denial> {
        let run = catch_unwind(AssertUnwindSafe(|| self.run(call, progress)));
        match run {
            Ok(flow) => flow,
            Err(_) => {
                let failed = progress.next;
                progress.next += 1;
                let deny = Deny::of_kind(DenialKind::RuleFailed, "the rule panicked");
                self.deny(Some(failed), deny, call, progress)?;
                self.run_rules(call, progress)
            }
        }
    }

    fn run(&self, call: &mut Call, progress: &mut Progress) -> Result<Flow, Denial> {
        let prices = self.0.prices.get(progress.version);
        while let Some(planned) = self.0.plan.steps.get(progress.next) {
            let step = progress.next;
            if let Step::Counted(counted) = &planned.step {
                self.claim(step, planned, counted, call, progress)?;
            } else {
                match planned.step.decide(View { call, prices }) {
                    Some(Verdict::Allow) => {}
                    Some(verdict) => self.verdict(step, verdict, call, progress)?,
                    None => return Ok(Flow::Await(step)),
                }
            }
            progress.next = step + 1;
        }
        Ok(Flow::Done)
    }

    /// Takes the verdict of a rule that was awaited.
    pub(super) fn apply(
        &self,
        step: usize,
        verdict: Verdict,
        call: &mut Call,
        progress: &mut Progress,
    ) -> Result<(), Denial> {
        progress.next = step + 1;
        self.verdict(step, verdict, call, progress)
    }

    #[inline(never)]
    fn verdict(
        &self,
        step: usize,
        verdict: Verdict,
        call: &mut Call,
        progress: &mut Progress,
    ) -> Result<(), Denial> {
        match verdict {
            Verdict::Allow => Ok(()),
            Verdict::Deny(deny) => self.deny(Some(step), deny, call, progress),
            Verdict::Rewrite(model) => self.rewrite(step, model, call, progress),
            Verdict::Claim(claims) => {
                if let Some(deny) = self.impossible(&claims, progress) {
                    return self.deny(Some(step), deny, call, progress);
                }
                let cost = progress.quote.cost.as_nanos();
                progress.claims.extend(claims.into_iter().map(|claim| {
                    let ask = ask(claim.unit, cost);
                    Claimed { claim, step: step as u16, after: progress.limits.len(), ask }
                }));
                Ok(())
            }
        }
    }

    /// Why a custom rule's claims cannot be booked, if they cannot.
    fn impossible(&self, claims: &[Claim], progress: &Progress) -> Option<Deny> {
        let too_long = claims.iter().find_map(|claim| match &claim.scope {
            Scope::Label { value, .. } => Some(value.len()).filter(|len| *len > Labels::MAX_VALUE),
            Scope::Workspace => None,
        });
        let counters = self.0.plan.counters.len() + progress.claims.len() + claims.len();
        let why = match too_long {
            Some(bytes) => {
                format!(
                    "it claims for a value of {bytes} bytes; at most {} are kept",
                    Labels::MAX_VALUE
                )
            }
            None if counters > MOST => format!("it claims on more than {MOST} counters"),
            None => return None,
        };
        Some(Deny::of_kind(DenialKind::RuleFailed, why))
    }

    #[inline]
    fn claim(
        &self,
        step: usize,
        planned: &PlannedStep,
        counted: &Counted,
        call: &mut Call,
        progress: &mut Progress,
    ) -> Result<(), Denial> {
        let scope = usize::from(planned.scope);
        if counted.label.is_some() && progress.places.lacks(scope) {
            if counted.required || (self.0.settings.require_user && counted.counts_users()) {
                return self.deny_unlabelled(step, counted, call, progress);
            }
            self.0.tally.count_unlabelled();
            if !planned.warned.swap(true, Ordering::Relaxed) {
                telemetry::unlabelled(&planned.name, counted.label.as_deref(), call.labels());
            }
        }
        let limit = match &counted.limit {
            LimitSource::Fixed(limit) => Some(*limit),
            other => other.of(call, progress.places.value(call, scope)),
        };
        if let Some(limit) = limit {
            let ask = ask(counted.unit, progress.quote.cost.as_nanos());
            progress.limits.push(Limit { charge: planned.counter, ask, limit });
            progress.limit_steps.push(step as u16);
        }
        Ok(())
    }

    #[cold]
    fn deny_unlabelled(
        &self,
        step: usize,
        counted: &Counted,
        call: &Call,
        progress: &mut Progress,
    ) -> Result<(), Denial> {
        let key = counted.label.as_deref().unwrap_or_default();
        let why = format!("the call has no label `{key}`");
        self.deny(Some(step), Deny::of_kind(DenialKind::MissingUser, why), call, progress)
    }

    fn rewrite(
        &self,
        step: usize,
        model: SmolStr,
        call: &mut Call,
        progress: &mut Progress,
    ) -> Result<(), Denial> {
        if *call.model_name() == model {
            return Ok(());
        }
        if self.0.settings.mode == Mode::Observe && progress.unchanged.is_none() {
            progress.unchanged = Some(Box::new((call.terms(), progress.quote)));
        }
        call.rewrite(model);
        progress.is_repriced = true;
        let book = self.0.prices.get(progress.version);
        let entry = book.find(call.provider(), call.model()).map(|id| book.entry(id));
        if let Some(most) = entry.and_then(Entry::max_output_tokens) {
            call.clamp_output(most);
        }
        match self.quote(call, book) {
            Ok(quote) => {
                progress.quote = quote;
                Ok(())
            }
            Err(deny) => self.deny(Some(step), deny, call, progress),
        }
    }

    /// Ends the decision with a denial, or while observing notes it and goes on.
    pub(super) fn deny(
        &self,
        step: Option<usize>,
        deny: Deny,
        call: &Call,
        progress: &mut Progress,
    ) -> Result<(), Denial> {
        let rule =
            step.and_then(|step| self.0.plan.steps.get(step)).map(|planned| planned.name.clone());
        let name = rule.unwrap_or(match deny.kind() {
            DenialKind::UnknownPrice => SmolStr::new_static("unknown_price"),
            _ => SmolStr::new_static("estimate"),
        });
        // A rule before this one may be out of room already, and comes first.
        let denial = self.peek(call, progress).unwrap_or_else(|| deny.by(name));
        match self.0.settings.mode {
            Mode::Observe => {
                progress.would_deny.get_or_insert(denial);
                Ok(())
            }
            Mode::Enforce | Mode::Off => Err(denial),
        }
    }

    /// Awaits a user's rule, for no longer than a rule may take.
    pub(super) async fn ask(&self, step: usize, call: &Call) -> Verdict {
        let Some(PlannedStep { step: Step::Custom(rule), .. }) = self.0.plan.steps.get(step) else {
            return Verdict::Allow;
        };
        let failed = |why: String| Deny::of_kind(DenialKind::RuleFailed, why).into();
        let limit = self.0.settings.rule_timeout;
        let evaluation = catch_unwind(AssertUnwindSafe(|| rule.evaluate_boxed(call)));
        let Ok(evaluation) = evaluation else { return failed("the rule panicked".into()) };
        let guarded = super::guard::CatchUnwind(evaluation);
        let verdict = match super::guard::within(limit, guarded).await {
            Some(verdict) => verdict,
            None => return failed(format!("the rule took longer than {limit:?}")),
        };
        verdict.unwrap_or_else(|| failed("the rule panicked".into()))
    }
}

fn ask(unit: Unit, cost: u64) -> u64 {
    match unit {
        Unit::Cost => cost,
        Unit::Calls => 1,
    }
}
