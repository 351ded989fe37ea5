//! The chain beside a recording: what was written when, each piece over the one before it, signed by the gateway.
//!
//! `NAME.cast.chain` has a first line that names format, recording and public key; a line `OFFSET HASH SIGNATURE` for each
//! piece that was written; and a last one that begins with `sealed`. HASH is SHA-256 over the hash before it and the piece's
//! bytes (the first over the first line), SIGNATURE is Ed25519 over kind, recording, offset and hash. A chain without its last
//! line is of a session that is still running or of a gateway that died, and its pieces verify all the same.
//!
//! Invariant: who changes a byte of a sealed recording, or cuts it off, needs the gateway's key to hide it. It deliberately
//! does not hide the recording, nor keep anybody from deleting it: the audit says that there was one.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD as BASE64;
use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

const FORMAT: &str = "bourse-recording 1";
/// The longest line: the first one, with a long name.
const LINE: u64 = 1024;
/// The largest piece: one packet as JSON, where a byte may take six.
const PIECE: u64 = 4 << 20;

/// The key that a gateway signs its recordings with.
pub struct SealKey {
    pair: Ed25519KeyPair,
}

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealKey")
    }
}

/// It is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the seed of the recordings' key can't be used")]
pub struct BadSeed;

impl SealKey {
    /// The key of a secret seed.
    ///
    /// # Errors
    /// Never in practice: the length is right.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, BadSeed> {
        Ok(Self { pair: Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| BadSeed)? })
    }

    /// The public half, which verifies; the raw 32 bytes.
    pub fn public_key(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }
}

/// Where the chain of a recording lies.
pub fn chain_of(recording: &Path) -> PathBuf {
    let mut name = recording.as_os_str().to_owned();
    name.push(".chain");
    PathBuf::from(name)
}

/// A chain that is being written.
#[derive(Debug)]
pub(super) struct Chain {
    file: File,
    name: String,
    offset: u64,
    hash: [u8; SHA256_OUTPUT_LEN],
}

impl Chain {
    /// Begins a chain in an empty file.
    pub(super) fn begin(mut file: File, name: &str, key: &SealKey) -> io::Result<Self> {
        let first = first_line(name, key.public_key());
        file.write_all(first.as_bytes())?;
        Ok(Self { file, name: name.to_owned(), offset: 0, hash: hash(&[], first.as_bytes()) })
    }

    /// Adds a piece that was written to the recording.
    pub(super) fn add(&mut self, piece: &[u8], key: &SealKey) -> io::Result<()> {
        self.offset += piece.len() as u64;
        self.hash = hash(&self.hash, piece);
        self.line(Kind::Piece, key)
    }

    /// Says that there is no more.
    pub(super) fn seal(&mut self, key: &SealKey) -> io::Result<()> {
        self.line(Kind::Seal, key)?;
        self.file.sync_all()
    }

    fn line(&mut self, kind: Kind, key: &SealKey) -> io::Result<()> {
        let signature = key.pair.sign(&signed(kind, &self.name, self.offset, &self.hash));
        let (hash, signature) = (BASE64.encode(self.hash), BASE64.encode(signature));
        self.file.write_all(format!("{}{} {hash} {signature}\n", kind.prefix(), self.offset).as_bytes())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Piece,
    Seal,
}

impl Kind {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Piece => "",
            Self::Seal => "sealed ",
        }
    }
}

fn first_line(name: &str, public_key: &[u8]) -> String {
    format!("{FORMAT} {name} {}\n", BASE64.encode(public_key))
}

fn hash(before: &[u8], piece: &[u8]) -> [u8; SHA256_OUTPUT_LEN] {
    let mut hash = [0; SHA256_OUTPUT_LEN];
    hash.copy_from_slice(digest(&SHA256, &[before, piece].concat()).as_ref());
    hash
}

fn signed(kind: Kind, name: &str, offset: u64, hash: &[u8]) -> Vec<u8> {
    let head = format!("{FORMAT}\n{}\n{name}\n{offset}\n", kind.prefix());
    [head.as_bytes(), hash].concat()
}

/// A recording that is what the gateway wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The recording's name, as the gateway gave it.
    pub name: String,
    /// The bytes that the chain vouches for.
    pub bytes: u64,
    /// Whether it is whole.
    pub end: End,
}

/// How a recording ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The gateway ended and sealed it.
    Sealed,
    /// The session is still running, or the gateway died, or the end was cut off. Behind what the chain vouches for there
    /// are this many bytes that it does not vouch for.
    Unsealed(u64),
}

/// Why a recording is not what a gateway wrote.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// It or its chain can't be read.
    #[error("could not read the recording or its chain")]
    Unreadable(#[from] io::Error),
    /// The chain is none, is another recording's, or of another gateway's key.
    #[error("the chain does not begin as one of this recording by this gateway")]
    Foreign,
    /// A line of the chain is none, or has a wrong signature.
    #[error("line {0} of the chain was not written by this gateway")]
    Line(u64),
    /// Bytes differ from what was written.
    #[error("the recording differs from what was written, between byte {from} and byte {to}")]
    Changed {
        /// The first byte that may be wrong.
        from: u64,
        /// Behind the last byte that may be wrong.
        to: u64,
    },
    /// There is more than the gateway wrote.
    #[error("there is something behind the end of the recording or of its chain")]
    Longer,
}

/// Checks a recording against its chain and the public key of the gateway (32 bytes).
///
/// # Errors
/// See [`Broken`]: then nothing in the recording may be believed.
pub fn verify(recording: &Path, public_key: &[u8]) -> Result<Verified, Broken> {
    let mut cast = BufReader::new(File::open(recording)?);
    let length = cast.get_ref().metadata()?.len();
    let mut chain = BufReader::new(File::open(chain_of(recording))?);
    let first = line(&mut chain)?.ok_or(Broken::Foreign)?;
    let name = recording.file_name().and_then(|name| name.to_str()).ok_or(Broken::Foreign)?;
    if first != first_line(name, public_key) {
        return Err(Broken::Foreign);
    }
    let mut checked = Link { offset: 0, hash: hash(&[], first.as_bytes()) };
    let key = UnparsedPublicKey::new(&ED25519, public_key);
    let verified = |bytes, end| Ok(Verified { name: name.to_owned(), bytes, end });
    for number in 2.. {
        // A last line without its end is one that the gateway died over.
        let Some(line) = line(&mut chain)?.filter(|line| line.ends_with('\n')) else {
            return verified(checked.offset, End::Unsealed(length.saturating_sub(checked.offset)));
        };
        let (kind, next, signature) = parse(&line).ok_or(Broken::Line(number))?;
        key.verify(&signed(kind, name, next.offset, &next.hash), &signature).map_err(|_| Broken::Line(number))?;
        if kind == Kind::Seal {
            if (next.offset, next.hash) != (checked.offset, checked.hash) {
                return Err(Broken::Line(number));
            }
            return match length == checked.offset && chain.fill_buf()?.is_empty() {
                true => verified(checked.offset, End::Sealed),
                false => Err(Broken::Longer),
            };
        }
        let size = next.offset.checked_sub(checked.offset).filter(|size| *size <= PIECE).ok_or(Broken::Line(number))?;
        let mut piece = Vec::new();
        cast.by_ref().take(size).read_to_end(&mut piece)?;
        if piece.len() as u64 != size || hash(&checked.hash, &piece) != next.hash {
            return Err(Broken::Changed { from: checked.offset, to: next.offset });
        }
        checked = next;
    }
    Err(Broken::Longer)
}

struct Link {
    offset: u64,
    hash: [u8; SHA256_OUTPUT_LEN],
}

/// The next line with its end, or the rest without one; `None` where nothing is left.
fn line(chain: &mut BufReader<File>) -> Result<Option<String>, Broken> {
    let mut bytes = Vec::new();
    chain.by_ref().take(LINE).read_until(b'\n', &mut bytes)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    String::from_utf8(bytes).map(Some).map_err(|_| Broken::Foreign)
}

fn parse(line: &str) -> Option<(Kind, Link, Vec<u8>)> {
    let line = line.strip_suffix('\n')?;
    let (kind, rest) = line.strip_prefix(Kind::Seal.prefix()).map_or((Kind::Piece, line), |rest| (Kind::Seal, rest));
    let mut parts = rest.split(' ');
    let offset = parts.next()?;
    let link = Link { offset: offset.parse().ok()?, hash: BASE64.decode(parts.next()?).ok()?.try_into().ok()? };
    let signature = BASE64.decode(parts.next()?).ok()?;
    // One way to write each line: else a changed byte could mean the same.
    (parts.next().is_none() && offset == link.offset.to_string()).then_some((kind, link, signature))
}
