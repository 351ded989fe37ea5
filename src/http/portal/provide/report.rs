//! What the conformance suite found of a broker, for people: how the run stands, what it came to, which requirements are broken and where the
//! specification says so, what could not be found out, and what may still be at the broker.

use maud::{Markup, html};

use crate::app::conformance::RunView;
use crate::domain::judgement::{JudgedRow, Judgement, Outcome, RunState};
use crate::http::portal::kit::{self, Tone};
use crate::http::portal::shown;

/// The latest run.
pub(super) fn latest(run: &RunView) -> Markup {
    html! {
        section aria-labelledby="latest" {
            h2 id="latest" { "The latest run" }
            (verdict(run))
            @if !run.current && run.row.state == RunState::Finished {
                (kit::notice(Tone::Warn, &html! { p { "The offering, or where its broker is, changed since: this verdict counts for nothing any more. Have it judged again." } }))
            }
            (kit::facts(&facts(run)))
            @if let Some(judgement) = &run.judgement { (found(judgement)) }
        }
    }
}

/// How it stands, in a sentence with what to do.
pub(super) fn verdict(run: &RunView) -> Markup {
    let reason = run.row.reason.as_deref().unwrap_or_default();
    let (tone, badge, words) = match (run.row.state, run.row.outcome) {
        (RunState::Waiting, _) => (
            Tone::Busy,
            "waiting",
            "It begins as soon as a worker of the hub is free. This page looks again by itself.".to_owned(),
        ),
        (RunState::Running, _) => (
            Tone::Busy,
            "running",
            "The broker is being judged: that takes seconds to minutes. This page looks again by itself.".to_owned(),
        ),
        (RunState::Cleaning, _) => (
            Tone::Busy,
            "cleaning up",
            "The process that judged it ended. Another one deletes what was made.".to_owned(),
        ),
        (RunState::Interrupted, _) => {
            (Tone::Warn, "interrupted", "It was cut off, so there is no verdict. Have it judged again.".to_owned())
        }
        (RunState::Failed, _) => {
            (Tone::Bad, "could not begin", format!("{reason}. Put that right, then have it judged again."))
        }
        (RunState::Finished, Some(Outcome::Conforms)) => {
            (Tone::Good, "conforms", "Nothing that binds a broker is broken.".to_owned())
        }
        (RunState::Finished, Some(Outcome::Fails)) => {
            let count = usize::try_from(run.row.failed.unwrap_or_default()).unwrap_or_default();
            let broken = shown::count(count, "requirement is broken", "requirements are broken");
            (
                Tone::Bad,
                "fails",
                format!(
                    "{broken}. The report says of each what was expected and what came. Put the broker right, then have it judged again."
                ),
            )
        }
        (RunState::Finished, _) => (
            Tone::Warn,
            "incomplete",
            format!(
                "It could not be found out: {}. Name a plan or parameters with which an instance can be made, then have it judged again.",
                if reason.is_empty() { "the run was not finished" } else { reason }
            ),
        ),
    };
    html! { div class={ "notice " (tone.as_str()) } role="status" { p { (kit::badge(tone, badge)) " " (words) } } }
}

fn facts(run: &RunView) -> Vec<(&'static str, Markup)> {
    let row = &run.row;
    let mut facts = vec![
        ("Offering", html! { (row.offering) }),
        ("Asked for", html! { (shown::time(row.requested_at)) ", by " (row.requested_by) }),
    ];
    if let Some(judgement) = &run.judgement {
        if let Some(plan) = &judgement.plan {
            facts.push(("Instances were made of", html! { "plan " (plan) }));
        }
        facts.push(("Specification", html! { "OSB " (judgement.specification) }));
        facts.push(("Requests", html! { (judgement.requests) }));
    }
    if let (Some(started), Some(finished)) = (row.started_at, row.finished_at) {
        facts.push((
            "Over",
            html! { (shown::time(finished)) ", after " (shown::duration(finished.since(started).as_secs())) },
        ));
    } else if let Some(started) = row.started_at {
        facts.push(("Began", shown::time(started)));
    }
    facts
}

fn found(judgement: &Judgement) -> Markup {
    let of = |verdicts: &[&str]| -> Vec<&JudgedRow> {
        judgement.rows.iter().filter(|row| verdicts.contains(&row.verdict.as_str())).collect()
    };
    let count = |verdict: &str| judgement.summary.get(verdict).copied().unwrap_or_default();
    let (broken, warned, open) = (of(&["failed"]), of(&["warned"]), of(&["not_judged"]));
    html! {
        ul.chips-line {
            @for (verdict, tone, words) in [
                ("passed", Tone::Good, "kept"), ("failed", Tone::Bad, "broken"), ("warned", Tone::Warn, "could be better"),
                ("not_judged", Tone::Plain, "not found out"), ("not_applicable", Tone::Plain, "do not apply"),
            ] { li { (kit::badge(tone, &format!("{} {words}", count(verdict)))) } }
        }
        @if !judgement.left_behind.is_empty() {
            (kit::notice(Tone::Warn, &html! {
                h3 { "This may still be at the broker" }
                p { "It could not be deleted. Look there, and delete it by hand." }
                ul { @for thing in &judgement.left_behind { li { (thing) } } }
            }))
        }
        @if !broken.is_empty() { (rows("Broken: these bind every broker", &broken)) }
        @if !warned.is_empty() { (rows("Could be better: these do not bind", &warned)) }
        @if !open.is_empty() { (folded("Not found out", &open)) }
        @let rest = of(&["not_applicable"]);
        @if !rest.is_empty() { (folded("Do not apply to it", &rest)) }
        @let kept = of(&["passed"]);
        @if !kept.is_empty() { (folded("Kept", &kept)) }
    }
}

fn folded(caption: &str, found: &[&JudgedRow]) -> Markup {
    html! {
        details.more {
            summary { (caption) " (" (found.len()) ")" }
            (rows(caption, found))
        }
    }
}

fn rows(caption: &str, found: &[&JudgedRow]) -> Markup {
    let row = |row: &&JudgedRow| {
        vec![
            html! { a href=(row.link) rel="noreferrer" { (row.id) } " " span.under { (row.level) } },
            html! { (row.requirement) },
            html! {
                @if let Some(reason) = &row.reason { p { (reason) } }
                @if !row.findings.is_empty() { ul.bullets { @for finding in &row.findings { li { (finding) } } } }
            },
        ]
    };
    let rows: Vec<_> = found.iter().map(row).collect();
    kit::table(caption, &["Requirement", "What it says", "What came"], &rows)
}

/// The latest verdict on each offering.
pub(super) fn verdicts(runs: &[RunView]) -> Markup {
    let row = |run: &RunView| {
        vec![
            html! { (run.row.offering) },
            html! { (badge(run)) @if !run.current { " " (kit::badge(Tone::Warn, "on another form of it")) } },
            html! { @if let Some(at) = run.row.finished_at { (shown::time(at)) } },
        ]
    };
    let rows: Vec<_> = runs.iter().map(row).collect();
    html! {
        section aria-labelledby="verdicts" {
            h2 id="verdicts" { "Verdicts" }
            (kit::table("The latest verdict on each offering", &["Offering", "Verdict", "When"], &rows))
        }
    }
}

/// A verdict in a word.
pub(super) fn badge(run: &RunView) -> Markup {
    match run.row.outcome {
        Some(Outcome::Conforms) => kit::badge(Tone::Good, "conforms"),
        Some(Outcome::Fails) => kit::badge(Tone::Bad, "fails"),
        Some(Outcome::Incomplete) => kit::badge(Tone::Warn, "incomplete"),
        None => kit::badge(Tone::Plain, run.row.state.as_str()),
    }
}
