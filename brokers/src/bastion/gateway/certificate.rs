//! What can be said of a certificate without asking the authority: its kind, its time, its options, whose it is.
//!
//! The gateway checks this before it asks [`Access::admit`](crate::bastion::access::Access::admit), so that a slip there is not
//! enough; [`super::local`] has nothing else. It deliberately knows no revocation list. Invariant: an option that must be
//! understood and is not refuses the certificate, and a certificate without principals is for nobody rather than everybody.

use std::net::IpAddr;

use ipnet::IpNet;
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::{Certificate, HashAlg, PublicKey};

/// Why a certificate is of no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsound {
    /// A host's, where a user's is needed, or the other way round.
    #[error("the certificate is of the wrong kind")]
    Kind,
    /// Its time has not come.
    #[error("the certificate is not yet valid")]
    Early,
    /// Its time is over.
    #[error("the certificate has expired")]
    Expired,
    /// It is for somebody else, or names nobody.
    #[error("the certificate is not for this principal")]
    Principal,
    /// It holds an option that must be understood.
    #[error("the certificate has the critical option `{0}`, which is not known here")]
    Option(String),
    /// It may not be used from there.
    #[error("the certificate is not for this source address")]
    Source,
    /// Another CA signed it, or its signature is wrong.
    #[error("the certificate is not signed by an authority that is trusted here")]
    Authority,
}

/// Checks a user's certificate but for who signed it.
///
/// # Errors
/// See [`Unsound`].
pub fn check_user(certificate: &Certificate, principal: &str, source: IpAddr, now: i64) -> Result<(), Unsound> {
    check_common(certificate, CertType::User, now)?;
    if !certificate.valid_principals().iter().any(|named| named == principal) {
        return Err(Unsound::Principal);
    }
    for (name, value) in certificate.critical_options().iter() {
        match name.as_str() {
            "source-address" if !from_there(value, source) => return Err(Unsound::Source),
            "source-address" | "force-command" => {}
            other => return Err(Unsound::Option(other.to_owned())),
        }
    }
    Ok(())
}

/// Checks a host's certificate but for who signed it.
///
/// # Errors
/// See [`Unsound`].
pub fn check_host(certificate: &Certificate, names: &[&str], now: i64) -> Result<(), Unsound> {
    check_common(certificate, CertType::Host, now)?;
    if !certificate.valid_principals().iter().any(|named| names.contains(&named.as_str())) {
        return Err(Unsound::Principal);
    }
    // There are none for hosts.
    certificate.critical_options().keys().next().map_or(Ok(()), |name| Err(Unsound::Option(name.clone())))
}

/// Checks that one of those authorities signed it.
///
/// # Errors
/// [`Unsound::Authority`].
pub fn check_signature(certificate: &Certificate, authorities: &[PublicKey]) -> Result<(), Unsound> {
    let authorities: Vec<_> = authorities.iter().map(|key| key.fingerprint(HashAlg::Sha256)).collect();
    // The time is checked elsewhere, with the clock that was passed in: here it is one at which it is valid.
    certificate.validate_at(certificate.valid_after(), &authorities).map_err(|_| Unsound::Authority)
}

/// The command that the certificate allows alone, where it names one.
pub(super) fn forced_command(certificate: &Certificate) -> Option<String> {
    certificate.critical_options().get("force-command").cloned()
}

/// Whether the certificate allows terminals.
pub(super) fn allows_terminals(certificate: &Certificate) -> bool {
    certificate.extensions().contains_key("permit-pty")
}

fn check_common(certificate: &Certificate, kind: CertType, now: i64) -> Result<(), Unsound> {
    if certificate.cert_type() != kind {
        return Err(Unsound::Kind);
    }
    let now = u64::try_from(now).unwrap_or(0);
    if now < certificate.valid_after() {
        return Err(Unsound::Early);
    }
    if now >= certificate.valid_before() {
        return Err(Unsound::Expired);
    }
    Ok(())
}

/// Whether a list of addresses and networks holds the address; one that can't be read holds none.
fn from_there(list: &str, source: IpAddr) -> bool {
    let source = source.to_canonical();
    let networks: Option<Vec<IpNet>> = list
        .split(',')
        .map(|item| item.parse::<IpNet>().ok().or_else(|| item.parse::<IpAddr>().ok().map(IpNet::from)))
        .collect();
    networks.is_some_and(|networks| networks.iter().any(|network| network.contains(&source)))
}

#[cfg(test)]
mod tests {
    use russh::keys::PrivateKey;
    use russh::keys::ssh_key::certificate::Builder;
    use russh::keys::ssh_key::private::Ed25519Keypair;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn key(seed: u8) -> PrivateKey {
        PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
    }

    fn certificate_of(kind: CertType, change: impl FnOnce(&mut Builder)) -> Certificate {
        let user = key(1);
        let mut builder = Builder::new(vec![7; 16], user.public_key().clone(), 100, 200).unwrap();
        builder.cert_type(kind).unwrap().valid_principal("deploy").unwrap();
        change(&mut builder);
        builder.sign(&key(2)).unwrap()
    }

    fn certificate(change: impl FnOnce(&mut Builder)) -> Certificate {
        certificate_of(CertType::User, change)
    }

    #[test]
    fn a_certificate_is_for_its_principals_its_time_and_its_source() {
        let plain = certificate(|_| {});
        let check = |certificate: &Certificate, principal, now| check_user(certificate, principal, HERE, now);
        assert_eq!(check(&plain, "deploy", 100), Ok(()));
        assert_eq!(check(&plain, "deploy", 199), Ok(()));
        assert_eq!(check(&plain, "deploy", 200), Err(Unsound::Expired));
        assert_eq!(check(&plain, "deploy", 99), Err(Unsound::Early));
        assert_eq!(check(&plain, "deploy", -1), Err(Unsound::Early));
        assert_eq!(check(&plain, "root", 150), Err(Unsound::Principal));
        let host = certificate_of(CertType::Host, |_| {});
        assert_eq!(check(&host, "deploy", 150), Err(Unsound::Kind));
        for (list, holds) in [
            ("127.0.0.1", true),
            ("10.0.0.0/8,127.0.0.0/8", true),
            ("10.0.0.0/8", false),
            ("::1", false),
            ("", false),
            ("127.0.0.1,rubbish", false),
        ] {
            let bound = certificate(|builder| drop(builder.critical_option("source-address", list).map(|_| ())));
            assert_eq!(check(&bound, "deploy", 150).is_ok(), holds, "{list}");
        }
        assert!(from_there("127.0.0.1", "::ffff:127.0.0.1".parse().unwrap()), "the same address in IPv6");
    }

    #[test]
    fn a_certificate_for_everybody_is_for_nobody_and_an_unknown_critical_option_refuses() {
        let user = key(1);
        let mut builder = Builder::new(vec![7; 16], user.public_key().clone(), 100, 200).unwrap();
        builder.cert_type(CertType::User).unwrap().all_principals_valid().unwrap();
        let everybody = builder.sign(&key(2)).unwrap();
        assert_eq!(check_user(&everybody, "deploy", HERE, 150), Err(Unsound::Principal));
        let strange = certificate(|builder| drop(builder.critical_option("verify-required", "").map(|_| ())));
        assert_eq!(check_user(&strange, "deploy", HERE, 150), Err(Unsound::Option("verify-required".to_owned())));
        let forced = certificate(|builder| drop(builder.critical_option("force-command", "uptime").map(|_| ())));
        assert_eq!(check_user(&forced, "deploy", HERE, 150), Ok(()));
        assert_eq!(forced_command(&forced).as_deref(), Some("uptime"));
    }

    #[test]
    fn only_the_trusted_authority_signs() {
        let plain = certificate(|_| {});
        assert_eq!(check_signature(&plain, &[key(3).public_key().clone(), key(2).public_key().clone()]), Ok(()));
        assert_eq!(check_signature(&plain, &[key(3).public_key().clone()]), Err(Unsound::Authority));
        assert_eq!(check_signature(&plain, &[]), Err(Unsound::Authority));
    }

    #[test]
    fn a_host_is_who_its_certificate_names() {
        let mut builder = Builder::new(vec![7; 16], key(1).public_key().clone(), 100, 200).unwrap();
        builder.cert_type(CertType::Host).unwrap().valid_principal("web1").unwrap();
        let host = builder.sign(&key(2)).unwrap();
        assert_eq!(check_host(&host, &["10.0.0.1", "web1"], 150), Ok(()));
        assert_eq!(check_host(&host, &["web2"], 150), Err(Unsound::Principal));
        assert_eq!(check_host(&certificate(|_| {}), &["deploy"], 150), Err(Unsound::Kind));
    }
}
