//! The conformance suite, strict, over HTTP.

use osb::conformance::{Options, Outcome, Target, Verdict, run, silent};

use super::room::{PAIR, Room};

#[tokio::test]
async fn each_plan_conforms_strictly() {
    let room = Room::new().await;
    for plan in ["basic", "regulated"] {
        let target = Target::new(&room.url).with_credentials(PAIR.0, PAIR.1);
        let options = Options { plan: Some(plan.to_owned()), ..Options::default() };
        let report = run(&target, options, silent(), std::future::pending()).await.unwrap();
        let broken: Vec<_> =
            report.rows.iter().filter(|row| matches!(row.verdict, Verdict::Failed | Verdict::Warned)).collect();
        assert_eq!(report.outcome(true), Outcome::Conforms, "{plan}: {broken:#?}");
    }
}
