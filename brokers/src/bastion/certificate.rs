//! Signing: CA keys, and the certificates that they sign.
//!
//! Pure but for random numbers. Knows no plan and no database. Invariants: a certificate names at least one principal, is
//! valid for a bounded time, and is only made for a kind of key that is accepted.

use ipnet::IpNet;
use osb::kit::KeyError;
use osb::kit::seal::random;
use russh::keys::ssh_key::certificate::{Builder, CertType};
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use russh::keys::ssh_key::{LineEnding, PublicKey};
use russh::keys::{Algorithm, Certificate, PrivateKey};

/// How long before it was signed a certificate is valid already, for hosts whose clocks are behind.
pub(super) const SKEW_SECONDS: i64 = 60;
const NONCE_BYTES: usize = 32;

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The system gave no random bytes.
    #[error("no key or nonce could be drawn")]
    Random(#[from] KeyError),
    /// No principal was named: such a certificate would let its bearer in as anyone.
    #[error("a certificate without principals is never signed")]
    NoPrincipals,
    /// Times before 1970.
    #[error("a time is out of range")]
    Time,
    /// The key or the certificate can't be encoded.
    #[error("could not encode a key or a certificate")]
    Encoding(#[from] russh::keys::ssh_key::Error),
}

/// A certificate that is to be signed.
#[derive(Clone, Debug)]
pub(super) struct Request<'a> {
    /// Whose it is.
    pub key: &'a PublicKey,
    /// A user's or a host's.
    pub kind: CertType,
    /// Unique within the CA; not 0.
    pub serial: u64,
    /// What hosts log.
    pub key_id: String,
    /// Login names or host names.
    pub principals: &'a [String],
    /// Seconds since 1970.
    pub valid_after: i64,
    /// Seconds since 1970.
    pub valid_before: i64,
    /// From where it may be used; empty: from anywhere.
    pub sources: &'a [IpNet],
    /// The only command that runs, whatever is asked for.
    pub force_command: Option<&'a str>,
    /// Whether there may be a terminal.
    pub pty: bool,
    /// Whether ports may be forwarded.
    pub port_forwarding: bool,
}

/// A new CA key.
pub(super) fn new_key() -> Result<PrivateKey, SignError> {
    let pair = Ed25519Keypair::from_seed(&random()?);
    Ok(PrivateKey::new(KeypairData::from(pair), "")?)
}

/// A private key as text, only ever to be sealed.
pub(super) fn to_text(key: &PrivateKey) -> Result<impl std::ops::Deref<Target = String>, SignError> {
    Ok(key.to_openssh(LineEnding::LF)?)
}

/// Signs.
pub(super) fn sign(ca: &PrivateKey, request: Request<'_>) -> Result<Certificate, SignError> {
    if request.principals.is_empty() {
        return Err(SignError::NoPrincipals);
    }
    let seconds = |time: i64| u64::try_from(time).map_err(|_| SignError::Time);
    let nonce = random::<NONCE_BYTES>()?;
    let (after, before) = (seconds(request.valid_after)?, seconds(request.valid_before)?);
    let mut builder = Builder::new(nonce, request.key.key_data().clone(), after, before)?;
    builder.serial(request.serial)?.key_id(request.key_id)?.cert_type(request.kind)?;
    for principal in request.principals {
        builder.valid_principal(principal)?;
    }
    if request.kind == CertType::User {
        if !request.sources.is_empty() {
            builder.critical_option("source-address", addresses(request.sources))?;
        }
        if let Some(command) = request.force_command {
            builder.critical_option("force-command", command)?;
        }
        if request.pty {
            builder.extension("permit-pty", "")?;
        }
        if request.port_forwarding {
            builder.extension("permit-port-forwarding", "")?;
        }
    }
    Ok(builder.sign(ca)?)
}

/// Prefixes as OpenSSH wants them: no host bits.
fn addresses(sources: &[IpNet]) -> String {
    let texts: Vec<String> = sources.iter().map(|source| source.trunc().to_string()).collect();
    texts.join(",")
}

/// Whether keys of that kind get certificates: small, fast, and without a parameter that could be weak.
pub(super) fn is_accepted(algorithm: &Algorithm) -> bool {
    matches!(
        algorithm,
        Algorithm::Ed25519 | Algorithm::Ecdsa { .. } | Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_without_principals_is_never_signed() {
        let (ca, user) = (new_key().unwrap(), new_key().unwrap());
        let request = Request {
            key: user.public_key(),
            kind: CertType::User,
            serial: 1,
            key_id: "k".into(),
            principals: &[],
            valid_after: 10,
            valid_before: 20,
            sources: &[],
            force_command: None,
            pty: true,
            port_forwarding: false,
        };
        assert!(matches!(sign(&ca, request.clone()), Err(SignError::NoPrincipals)));
        let principals = ["deploy".to_owned()];
        let signed = sign(&ca, Request { principals: &principals, ..request }).unwrap();
        assert_eq!(signed.valid_principals(), principals);
        assert_eq!(signed.extensions().keys().collect::<Vec<_>>(), ["permit-pty"]);
        assert!(signed.critical_options().is_empty());
    }

    #[test]
    fn a_private_key_opens_again_from_its_text() {
        let key = new_key().unwrap();
        let text = to_text(&key).unwrap();
        assert_eq!(PrivateKey::from_openssh(text.as_str()).unwrap().public_key(), key.public_key());
    }
}
