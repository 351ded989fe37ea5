//! Recordings as a reader sees them.

use std::os::unix::fs::PermissionsExt as _;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

fn key() -> Arc<SealKey> {
    Arc::new(SealKey::from_seed(&[9; 32]).unwrap())
}

const HEADER: Header<'_> =
    Header { columns: 80, rows: 24, timestamp: 1_000, title: String::new(), command: None, term: Some("xterm") };

async fn recorder(folder: &TempDir, bytes: u64) -> Recorder {
    let folder = folder.path().join("deep/er");
    Recorder::create(folder, "s.cast".into(), key(), Arc::new(Budget::new(bytes))).await.unwrap()
}

fn path(folder: &TempDir) -> PathBuf {
    folder.path().join("deep/er/s.cast")
}

async fn recorded(pieces: &[&[u8]]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut recorder = recorder(&folder, 1 << 20).await;
    recorder.begin(&HEADER).await.unwrap();
    for piece in pieces {
        recorder.output(Output::Standard, piece).await.unwrap();
    }
    recorder.seal().await.unwrap();
    folder
}

#[tokio::test]
async fn a_recording_is_asciicast_for_the_owner_only_and_verifies() {
    let folder = tempfile::tempdir().unwrap();
    let mut recorder = recorder(&folder, 1 << 20).await;
    recorder.begin(&HEADER).await.unwrap();
    recorder.output(Output::Standard, "gr\u{fc}".as_bytes().split_at(3).0).await.unwrap();
    recorder.output(Output::Error, b"!").await.unwrap();
    recorder.output(Output::Standard, "gr\u{fc}n".as_bytes().split_at(3).1).await.unwrap();
    recorder.resize(100, 40).await.unwrap();
    recorder.mark("sftp open /etc/motd to read").await.unwrap();
    recorder.seal().await.unwrap();

    let text = std::fs::read_to_string(path(&folder)).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let expected =
        json!({"version": 2, "width": 80, "height": 24, "timestamp": 1000, "title": "", "env": {"TERM": "xterm"}});
    assert_eq!(lines[0], expected);
    let events: Vec<_> = lines[1..].iter().map(|line| (line[1].as_str().unwrap(), line[2].as_str().unwrap())).collect();
    let mark = ("m", "sftp open /etc/motd to read");
    assert_eq!(events, [("o", "gr"), ("o", "!"), ("o", "\u{fc}n"), ("r", "100x40"), mark]);
    for file in [path(&folder), chain_of(&path(&folder))] {
        assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let verified = verify(&path(&folder), key().public_key()).unwrap();
    assert_eq!(verified, Verified { name: "s.cast".into(), bytes: text.len() as u64, end: End::Sealed });
    let other = SealKey::from_seed(&[8; 32]).unwrap();
    assert!(matches!(verify(&path(&folder), other.public_key()), Err(Broken::Foreign)));
}

#[tokio::test]
async fn what_a_gateway_left_that_died_verifies_as_unsealed() {
    let folder = tempfile::tempdir().unwrap();
    let mut recorder = recorder(&folder, 1 << 20).await;
    recorder.begin(&HEADER).await.unwrap();
    recorder.output(Output::Standard, b"one").await.unwrap();
    drop(recorder);
    let before = verify(&path(&folder), key().public_key()).unwrap();
    assert_eq!(before.end, End::Unsealed(0));
    assert_eq!(before.bytes, std::fs::metadata(path(&folder)).unwrap().len());
    // It died between the recording and its chain, and within a line of the chain.
    let append =
        |file: PathBuf, bytes: &[u8]| OpenOptions::new().append(true).open(file).unwrap().write_all(bytes).unwrap();
    append(path(&folder), b"[1.0, \"o\"");
    append(chain_of(&path(&folder)), b"99 half a li");
    assert_eq!(verify(&path(&folder), key().public_key()).unwrap(), Verified { end: End::Unsealed(9), ..before });
}

#[tokio::test]
async fn a_recording_that_lost_its_end_is_not_sealed_and_a_longer_one_is_broken() {
    let folder = recorded(&[b"one", b"two"]).await;
    let (cast, chain) = (path(&folder), chain_of(&path(&folder)));
    let (whole, lines) = (std::fs::read(&cast).unwrap(), std::fs::read_to_string(&chain).unwrap());
    let without_seal = &lines[..lines.rfind("sealed").unwrap()];
    std::fs::write(&chain, without_seal).unwrap();
    assert_eq!(verify(&cast, key().public_key()).unwrap().end, End::Unsealed(0));
    std::fs::write(&chain, &lines).unwrap();
    std::fs::write(&cast, &whole[..whole.len() - 1]).unwrap();
    assert!(matches!(verify(&cast, key().public_key()), Err(Broken::Changed { .. })));
    std::fs::write(&cast, [&whole[..], b"x"].concat()).unwrap();
    assert!(matches!(verify(&cast, key().public_key()), Err(Broken::Longer)));
    // Another recording's files under this one's name.
    std::fs::rename(&cast, cast.with_file_name("t.cast")).unwrap();
    std::fs::rename(&chain, cast.with_file_name("t.cast.chain")).unwrap();
    assert!(matches!(verify(&cast.with_file_name("t.cast"), key().public_key()), Err(Broken::Foreign)));
}

#[tokio::test]
async fn a_recording_ends_at_its_limit_and_stays_whole() {
    let folder = tempfile::tempdir().unwrap();
    let budget = Arc::new(Budget::new(200));
    let directory = folder.path().join("deep/er");
    let created = Recorder::create(directory, "s.cast".into(), key(), Arc::clone(&budget));
    let mut recorder = created.await.unwrap();
    recorder.begin(&HEADER).await.unwrap();
    assert!(matches!(recorder.output(Output::Standard, &[b'x'; 200]).await, Err(RecordError::Full)));
    recorder.output(Output::Standard, b"last").await.unwrap();
    recorder.seal().await.unwrap();
    let verified = verify(&path(&folder), key().public_key()).unwrap();
    assert_eq!((verified.bytes, verified.end), (budget.written(), End::Sealed));
}

#[tokio::test]
async fn a_full_disk_is_an_error_and_nothing_is_sealed_then() {
    let folder = tempfile::tempdir().unwrap();
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let file = folder.path().join("c");
    let chain = Chain::begin(File::create(&file).unwrap(), "s.cast", &key()).unwrap();
    let mut recorder = Recorder::on(Files { cast: full, chain, key: key() }, Arc::new(Budget::new(1 << 20)));
    assert!(matches!(recorder.begin(&HEADER).await, Err(RecordError::Write(_))));
    assert!(matches!(recorder.seal().await, Err(RecordError::Write(_))));
    assert!(!std::fs::read_to_string(file).unwrap().contains("sealed"));
}

#[test]
fn a_bastion_can_not_name_another_directory() {
    for name in ["..", ".", "", "a/b", "/etc", "a/"] {
        assert!(matches!(directory(Path::new("data"), name), Err(RecordError::Name)), "{name}");
    }
    assert_eq!(directory(Path::new("data"), "b1").unwrap(), Path::new("data/bastions/b1/recordings"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_changed_byte_of_a_sealed_recording_or_of_its_chain_is_noticed(
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 1..8), at: prop::sample::Index, flip in 1_u8..,
        of_chain: bool,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let folder = runtime.block_on(recorded(&pieces.iter().map(Vec::as_slice).collect::<Vec<_>>()));
        let file = if of_chain { chain_of(&path(&folder)) } else { path(&folder) };
        let whole = verify(&path(&folder), key().public_key()).unwrap();
        prop_assert_eq!(whole.end, End::Sealed);
        let mut bytes = std::fs::read(&file).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        std::fs::write(&file, bytes).unwrap();
        let now = verify(&path(&folder), key().public_key());
        prop_assert!(now.as_ref().map_or(true, |verified| verified.end != End::Sealed), "byte {} gave {:?}", at, now);
    }
}
