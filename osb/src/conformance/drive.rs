//! A whole run: the catalog, a plan, the cases one after the other, the clean-up, the report.
//!
//! A case that panics, the end of the time and a wish to stop end the cases, never the clean-up.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt as _;
use futures_util::future::{Either, select};
use serde_json::Value;

use super::cases::{self, Case};
use super::cleanup::clean_up;
use super::exchange::Exchange;
use super::http::Http;
use super::plan::{NoPlan, choose};
use super::probe::{Probe, Stop};
use super::report::{Report, Subject, Verdict};
use super::request::Request;
use super::requirement::Side;
use super::run::Run;
use super::{Error, Options, Progress, Target};

const INTERRUPTED: &str = "the run was stopped before its end";

/// Judges a broker. Whoever wants to stop it lets `stop` end; what was made is deleted all the same.
///
/// # Errors
/// Where it can't even begin: the URL is malformed, nobody answers, or the catalog doesn't hold what was asked for.
pub async fn run(
    target: &Target,
    options: Options,
    progress: Arc<dyn Progress>,
    stop: impl Future<Output = ()> + Send,
) -> Result<Report, Error> {
    let began = Instant::now();
    let http = Http::new(target, options.exchange)?;
    let probe = Probe::new(http, options.clone(), Arc::clone(&progress));
    let catalog = probe.send(Request::catalog()).await;
    if catalog.status.is_none() {
        return Err(Error::Unreachable(catalog.no_answer.clone().unwrap_or_default()));
    }
    let services = catalog.field("services").and_then(Value::as_array).cloned().unwrap_or_default();
    let chosen = choose(&services, &options);
    let mut subject = Subject { url: target.url.clone(), ..Subject::default() };
    cases::catalog::judge(&probe, &catalog).await;
    let (probe, left_behind) = match chosen {
        Ok((plan, parameters)) if catalog.is(200) => {
            subject.offering = Some(plan.offering_name.clone());
            subject.plan = Some(plan.plan_name.clone());
            let run = Run::new(probe, plan, parameters);
            all_cases(&run, progress.as_ref(), stop).await;
            progress.cleaning_up();
            let plans: Vec<String> =
                [Some(run.plan.plan_id.clone()), run.plan.sibling.clone()].into_iter().flatten().collect();
            let left = clean_up(&run, &run.plan.service_id, &plans).await;
            subject.asynchronous = run.saw_asynchronous();
            (run.into_probe(), left)
        }
        chosen => {
            nothing_to_order(&probe, &catalog, &services, chosen.err());
            (probe, Vec::new())
        }
    };
    Ok(report(&probe, subject, left_behind, began))
}

fn names(services: &[Value]) -> String {
    let name = |object: &Value| object.get("name").and_then(Value::as_str).unwrap_or("?").to_owned();
    let plans = |offering: &Value| {
        let plans = offering.get("plans").and_then(Value::as_array);
        plans.into_iter().flatten().map(name).collect::<Vec<_>>().join(", ")
    };
    services.iter().map(|offering| format!("{} ({})", name(offering), plans(offering))).collect::<Vec<_>>().join("; ")
}

/// The catalog alone can be judged.
fn nothing_to_order(probe: &Probe, catalog: &Arc<Exchange>, services: &[Value], reason: Option<NoPlan>) {
    let stop = match catalog.status {
        Some(401) => Stop::reason("the service broker refuses the credentials that were given (401)"),
        Some(200) => Stop::reason(match reason {
            Some(NoPlan(reason)) => format!("nothing can be ordered: {reason}; there are: {}", names(services)),
            None => "nothing can be ordered".to_owned(),
        }),
        _ => Stop::because("CAT-01"),
    };
    probe.incomplete(stop.reason.clone());
    for case in cases::all() {
        probe.not_judged(case.rows, &stop);
    }
}

async fn all_cases(run: &Run, progress: &dyn Progress, stop: impl Future<Output = ()> + Send) {
    let ends = Instant::now() + run.options.overall;
    let mut stop = std::pin::pin!(stop.fuse());
    let of = cases::count();
    let mut stopped: Option<Stop> = None;
    for (index, case) in cases::all().enumerate() {
        if let Some(stop) = &stopped {
            run.not_judged(case.rows, stop);
            continue;
        }
        if case.of_bindings && !run.plan.bindable {
            run.not_applicable(case.rows, "the plan can't be bound to");
            continue;
        }
        let wanted = &run.options.rows;
        if !wanted.is_empty() && !case.rows.iter().any(|row| wanted.iter().any(|wanted| wanted == row)) {
            run.not_judged(case.rows, &Stop::reason("it was not asked for"));
            continue;
        }
        progress.case(case.name, index + 1, of);
        run.begin(case.name);
        let left = ends.saturating_duration_since(Instant::now());
        let one = std::pin::pin!(tokio::time::timeout(left, one_case(run, case)));
        match select(one, stop.as_mut()).await {
            Either::Left((Ok(()), _)) if run.take_trouble() => run.give_up_instance().await,
            Either::Left((Ok(()), _)) => {}
            Either::Left((Err(_), _)) => stopped = Some(Stop::reason("the time for all cases was over")),
            Either::Right(((), _)) => stopped = Some(Stop::reason(INTERRUPTED)),
        }
        if stopped.is_none() && run.is_unreachable() {
            stopped = Some(Stop::reason("the service broker can't be reached any more"));
        }
        if let Some(stop) = &stopped {
            run.incomplete(stop.reason.clone());
            run.not_judged(case.rows, stop);
        }
    }
}

async fn one_case(run: &Run, case: &Case) {
    match AssertUnwindSafe((case.run)(run)).catch_unwind().await {
        Ok(Ok(())) => {}
        Ok(Err(stop)) => run.not_judged(case.rows, &stop),
        Err(_) => {
            let stop = Stop::reason(format!("the suite itself failed in the case \"{}\"", case.name));
            run.incomplete(stop.reason.clone());
            run.not_judged(case.rows, &stop);
        }
    }
}

fn report(probe: &Probe, subject: Subject, left_behind: Vec<String>, began: Instant) -> Report {
    let rows = probe.take_book().judged(cases::unseen);
    let mut report = Report {
        specification: crate::API_VERSION.to_owned(),
        suite: env!("CARGO_PKG_VERSION").to_owned(),
        subject,
        summary: Verdict::ALL.into_iter().map(|verdict| (verdict, 0)).collect(),
        rows,
        interrupted: probe.why_incomplete().as_deref() == Some(INTERRUPTED),
        incomplete: probe.why_incomplete(),
        left_behind,
        requests: probe.requests(),
        milliseconds: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    };
    for row in report.rows.iter().filter(|row| row.sides.contains(&Side::Broker)) {
        *report.summary.entry(row.verdict).or_default() += 1;
    }
    report
}
