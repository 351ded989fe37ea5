//! HTTPS on the listener: reads certificate chain and key.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::Tls;

/// Why HTTPS can't be served.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("could not read the certificates in {0}")]
    Certificate(PathBuf, #[source] rustls::pki_types::pem::Error),
    #[error("could not read the private key in {0}")]
    Key(PathBuf, #[source] rustls::pki_types::pem::Error),
    #[error("the certificate and the private key cannot be used")]
    Pair(#[source] rustls::Error),
}

/// The listener's side of TLS.
pub(super) fn server(settings: &Tls) -> Result<ServerConfig, Error> {
    let wrong = |error| Error::Certificate(settings.cert.clone(), error);
    let chain = CertificateDer::pem_file_iter(&settings.cert).map_err(wrong)?;
    let chain = chain.collect::<Result<Vec<_>, _>>().map_err(wrong)?;
    let key = PrivateKeyDer::from_pem_file(&settings.key).map_err(|error| Error::Key(settings.key.clone(), error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    builder.map_err(Error::Pair)?.with_no_client_auth().with_single_cert(chain, key).map_err(Error::Pair)
}
