//! The FinOps Foundation's `focus-validator`, as it comes from PyPI. It has its rules and a list of currencies with it, and asks
//! nobody else.

use std::process::Command;

use crate::support::python;

/// What it says about a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Rules that were checked.
    pub(crate) checks: usize,
    /// The names of those that failed, in order.
    pub(crate) failed: Vec<String>,
}

/// It looks for its list of currencies from the folder that it is installed in.
const IN_ITS_FOLDER: &str = "
import importlib.util, os, pathlib, sys
os.chdir(pathlib.Path(importlib.util.find_spec('focus_validator').origin).parents[1])
from focus_validator.main import main
main()";

/// Lets it judge a file by a version of FOCUS.
pub(crate) fn judge(export: &str, version: &str) -> Verdict {
    let folder = tempfile::tempdir().expect("no temporary directory");
    let (data, report) = (folder.path().join("export.csv"), folder.path().join("report.xml"));
    std::fs::write(&data, export).expect("the export could not be written");
    let output = Command::new(python::python())
        .env("DISABLE_PANDERA_IMPORT_WARNING", "True")
        .args(["-c", IN_ITS_FOLDER, "--validate-version", version, "--output-type", "unittest"])
        .arg("--data-file")
        .arg(&data)
        .arg("--output-destination")
        .arg(&report)
        .output()
        .expect("Python could not be started");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    let report = std::fs::read_to_string(report).expect("it wrote no report");
    read(&report)
}

/// Its report is JUnit's XML: a `testcase` each, with a `failure` or `error` in it.
fn read(report: &str) -> Verdict {
    let cases: Vec<&str> = report.split("<testcase ").skip(1).collect();
    // `name="Rule :: Kind"`
    let name = |case: &&str| case.split("name=\"").nth(1)?.split([' ', '"']).next().map(str::to_owned);
    let bad = |case: &&&str| case.contains("<failure") || case.contains("<error") || case.contains("<skipped");
    let failed = cases.iter().filter(bad).filter_map(name).collect();
    Verdict { checks: cases.len(), failed }
}
