//! A broker behind HTTPS that lets in only who shows a certificate of a private authority: the registration brings both.

use std::net::TcpListener;
use std::sync::Arc;

use actix_web::HttpServer;
use bourse::app::Error;
use bourse::domain::caller::Caller;
use bourse_brokers::faults::Faults;
use osb::server::{BasicAuth, Server};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use serde_json::{Value, json};

use crate::support::bare::{Bare, on_each};

/// A private authority.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key, PEM.
struct Pair {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority");
        Self { issuer }
    }

    fn pem(&self) -> String {
        self.issuer.as_ref().pem()
    }

    fn issue(&self, name: &str) -> Pair {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([name.to_owned()]).expect("a name");
        Pair { certificate: params.signed_by(&key, &self.issuer).expect("a certificate"), key }
    }
}

/// Serves `faults` to whoever shows a certificate of that authority; gives its URL.
fn serve(authority: &Authority) -> String {
    let own = authority.issue("127.0.0.1");
    let mut roots = RootCertStore::empty();
    roots.add(authority.issuer.as_ref().der().clone()).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(verifier.build().expect("a verifier"))
        .with_single_cert(
            vec![own.certificate.der().clone()],
            own.key.serialize_der().try_into().expect("a private key"),
        )
        .expect("a certificate");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("https://{}", listener.local_addr().expect("an address"));
    let server = HttpServer::new(|| {
        let door = BasicAuth::new(Arc::new(Faults::new()), "hub", "pw");
        actix_web::App::new().configure(Server::new(door).configure())
    });
    let server = server.workers(1).disable_signals().listen_rustls_0_23(listener, config).expect("a listener");
    tokio::spawn(server.run());
    url
}

async fn register(hub: &Bare, name: &str, url: &str, tls: Value) -> Result<(), Error> {
    let credentials = json!({"basic": {"username": "hub", "password": "pw"}});
    let new = json!({"name": name, "url": url, "credentials": credentials, "tls": tls, "timeout_ms": 5000});
    let new = serde_json::from_value(new).expect("a registration");
    hub.app.register_broker(&Caller::Admin("root".into()), new).await.map(drop)
}

#[tokio::test]
async fn auth_03_a_broker_with_a_private_authority_and_client_certificates_is_reached_with_both_and_with_nothing_less()
{
    drop(rustls::crypto::ring::default_provider().install_default());
    on_each(async |on| {
        let (authority, stranger) = (Authority::new(), Authority::new());
        let (url, hub) = (serve(&authority), Bare::on(on, |_| {}).await);
        let (mine, theirs) = (authority.issue("hub"), stranger.issue("hub"));
        let tls = |ca: &Authority, pair: &Pair| {
            let (certificate, key) = (pair.certificate.pem(), pair.key.serialize_pem());
            json!({"ca": ca.pem(), "client_cert": certificate, "client_key": key})
        };
        for (what, tls) in [
            ("nothing", json!({})),
            ("no client certificate", json!({"ca": authority.pem()})),
            ("another's certificate", tls(&authority, &theirs)),
            ("another authority", tls(&stranger, &mine)),
        ] {
            let refused = register(&hub, "secured", &url, tls).await;
            assert!(matches!(refused, Err(Error::Invalid(_))), "{what}: {refused:?}");
        }
        register(&hub, "secured", &url, tls(&authority, &mine)).await.expect("registered");
        assert!(hub.app.catalog().plan_by_name("faults", "ok").is_some());
    })
    .await;
}
