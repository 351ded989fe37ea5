//! Headless Chromium, driven by ChromeDriver over WebDriver (W3C), for what only a real browser can show: scripts, focus, layout, what
//! reaches a screen reader. Both are private to a test, on loopback, and end with it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fantoccini::elements::Element;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::{Value, json};

use super::guard::Ending;
use super::portal::Browser;
use super::ports::free_port;
use super::process::{Process, scratch};
use super::python;
use super::wait::wait_for;

/// How long anything on a page may take.
const BOUND: Duration = Duration::from_secs(30);
/// Pixels of a wide and of a narrow window.
pub(crate) const WIDE: u32 = 1280;
pub(crate) const NARROW: u32 = 400;

/// Whether scripts of pages run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scripts {
    On,
    Off,
}

/// A browser with one window.
pub(crate) struct Chromium {
    client: Client,
    hub: String,
    _driver: Process,
}

impl Chromium {
    /// A fresh one, as wide as this, that looks at one hub.
    pub(crate) async fn start(hub: &str, scripts: Scripts, width: u32) -> Self {
        let (port, directory) = (free_port(), scratch("chromium"));
        let profile = directory.join("profile");
        let mut command = Command::new("chromedriver");
        command.arg(format!("--port={port}")).env("HOME", &directory);
        let mut driver = Process::start_in(directory, command, Ending::Term);
        let arguments = [
            "--headless=new".to_owned(),
            // Whoever runs tests as root has no sandbox; the pages are ours.
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--disable-quic".to_owned(),
            "--no-first-run".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            // It ends with ChromeDriver, whose end of the pipe is closed then.
            "--remote-debugging-pipe".to_owned(),
            format!("--user-data-dir={}", profile.display()),
            format!("--window-size={width},1000"),
        ];
        let blocked = if scripts == Scripts::Off { 2 } else { 1 };
        let preferences = json!({"profile.managed_default_content_settings.javascript": blocked});
        let wanted = json!({"goog:chromeOptions": {"args": arguments, "prefs": preferences}});
        let Value::Object(wanted) = wanted else { unreachable!("an object") };
        let address = format!("http://127.0.0.1:{port}");
        let client = wait_for("ChromeDriver starts Chromium", BOUND, async || {
            driver.assert_running();
            let mut builder = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new());
            builder.capabilities(wanted.clone()).connect(&address).await.ok()
        })
        .await;
        let browser = Self { client, hub: hub.to_owned(), _driver: driver };
        browser.size(width, 1000).await;
        browser
    }

    /// Ends it.
    pub(crate) async fn stop(self) {
        self.client.close().await.expect("the browser did not end");
    }

    /// Goes on with somebody's session.
    pub(crate) async fn wear(&self, browser: &Browser) {
        self.cdp("Network.clearBrowserCookies", json!({})).await;
        for pair in browser.cookies().split("; ") {
            let (name, value) = pair.split_once('=').expect("a cookie");
            let cookie = json!({"name": name, "value": value, "url": self.hub, "httpOnly": true, "sameSite": "Lax"});
            self.cdp("Network.setCookie", cookie).await;
        }
    }

    /// A window of that size, narrower than windows can be.
    pub(crate) async fn size(&self, width: u32, height: u32) {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500});
        self.cdp("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// As if the reader had chosen dark or light.
    pub(crate) async fn scheme(&self, scheme: &str) {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.cdp("Emulation.setEmulatedMedia", features).await;
    }

    /// Keeps these cookies of the hub, written as in `Cookie`: whoever has them is signed in.
    pub(crate) async fn keep(&self, cookies: &str) {
        for (name, value) in cookies.split("; ").filter_map(|pair| pair.split_once('=')) {
            let cookie = json!({"name": name, "value": value, "url": self.hub, "path": "/", "httpOnly": true, "sameSite": "Lax"});
            self.cdp("Network.setCookie", cookie).await;
        }
    }

    /// Goes back in the history of the window.
    pub(crate) async fn back(&self) {
        self.client.back().await.expect("a page before");
    }

    /// Goes to an address of the hub.
    pub(crate) async fn go(&self, address: &str) {
        self.client.goto(&format!("{}{address}", self.hub)).await.expect("no page");
    }

    /// Path and query of the page.
    pub(crate) async fn address(&self) -> String {
        let url = self.client.current_url().await.expect("an address");
        url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()))
    }

    /// Waits until the page is at an address that begins so.
    pub(crate) async fn at(&self, start: &str) -> String {
        let what = format!("an address that begins with {start}");
        wait_for(&what, BOUND, async || Some(self.address().await).filter(|address| address.starts_with(start))).await
    }

    /// The element of a selector, once it is there.
    pub(crate) async fn find(&self, css: &str) -> Element {
        wait_for(css, BOUND, async || self.client.find(Locator::Css(css)).await.ok()).await
    }

    /// Clicks the element of a selector.
    pub(crate) async fn click(&self, css: &str) {
        wait_for(&format!("a click on {css}"), BOUND, async || self.find(css).await.click().await.ok()).await;
    }

    /// Clicks the link with this text.
    pub(crate) async fn follow(&self, text: &str) {
        let what = format!("the link {text}");
        wait_for(&what, BOUND, async || self.client.find(Locator::LinkText(text)).await.ok()?.click().await.ok()).await;
    }

    /// Clicks the button with this text.
    pub(crate) async fn press(&self, text: &str) {
        let path = format!("//button[normalize-space(.)='{text}']");
        let what = format!("the button {text}");
        wait_for(&what, BOUND, async || self.client.find(Locator::XPath(&path)).await.ok()?.click().await.ok()).await;
    }

    /// Types into the field of a selector, in place of what stands there: again where a script put another one in its place meanwhile.
    pub(crate) async fn fill(&self, css: &str, text: &str) {
        wait_for(&format!("{css} to hold {text:?}"), BOUND, async || {
            let field = self.client.find(Locator::Css(css)).await.ok()?;
            field.clear().await.ok()?;
            field.send_keys(text).await.ok()?;
            let held = self.client.find(Locator::Css(css)).await.ok()?.prop("value").await.ok()??;
            (held == text).then_some(())
        })
        .await;
    }

    /// Chooses a value of a list.
    pub(crate) async fn choose(&self, css: &str, value: &str) {
        let what = format!("{css} to be {value}");
        wait_for(&what, BOUND, async || self.find(css).await.select_by_value(value).await.ok()).await;
    }

    /// Types wherever the focus is.
    pub(crate) async fn keys(&self, text: &str) {
        // Again where a script put something else in its place at that moment.
        wait_for("keys", BOUND, async || self.client.active_element().await.ok()?.send_keys(text).await.ok()).await;
    }

    /// What a reader sees.
    pub(crate) async fn text(&self) -> String {
        self.find("body").await.text().await.expect("a text")
    }

    /// Waits until a reader sees these words.
    pub(crate) async fn sees(&self, words: &str) {
        let mut last = String::new();
        let seen = tokio::time::timeout(BOUND, async {
            let mut ticks = tokio::time::interval(Duration::from_millis(50));
            loop {
                ticks.tick().await;
                last = self.text().await;
                if last.contains(words) {
                    return;
                }
            }
        });
        if seen.await.is_err() {
            panic!("never saw {words:?} at {}: {last}", self.address().await);
        }
    }

    /// What has the focus, as `tag#id "text"`.
    pub(crate) async fn focus(&self) -> String {
        let script = "const e = document.activeElement; \
            return `${e.tagName.toLowerCase()}#${e.id} ${(e.innerText || e.value || '').trim()}`";
        self.run(script).await.as_str().unwrap_or_default().to_owned()
    }

    /// Runs a script in the page.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.expect("the script failed")
    }

    /// That nothing on the page keeps anybody from using it (WCAG 2.2, levels A and AA), as far as a program can tell; and that it
    /// does not have to be scrolled sideways.
    pub(crate) async fn accessible(&self) {
        let axe = std::fs::read_to_string(python::axe()).expect("axe-core");
        let tags = "['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']";
        let script = format!(
            "{axe}; const done = arguments[arguments.length - 1]; \
             axe.run(document, {{runOnly: {{type: 'tag', values: {tags}}}}}).then(found => done(found.violations.map(v => \
             `${{v.id}}: ${{v.help}}: ${{v.nodes.map(n => n.html + ' ' + n.failureSummary).join(' | ')}}`)), e => done([String(e)]))"
        );
        let found = self.client.execute_async(&script, Vec::new()).await.expect("axe-core did not run");
        let address = self.address().await;
        assert_eq!(found, json!([]), "{address}");
        let over = self.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth").await;
        assert_eq!(over, json!(0), "{address} is wider than the window");
    }

    /// A picture of the whole page.
    pub(crate) async fn picture(&self, file: &Path) {
        self.shot(file, true).await;
    }

    /// A picture of what fits into the window.
    pub(crate) async fn first_view(&self, file: &Path) {
        self.shot(file, false).await;
    }

    async fn shot(&self, file: &Path, whole: bool) {
        let clip = json!({"format": "png", "captureBeyondViewport": whole});
        let taken = self.cdp("Page.captureScreenshot", clip).await;
        let bytes = STANDARD.decode(taken["data"].as_str().expect("a picture")).expect("a picture");
        std::fs::write(file, bytes).expect("could not write the picture");
    }

    async fn cdp(&self, command: &str, parameters: Value) -> Value {
        let what = Devtools { command: command.to_owned(), parameters };
        self.client.issue_cmd(what).await.expect("ChromeDriver refused a command")
    }
}

/// A command of the DevTools protocol, by ChromeDriver's own extension.
#[derive(Debug)]
struct Devtools {
    command: String,
    parameters: Value,
}

impl WebDriverCompatibleCommand for Devtools {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(json!({"cmd": self.command, "params": self.parameters}).to_string()))
    }
}

/// Where pictures are put: a folder below the target directory.
pub(crate) fn pictures() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("portal");
    std::fs::create_dir_all(&folder).expect("a folder for pictures");
    folder
}
