//! A real OpenBao server in its development mode, on a free port of loopback, for as long as this is held.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::room::Consumer;

/// Where the environment of the tests has its programs.
pub(crate) fn program(name: &str) -> PathBuf {
    let root = match std::env::var_os("BOURSE_IT_ENV") {
        Some(place) => PathBuf::from(place),
        None => PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name("it-env"),
    };
    let path = root.join("bin").join(name);
    assert!(path.is_file(), "{} is missing: `bash tests/run.sh` installs it", path.display());
    path
}

pub(crate) struct Bao {
    pub(crate) address: String,
    /// With which it is unsealed.
    pub(crate) unseal_key: String,
    child: Child,
    /// It reports to a pipe, which would fill.
    reading: tokio::task::JoinHandle<()>,
    _home: tempfile::TempDir,
}

impl Drop for Bao {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

impl Bao {
    pub(crate) async fn start() -> Self {
        // The port may be taken by another test in between: then another one is tried.
        for _ in 0..5 {
            let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            if let Some(bao) = Self::start_on(port).await {
                return bao;
            }
        }
        panic!("the server does not start");
    }

    pub(crate) async fn start_on(port: u16) -> Option<Self> {
        let home = tempfile::tempdir().unwrap();
        let mut child = Command::new(program("python"))
            .arg(program("bao"))
            .args(["server", "-dev", "-dev-root-token-id=root", "-dev-no-store-token"])
            .arg(format!("-dev-listen-address=127.0.0.1:{port}"))
            .env("HOME", home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let key = async {
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some(key) = line.strip_prefix("Unseal Key: ") {
                    return Some(key.trim().to_owned());
                }
            }
            None
        };
        let unseal_key = tokio::time::timeout(Duration::from_secs(30), key).await.expect("it starts in time")?;
        let reading = tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let bao = Self { address: format!("http://127.0.0.1:{port}"), unseal_key, child, reading, _home: home };
        bao.wait_until_ready().await;
        Some(bao)
    }

    async fn wait_until_ready(&self) {
        let ready = async {
            let mut ticks = tokio::time::interval(Duration::from_millis(20));
            let http = osb::kit::Http::new(Duration::from_secs(5), None).unwrap();
            loop {
                ticks.tick().await;
                let url = format!("{}/v1/sys/health", self.address);
                if http.send("GET", &url, &[], None).await.is_ok_and(|answer| answer.status == 200) {
                    return;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(30), ready).await.expect("it is ready in time");
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.rsplit(':').next().unwrap().parse().unwrap()
    }

    /// Someone who may do everything, in that namespace.
    pub(crate) fn root(&self, namespace: Option<&str>) -> Consumer {
        Consumer::new(&self.address, namespace, "root")
    }

    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }
}
