//! Key revocation lists as OpenSSH reads them (its PROTOCOL.krl): certificates by serial, and whole CA keys.
//!
//! Only writes; `sshd` and `ssh-keygen -Q` read. It deliberately leaves out bitmaps and key ids: serials are given out one
//! after the other, so lists and ranges are short. Invariant: sections are sorted as the format asks for, and serial 0, which
//! means "no serial", is never written.

use ring::digest::{SHA256, digest};
use russh::keys::PublicKey;

const MAGIC: u64 = 0x5353_484b_524c_0a00;
const FORMAT_VERSION: u32 = 1;
const SECTION_CERTIFICATES: u8 = 1;
const SECTION_FINGERPRINT_SHA256: u8 = 5;
const SERIAL_LIST: u8 = 0x20;
const SERIAL_RANGE: u8 = 0x21;
/// From how many serials in a row on a range is shorter than a list.
const RANGE_FROM: usize = 3;

/// What is revoked.
#[derive(Debug, Default)]
pub struct Krl {
    /// Grows with each change.
    pub number: u64,
    /// Seconds since 1970.
    pub generated_at: u64,
    /// For people, such as the bastion's name.
    pub comment: String,
    /// Serials of each CA.
    pub certificates: Vec<(PublicKey, Vec<u64>)>,
    /// CA keys that are not to be trusted at all, whatever they signed.
    pub keys: Vec<PublicKey>,
}

/// A key that can't be encoded: none that was read before is one.
#[derive(Debug, thiserror::Error)]
#[error("a public key can't be encoded")]
pub struct Unencodable(#[from] russh::keys::ssh_key::Error);

impl Krl {
    /// The bytes of the file.
    ///
    /// # Errors
    /// See [`Unencodable`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, Unencodable> {
        let mut out = Vec::new();
        out.extend(MAGIC.to_be_bytes());
        out.extend(FORMAT_VERSION.to_be_bytes());
        out.extend(self.number.to_be_bytes());
        out.extend(self.generated_at.to_be_bytes());
        // Flags, of which there are none.
        out.extend(0_u64.to_be_bytes());
        string(&mut out, b"");
        string(&mut out, self.comment.as_bytes());
        for (ca, serials) in &self.certificates {
            let mut section = Vec::new();
            string(&mut section, &ca.to_bytes()?);
            string(&mut section, b"");
            if serial_sections(&mut section, serials) {
                out.push(SECTION_CERTIFICATES);
                string(&mut out, &section);
            }
        }
        if !self.keys.is_empty() {
            out.push(SECTION_FINGERPRINT_SHA256);
            string(&mut out, &self.fingerprints()?);
        }
        Ok(out)
    }

    fn fingerprints(&self) -> Result<Vec<u8>, Unencodable> {
        let hash = |key: &PublicKey| Ok(digest(&SHA256, &key.to_bytes()?).as_ref().to_vec());
        let mut hashes: Vec<Vec<u8>> = self.keys.iter().map(hash).collect::<Result<_, Unencodable>>()?;
        hashes.sort();
        hashes.dedup();
        let mut section = Vec::new();
        hashes.iter().for_each(|hash| string(&mut section, hash));
        Ok(section)
    }
}

/// Writes the serials, neighbours as ranges. False where there is none.
fn serial_sections(out: &mut Vec<u8>, serials: &[u64]) -> bool {
    let mut serials: Vec<u64> = serials.iter().copied().filter(|serial| *serial != 0).collect();
    serials.sort_unstable();
    serials.dedup();
    let mut list = Vec::new();
    for run in serials.chunk_by(|one, next| one.checked_add(1) == Some(*next)) {
        if let [first, .., last] = run
            && run.len() >= RANGE_FROM
        {
            flush(out, &mut list);
            subsection(out, SERIAL_RANGE, &[*first, *last]);
        } else {
            list.extend_from_slice(run);
        }
    }
    flush(out, &mut list);
    !serials.is_empty()
}

fn flush(out: &mut Vec<u8>, list: &mut Vec<u64>) {
    if !list.is_empty() {
        subsection(out, SERIAL_LIST, list);
        list.clear();
    }
}

fn subsection(out: &mut Vec<u8>, kind: u8, numbers: &[u64]) {
    let body: Vec<u8> = numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
    out.push(kind);
    string(out, &body);
}

/// A string of SSH: its length, then its bytes. What is written here is far below 4 GiB.
fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(bytes);
}
