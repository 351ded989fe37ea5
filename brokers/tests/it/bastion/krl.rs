//! Revocation lists as `ssh-keygen` reads them.

use std::collections::BTreeSet;
use std::path::Path;

use bourse_brokers::bastion::krl::Krl;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};
use russh::keys::ssh_key::PublicKey;
use serde_json::json;

use super::site::{Site, write_files};
use super::sshd::{key, run, run_well};

/// What `ssh-keygen -Q -l` shows of a list: its number, the serials, and how many keys.
async fn read(directory: &Path, krl: &Krl) -> (u64, BTreeSet<u64>, usize) {
    let file = directory.join("list.krl");
    std::fs::write(&file, krl.to_bytes().unwrap()).unwrap();
    let shown = run_well("ssh-keygen", &["-Q", "-l", "-f", file.to_str().unwrap()], directory).await;
    let after = |line: &str, mark: &str| line.strip_prefix(mark).map(|rest| rest.trim().to_owned());
    let number = shown.lines().find_map(|line| after(line, "# KRL version ")).unwrap().parse().unwrap();
    let mut serials = BTreeSet::new();
    for range in shown.lines().filter_map(|line| after(line, "serial:")) {
        let (first, last) = range.split_once('-').unwrap_or((&range, &range));
        serials.extend(first.parse::<u64>().unwrap()..=last.parse().unwrap());
    }
    (number, serials, shown.lines().filter(|line| line.starts_with("hash:")).count())
}

/// Serials with neighbours, gaps, doubles, and the largest that a broker's file can hold.
fn serials() -> impl Strategy<Value = Vec<u64>> {
    let run = (1..2_000_u64, 0..40_u64).prop_map(|(first, more)| (first..=first + more).collect::<Vec<_>>());
    let far = prop::collection::vec(1..=i64::MAX as u64, 0..4);
    (prop::collection::vec(run, 0..8), far, any::<bool>()).prop_map(|(runs, far, zero)| {
        let mut all: Vec<u64> = runs.into_iter().flatten().chain(far).collect();
        all.reverse();
        all.extend(zero.then_some(0));
        all
    })
}

#[tokio::test]
async fn any_set_of_serials_is_what_ssh_keygen_reads_back() {
    let directory = tempfile::tempdir().unwrap();
    let (_, line) = key(directory.path(), "ca", "ed25519").await;
    let ca = PublicKey::from_openssh(&line).unwrap();
    let mut runner = TestRunner::new(Config::default());
    for number in 1..=12 {
        let drawn = serials().new_tree(&mut runner).unwrap().current();
        let wanted: BTreeSet<u64> = drawn.iter().copied().filter(|serial| *serial != 0).collect();
        let krl = Krl {
            number,
            generated_at: 1_700_000_000,
            comment: "a bastion".into(),
            certificates: vec![(ca.clone(), drawn.clone())],
            keys: if number % 2 == 0 { vec![ca.clone(), ca.clone()] } else { Vec::new() },
        };
        let keys = usize::from(number % 2 == 0);
        assert_eq!(read(directory.path(), &krl).await, (number, wanted, keys), "{drawn:?}");
    }
}

/// Whether ssh-keygen says that the list revokes a certificate.
async fn is_revoked(krl: &Path, certificate: &Path) -> bool {
    let arguments = ["-Q", "-f", krl.to_str().unwrap(), certificate.to_str().unwrap()];
    let output = run("ssh-keygen", &arguments, Path::new("/")).await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        said.contains("REVOKED") || said.trim_end().ends_with(": ok"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(output.status.success(), !said.contains("REVOKED"));
    said.contains("REVOKED")
}

#[tokio::test]
async fn an_unbind_puts_its_certificate_on_the_list_before_it_answers_and_a_deletion_all_of_them() {
    let site = Site::new().await;
    let root = site.directory.path().join("user");
    std::fs::create_dir_all(&root).unwrap();
    let (_, public) = key(&root, "id", "ecdsa").await;
    site.order("b", json!({})).await.unwrap();
    let krl = site.krl_file("b").await;
    for name in ["one", "two", "three"] {
        let given = site.bind("b", name, json!({"public_key": public})).await.unwrap();
        write_files(&root.join(name), &given);
        assert!(!is_revoked(&krl, &root.join(name).join("certificate")).await, "{name}");
    }
    let number = site.shown("b").await["krl_number"].as_u64().unwrap();
    site.unbind("b", "two", 0).await;
    assert_eq!(site.shown("b").await["krl_number"], number + 1);
    for (name, revoked) in [("one", false), ("two", true), ("three", false)] {
        assert_eq!(is_revoked(&krl, &root.join(name).join("certificate")).await, revoked, "{name}");
    }

    // Long after its end it is no longer on the list; the next change leaves it out.
    site.advance(10 * 3_600);
    let late = site.bind("b", "late", json!({"public_key": public})).await.unwrap();
    write_files(&root.join("late"), &late);
    site.unbind("b", "late", 0).await;
    assert!(!is_revoked(&krl, &root.join("two").join("certificate")).await);
    assert!(is_revoked(&krl, &root.join("late").join("certificate")).await);

    // A file that somebody removed comes back.
    std::fs::remove_file(&krl).unwrap();
    site.broker.tend().await;
    assert!(is_revoked(&krl, &root.join("late").join("certificate")).await);

    site.delete("b").await.unwrap();
    for name in ["one", "two", "three", "late"] {
        assert!(is_revoked(&krl, &root.join(name).join("certificate")).await, "its CA is on the list: {name}");
    }
}
