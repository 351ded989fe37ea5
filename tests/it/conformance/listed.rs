//! Where brokers are at fault, and where the hub makes a difference: every row whose verdict through the hub is not the direct one,
//! and every row that a broker fails or is warned of, with the reason. `verdicts` holds that nothing else is so and that all of
//! this still is; `docs/conformance.md` shows it, in these words.

use osb::conformance::Verdict::{self, Failed, NotApplicable, NotJudged, Passed, Warned};

/// One line of the table.
pub(super) struct Listed {
    /// Brokers and their plans, as subjects are named.
    pub(super) plans: &'static [&'static str],
    pub(super) rows: &'static [&'static str],
    pub(super) direct: Verdict,
    pub(super) through: Verdict,
    pub(super) why: &'static str,
}

impl Listed {
    /// As a line of a table in Markdown.
    pub(super) fn line(&self) -> String {
        let [plans, rows] = [self.plans, self.rows].map(|names| names.join(", "));
        format!("| {plans} | {rows} | {} | {} | {} |", self.direct, self.through, self.why)
    }
}

/// The line that is about that row of that subject.
pub(super) fn find(table: &'static [Listed], plan: &str, row: &str) -> Option<&'static Listed> {
    table.iter().find(|listed| listed.plans.contains(&plan) && listed.rows.contains(&row))
}

const BUCKETS: &[&str] = &["buckets/at-once"];
const QUEUES: &[&str] = &["queues/at-once"];
const QUEUES_LATER: &[&str] = &["queues/later"];
const BOTH_BUCKETS: &[&str] = &["buckets/at-once", "buckets/later"];
const STRANGERS: &[&str] = &["buckets/at-once", "buckets/later", "queues/at-once", "queues/later"];
/// All that are polled through the hub.
const POLLED: &[&str] = &[
    "faults/ok",
    "faults/ok behind two hubs",
    "faults/async-required",
    "buckets/at-once",
    "buckets/later",
    "queues/at-once",
    "queues/later",
];

pub(super) const LISTED: &[Listed] = &[
    Listed {
        plans: POLLED,
        rows: &["LOI-09"],
        direct: NotApplicable,
        through: Passed,
        why: "The hub says with each poll when to ask again. These brokers don't, and needn't.",
    },
    Listed {
        plans: &["faults/async-required"],
        rows: &["CON-05"],
        direct: Passed,
        through: NotApplicable,
        why: "A choice: the broker lets an unbind halt the bind, the hub refuses it with ConcurrencyError until the bind is over.",
    },
    Listed {
        plans: BUCKETS,
        rows: &["AUTH-02"],
        direct: Failed,
        through: Passed,
        why: "openbrokerapi looks at the version before it looks at the credentials. The hub asks for credentials first.",
    },
    Listed {
        plans: BOTH_BUCKETS,
        rows: &["LOI-06", "ERR-02"],
        direct: Failed,
        through: Passed,
        why: "openbrokerapi answers the last operation of an unknown instance 410, with an empty description. The hub answers from its own records.",
    },
    Listed {
        plans: &["buckets/at-once", "queues/at-once"],
        rows: &["PRV-02"],
        direct: Failed,
        through: Passed,
        why: "openbrokerapi and @sap/sbf take organization and space from the context where the body lacks them. The hub refuses such a body itself.",
    },
    Listed {
        plans: BUCKETS,
        rows: &["UPD-16", "BND-04"],
        direct: Failed,
        through: Passed,
        why: "openbrokerapi hands parameters on whatever their type. The hub refuses what is no object itself.",
    },
    Listed { plans: BUCKETS, rows: &["PRV-05"], direct: Warned, through: Passed, why: "The same in a provision." },
    Listed {
        plans: BUCKETS,
        rows: &["UPD-17"],
        direct: NotJudged,
        through: Passed,
        why: "It follows: openbrokerapi refuses no malformed update, so there is none whose effect could be looked at.",
    },
    Listed {
        plans: BUCKETS,
        rows: &["VER-02", "ERR-10"],
        direct: Warned,
        through: Passed,
        why: "openbrokerapi answers a version that is no number 500. The hub answers it 412, with a description.",
    },
    Listed {
        plans: BUCKETS,
        rows: &["URL-01", "CT-01"],
        direct: Warned,
        through: Passed,
        why: "Flask, below openbrokerapi, takes an encoded slash in an id for a slash: 404, in HTML. The hub gives brokers ids of its own.",
    },
    Listed {
        plans: STRANGERS,
        rows: &["RID-02"],
        direct: Warned,
        through: Passed,
        why: "Neither framework knows request identities. The hub sends them back.",
    },
    Listed {
        plans: BOTH_BUCKETS,
        rows: &["CAT-06"],
        direct: NotApplicable,
        through: Passed,
        why: "openbrokerapi gives a catalog no entity tag. The hub does.",
    },
    Listed {
        plans: QUEUES,
        rows: &["PRV-08", "ASY-05", "AMB-02", "BND-08"],
        direct: Warned,
        through: Passed,
        why: "@sap/sbf answers each provision and bind 201, also where the same was done before. The hub knows, and answers 200.",
    },
    Listed {
        plans: QUEUES,
        rows: &["AMB-15"],
        direct: Warned,
        through: Warned,
        why: "@sap/sbf refuses null for parameters. The hub sends an order as it was written, and relays the refusal.",
    },
    Listed {
        plans: QUEUES_LATER,
        rows: &["PRV-12"],
        direct: Failed,
        through: Failed,
        why: "@sap/sbf sends nothing but a description with an error, so 422 lacks its code AsyncRequired. Without one a 422 means nothing in particular, and the hub relays it as 400 with that description.",
    },
    Listed {
        plans: QUEUES_LATER,
        rows: &["ERR-05"],
        direct: Failed,
        through: NotJudged,
        why: "The same fault; and the hub's 400 is no 422 that could be looked at.",
    },
];
