//! A user's `ssh`, the gateway, and a real `sshd` behind it, each on loopback in a directory of the test's own.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bourse_brokers::bastion::access::{Grant, Target, login};
use bourse_brokers::bastion::gateway::{Gateway, GatewayConfig, Limits, Running, SealKey, Verified, verify};
use osb::kit::Clock;
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::{Certificate, PrivateKey};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::authority::{Authority, EXTENSIONS, Order, grant, key};

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
const USER: u8 = 1;
const HOST_CA: u8 = 11;
const TARGET_HOST: u8 = 12;
const GATEWAY_HOST: u8 = 13;

/// A gateway with all around it.
pub(crate) struct Site {
    pub(crate) folder: TempDir,
    pub(crate) authority: Arc<Authority>,
    pub(crate) gateway: Option<Running>,
    pub(crate) principal: String,
    _sshd: Child,
}

/// How a site differs.
pub(crate) struct Plan {
    pub(crate) grant: Box<dyn Fn(&mut Grant)>,
    pub(crate) limits: Limits,
}

impl Default for Plan {
    fn default() -> Self {
        Self { grant: Box::new(|_| {}), limits: Limits::default() }
    }
}

impl Plan {
    pub(crate) fn granting(change: impl Fn(&mut Grant) + 'static) -> Self {
        Self { grant: Box::new(change), ..Self::default() }
    }
}

/// The user that this runs as: the only one that an sshd without rights can let in.
fn whoami() -> String {
    let output = std::process::Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub(crate) fn write_key(file: &Path, key: &PrivateKey) {
    std::fs::write(file, key.to_openssh(LineEnding::LF).unwrap()).unwrap();
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
}

pub(crate) fn public(key: &PrivateKey) -> String {
    key.public_key().to_openssh().unwrap()
}

/// A host certificate of the site's host CA.
pub(crate) fn host_certificate(key: &PrivateKey, name: &str) -> Certificate {
    let now = Clock::System.seconds();
    let order = Order {
        key_id: name,
        principals: vec![name.to_owned()],
        after: now - 60,
        before: now + 3600,
        critical: Vec::new(),
        kind: CertType::Host,
        extensions: &[],
    };
    order.sign(&self::key(HOST_CA), key.public_key())
}

/// What a grant says of hosts with certificates of the site's host CA.
pub(crate) fn host_authority() -> String {
    format!("@cert-authority {}", public(&key(HOST_CA)))
}

/// A real sshd that trusts the user CA.
async fn sshd(folder: &Path, user_ca: &PrivateKey, principal: &str) -> (Child, u16) {
    let port = free_port();
    let path = |name: &str| folder.join(name).display().to_string();
    write_key(&folder.join("host"), &key(TARGET_HOST));
    let certificate = host_certificate(&key(TARGET_HOST), "web1");
    std::fs::write(folder.join("host-cert.pub"), certificate.to_openssh().unwrap()).unwrap();
    std::fs::write(folder.join("user_ca.pub"), public(user_ca)).unwrap();
    std::fs::write(folder.join("principals"), principal).unwrap();
    let config = format!(
        "ListenAddress 127.0.0.1:{port}\nHostKey {host}\nHostCertificate {certificate}\nTrustedUserCAKeys {ca}\n\
         AuthorizedPrincipalsFile {principals}\nAuthorizedKeysFile none\nPidFile none\nUsePAM no\nStrictModes no\n\
         PermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nAcceptEnv LANG LC_* X_*\n\
         Subsystem sftp internal-sftp\nLogLevel VERBOSE\nPrintMotd no\nPrintLastLog no\n",
        host = path("host"),
        certificate = path("host-cert.pub"),
        ca = path("user_ca.pub"),
        principals = path("principals"),
    );
    std::fs::write(folder.join("sshd_config"), config).unwrap();
    if whoami() == "root" {
        // Where it separates its privileges; the service makes it at boot, and there was no boot here.
        std::fs::create_dir_all("/run/sshd").unwrap();
    }
    let log = std::fs::File::create(folder.join("sshd.log")).unwrap();
    let mut command = Command::new("/usr/sbin/sshd");
    command.args(["-D", "-e", "-f"]).arg(folder.join("sshd_config"));
    let mut child = command.stdin(Stdio::null()).stderr(log).kill_on_drop(true).spawn().unwrap();
    let until = Instant::now() + PATIENCE;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(child.try_wait().unwrap().is_none(), "{}", std::fs::read_to_string(folder.join("sshd.log")).unwrap());
        assert!(Instant::now() < until, "sshd does not listen");
        tokio::task::yield_now().await;
    }
    (child, port)
}

impl Site {
    pub(crate) async fn new() -> Self {
        Self::of(Plan::default()).await
    }

    pub(crate) async fn of(plan: Plan) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let principal = whoami();
        let (sshd, port) = sshd(folder.path(), &key(10), &principal).await;
        let target = Target {
            name: "web1".into(),
            host: "127.0.0.1".into(),
            port,
            principals: vec![principal.clone()],
            host_key: Some(host_authority()),
        };
        let mut grant = grant(&principal, vec![target]);
        (plan.grant)(&mut grant);
        let authority = Arc::new(Authority::new(grant));
        let config = GatewayConfig {
            host_key: key(GATEWAY_HOST),
            host_certificate: Some(host_certificate(&key(GATEWAY_HOST), "gateway")),
            seal_key: SealKey::from_seed(&[14; 32]).unwrap(),
            data: folder.path().join("data"),
            clock: Clock::System,
            limits: plan.limits,
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let gateway = Gateway::start(listener, Arc::<Authority>::clone(&authority), config).unwrap();
        let site = Self { folder, authority, gateway: Some(gateway), principal, _sshd: sshd };
        write_key(&site.path("id"), &key(USER));
        site.issue(|_| {});
        let known = format!("@cert-authority gateway {}\n", public(&key(HOST_CA)));
        std::fs::write(site.path("known_hosts"), known).unwrap();
        site
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.gateway.as_ref().unwrap().address()
    }

    /// Gives the user a certificate that differs so from a good one.
    pub(crate) fn issue(&self, change: impl FnOnce(&mut Order<'_>)) {
        self.issue_by(&self.authority.ca, change);
    }

    pub(crate) fn issue_by(&self, authority: &PrivateKey, change: impl FnOnce(&mut Order<'_>)) {
        let now = Clock::System.seconds();
        let mut order = Order {
            key_id: "binding-1",
            principals: vec![self.principal.clone()],
            after: now - 60,
            before: now + 600,
            critical: vec![("source-address", "127.0.0.0/8")],
            kind: CertType::User,
            extensions: &EXTENSIONS,
        };
        change(&mut order);
        let certificate = order.sign(authority, key(USER).public_key());
        std::fs::write(self.path("id-cert.pub"), certificate.to_openssh().unwrap()).unwrap();
    }

    /// Writes what a user pastes into their `ssh_config`, and gives the command that reads it.
    pub(crate) fn program(&self, program: &str) -> Command {
        self.program_as(program, &login(&self.principal, "web1"))
    }

    pub(crate) fn program_as(&self, program: &str, login: &str) -> Command {
        let config = format!(
            "Host web1\n HostName 127.0.0.1\n Port {port}\n User {login}\n HostKeyAlias gateway\n\
             IdentityFile {id}\n CertificateFile {id}-cert.pub\n IdentitiesOnly yes\n IdentityAgent none\n\
             UserKnownHostsFile {known}\n GlobalKnownHostsFile none\n StrictHostKeyChecking yes\n BatchMode yes\n\
             SendEnv LANG LC_* X_*\n",
            port = self.address().port(),
            id = self.path("id").display(),
            known = self.path("known_hosts").display(),
        );
        std::fs::write(self.path("ssh_config"), config).unwrap();
        let mut command = Command::new(program);
        command.arg("-F").arg(self.path("ssh_config"));
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    pub(crate) async fn ssh(&self, args: &[&str]) -> Output {
        let mut command = self.program("ssh");
        command.args(args);
        output(command).await
    }

    /// The recordings of the bastion, by name.
    pub(crate) fn recordings(&self) -> Vec<PathBuf> {
        let Ok(files) = std::fs::read_dir(self.path("data/bastions/bastion-1/recordings")) else { return Vec::new() };
        let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == "cast"));
        files.sort();
        files
    }

    /// The only recording there is: its lines, and what the chain says of it.
    pub(crate) fn recording(&self) -> (Vec<serde_json::Value>, Verified) {
        let recordings = self.recordings();
        let [recording] = &recordings[..] else { panic!("not one recording: {recordings:?}") };
        let verified = verify(recording, self.gateway.as_ref().unwrap().seal_public_key()).unwrap();
        (lines(recording), verified)
    }
}

/// The lines of a recording.
pub(crate) fn lines(recording: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(recording).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What a recording shows of one kind of event.
pub(crate) fn shown(lines: &[serde_json::Value], kind: &str) -> Vec<String> {
    let events = lines[1..].iter().filter(|line| line[1] == kind);
    events.map(|line| line[2].as_str().unwrap().to_owned()).collect()
}

/// Runs it to its end.
pub(crate) async fn output(mut command: Command) -> Output {
    let output = tokio::time::timeout(PATIENCE, command.output()).await;
    output.expect("it ends").unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
