//! nginx: as a plain reverse proxy before a broker, and as a server of files, with what its manual advises for speed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Outcome;
use crate::guard::Ending;
use crate::http::Door;
use crate::postgres::is_root;
use crate::process::{Running, folder};

/// A running nginx.
pub(crate) struct Nginx {
    process: Running,
    url: String,
    files: PathBuf,
}

impl Nginx {
    /// Starts it before `upstream`, an address with a port.
    pub(crate) async fn start(top: &Path, upstream: &str) -> Outcome<Self> {
        let place = folder(top, "nginx")?;
        let files = place.join("files");
        std::fs::create_dir(&files)?;
        let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let settings = place.join("nginx.conf");
        std::fs::write(&settings, configuration(&place, &address.to_string(), upstream))?;
        let mut command = Command::new(program()?);
        command.arg("-p").arg(&place).arg("-c").arg(&settings).stdin(Stdio::null()).stdout(Stdio::null());
        let mut process = Running::start(top, "nginx", command, Ending::Quit)?;
        let url = format!("http://{address}");
        let door = Door::new(&url, None)?;
        let request = door.request("GET", "/ready", None);
        process.until("nginx", async |_: &str| door.once(&request).await.is_ok().then_some(())).await?;
        Ok(Self { process, url, files })
    }

    /// Its pid.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The URL of what is at the upstream's root.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Serves these bytes as a file, and says under which path.
    pub(crate) fn keep(&self, name: &str, bytes: &[u8]) -> Outcome<String> {
        std::fs::write(self.files.join(name), bytes)?;
        Ok(format!("/files/{name}"))
    }
}

fn configuration(place: &Path, address: &str, upstream: &str) -> String {
    let place = place.display();
    let user = if is_root() { "user root;" } else { "" };
    format!(
        "daemon off; {user} worker_processes 2; pid {place}/pid; error_log stderr;
events {{ worker_connections 2048; }}
http {{
    access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; server_tokens off;
    keepalive_timeout 600; keepalive_requests 100000000; open_file_cache max=100; default_type application/json;
    client_body_temp_path {place}/body; proxy_temp_path {place}/proxy; fastcgi_temp_path {place}/fastcgi;
    uwsgi_temp_path {place}/uwsgi; scgi_temp_path {place}/scgi;
    upstream brokers {{ server {upstream}; keepalive 128; keepalive_requests 100000000; }}
    server {{
        listen {address} backlog=1024;
        location / {{ proxy_pass http://brokers; proxy_http_version 1.1; proxy_set_header Connection \"\"; }}
        location = /ready {{ return 204; }}
        location /files/ {{ root {place}; }}
    }}
}}
"
    )
}

/// Where nginx is.
pub(crate) fn program() -> Outcome<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    let mut found = folders.map(|folder| folder.join("nginx")).filter(|program| program.is_file());
    found.next().ok_or_else(|| "nginx is missing: `apt-get install nginx-light` installs it".into())
}
