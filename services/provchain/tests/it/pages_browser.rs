//! A browser without a window, driven over the Chrome DevTools Protocol.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt as _, StreamExt as _};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

/// How long what has to happen is waited for; it bounds failures only.
const PATIENCE: Duration = Duration::from_secs(60);

/// Programs that will do, the lightest first.
const PROGRAMS: [&str; 3] = ["chromium-headless-shell", "chromium", "google-chrome"];

/// Where screenshots are put, if somebody wants to look at them.
const SCREENSHOTS: &str = "PAGES_SCREENSHOTS";

/// A browser with one page. It ends with the value.
pub struct Browser {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    session: Option<String>,
    asked: u64,
    /// What the browser complained about: exceptions, errors on the console, breaches of the policy.
    complaints: Vec<String>,
    base: String,
    /// Of the screen, in pixels.
    pub width: u32,
    process: Child,
    _profile: TempDir,
}

impl Drop for Browser {
    fn drop(&mut self) {
        let group = self.process.id().and_then(|id| i32::try_from(id).ok());
        if let Some(group) = group.and_then(Pid::from_raw) {
            // It may have ended by itself.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Browser {
    /// Starts one, to look at the node under this address.
    pub async fn start(base: &str) -> Self {
        let profile = tempfile::tempdir().expect("a folder");
        let found = |name: &&&str| {
            let path = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
        };
        let program = PROGRAMS.iter().find(found);
        let program = program.expect("a browser: `infra/scripts/setup.sh chromium` installs it");
        let mut process = Command::new(program)
            .args(["--headless", "--no-sandbox", "--remote-debugging-port=0"])
            .args(["--disable-gpu", "--hide-scrollbars", "--no-first-run"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // Debian's is a script that starts the browser: they end together.
            .process_group(0)
            .spawn()
            .expect("the browser starts");
        let errors = process.stderr.take().expect("it is piped");
        let mut lines = BufReader::new(errors).lines();
        let address = async {
            while let Some(line) = lines.next_line().await.expect("text") {
                if let Some((_, address)) = line.split_once("DevTools listening on ") {
                    return address.to_owned();
                }
            }
            panic!("the browser ended");
        };
        let address = tokio::time::timeout(PATIENCE, address).await;
        let address = address.expect("the browser listens in time");
        // It would stop where nobody reads what it says.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let (socket, _) = connect_async_with_config(&address, None, true)
            .await
            .expect("a socket");
        let mut browser = Self {
            socket,
            session: None,
            asked: 0,
            complaints: Vec::new(),
            base: base.to_owned(),
            width: 0,
            process,
            _profile: profile,
        };
        let target = json!({ "url": "about:blank" });
        let target = browser.send("Target.createTarget", target).await["targetId"].clone();
        let attach = json!({ "targetId": target, "flatten": true });
        let attached = browser.send("Target.attachToTarget", attach).await;
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "DOM", "Accessibility"] {
            browser.send(&format!("{domain}.enable"), json!({})).await;
        }
        browser.screen(1280, 900, false).await;
        browser
    }

    /// Sends a command and gives its result.
    pub async fn send(&mut self, method: &str, params: Value) -> Value {
        self.asked += 1;
        let mut command = json!({ "id": self.asked, "method": method, "params": params });
        if let Some(session) = &self.session {
            command["sessionId"] = session.as_str().into();
        }
        let sent = self.socket.send(Message::text(command.to_string())).await;
        sent.expect("sent");
        loop {
            let message = tokio::time::timeout(PATIENCE, self.socket.next()).await;
            let message = message.unwrap_or_else(|_| panic!("{method} is not answered"));
            let Message::Text(text) = message.expect("goes on").expect("a message") else {
                continue;
            };
            let message: Value = serde_json::from_str(&text).expect("JSON");
            if message["id"] == self.asked {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].clone();
            }
            self.hear(&message);
        }
    }

    fn hear(&mut self, message: &Value) {
        let params = &message["params"];
        let bad = match message["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            Some("Runtime.consoleAPICalled") => params["type"] == "error",
            // That a request was answered with an error is the page's to tell.
            Some("Log.entryAdded") => {
                params["entry"]["level"] == "error" && params["entry"]["source"] != "network"
            }
            _ => false,
        };
        if bad {
            self.complaints.push(params.to_string());
        }
    }

    /// What the script comes to, which may be a promise.
    pub async fn run(&mut self, script: &str) -> Value {
        let evaluated = json!({
            "expression": script, "awaitPromise": true, "returnByValue": true, "userGesture": true,
        });
        let found = self.send("Runtime.evaluate", evaluated).await;
        let wrong = &found["exceptionDetails"];
        assert!(wrong.is_null(), "{script}: {wrong}");
        found["result"]["value"].clone()
    }

    /// The same, as a text.
    pub async fn text(&mut self, script: &str) -> String {
        let found = self.run(script).await;
        found
            .as_str()
            .map_or_else(|| found.to_string(), str::to_owned)
    }

    /// Waits until a script comes to something true, which it gives.
    pub async fn until(&mut self, script: &str) -> Value {
        let waiting = async {
            loop {
                let found = self.run(script).await;
                if ![Value::Null, false.into(), "".into(), 0.into()].contains(&found) {
                    return found;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(found) => found,
            Err(_) => {
                let seen = self.run("document.body.innerText").await;
                panic!("waited in vain until {script}; the page says {seen}");
            }
        }
    }

    /// Loads the pages anew at an address behind the `#`.
    pub async fn open(&mut self, address: &str) {
        self.send("Page.navigate", json!({ "url": "about:blank" }))
            .await;
        let url = format!("{}/{address}", self.base);
        self.send("Page.navigate", json!({ "url": url })).await;
        self.settled().await;
    }

    /// Goes to another page, as a link does; or to this one again.
    pub async fn go(&mut self, address: &str) {
        let address = Value::from(address);
        let script = format!(
            "document.querySelector('main').setAttribute('aria-busy', 'true');
             if (location.hash === {address}) dispatchEvent(new Event('hashchange'));
             else location.hash = {address};"
        );
        self.run(&script).await;
        self.settled().await;
    }

    /// Waits until a page is shown.
    pub async fn settled(&mut self) {
        self.until("document.querySelector('main:not([aria-busy]) h1')?.innerText")
            .await;
    }

    /// What is read on the page.
    pub async fn read(&mut self) -> String {
        self.text("document.querySelector('main').innerText").await
    }

    /// Waits until the page says something.
    pub async fn until_read(&mut self, words: &str) {
        let words = Value::from(words);
        self.until(&format!("document.body.innerText.includes({words})"))
            .await;
    }

    /// The screen, and whether it is a phone's.
    pub async fn screen(&mut self, width: u32, height: u32, dark: bool) {
        self.width = width;
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600,
        });
        self.send("Emulation.setDeviceMetricsOverride", metrics)
            .await;
        let scheme = if dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.send(
            "Emulation.setEmulatedMedia",
            json!({ "features": features }),
        )
        .await;
    }

    /// Presses a key.
    pub async fn press(&mut self, key: &str) {
        let code = match key {
            "Tab" => 9,
            "Enter" => 13,
            "Escape" => 27,
            "ArrowLeft" => 37,
            "ArrowUp" => 38,
            "ArrowRight" => 39,
            "ArrowDown" => 40,
            _ => 0,
        };
        let mut pressed =
            json!({ "type": "keyDown", "key": key, "code": key, "windowsVirtualKeyCode": code });
        if key == "Enter" {
            pressed["text"] = "\r".into();
        }
        self.send("Input.dispatchKeyEvent", pressed).await;
        let released =
            json!({ "type": "keyUp", "key": key, "code": key, "windowsVirtualKeyCode": code });
        self.send("Input.dispatchKeyEvent", released).await;
    }

    /// Writes into the control with this label, as a person does.
    pub async fn fill(&mut self, label: &str, text: &str) {
        let label = Value::from(label);
        let script = format!(
            "(() => {{ const label = [...document.querySelectorAll('main label')]
                .find((one) => one.innerText.startsWith({label}));
              const control = document.getElementById(label.htmlFor);
              control.focus();
              if (control.select) control.select(); }})()"
        );
        self.run(&script).await;
        self.send("Input.insertText", json!({ "text": text })).await;
    }

    /// Presses the button or link with this name: on the page itself, or else in its frame.
    pub async fn click(&mut self, name: &str) {
        let name = Value::from(name);
        let script = format!(
            "(() => {{ const named = (one) => (one.getAttribute('aria-label') ?? one.innerText).trim();
              const all = [document.querySelector('main'), document].flatMap((part) => [...part.querySelectorAll('button, a, summary')]);
              const found = all.find((one) => named(one) === {name} && one.checkVisibility());
              if (!found) throw new Error('nothing is called ' + {name});
              found.click(); }})()"
        );
        self.run(&script).await;
    }

    /// Keeps a picture of the whole page, if somebody wants it.
    pub async fn picture(&mut self, name: &str) {
        let Some(folder) = std::env::var_os(SCREENSHOTS).map(PathBuf::from) else {
            return;
        };
        let size = "[innerWidth, Math.min(document.documentElement.scrollHeight, 2400)]";
        let size = self.run(size).await;
        let clip = json!({ "x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1 });
        let shot = json!({ "captureBeyondViewport": true, "clip": clip });
        let shot = self.send("Page.captureScreenshot", shot).await;
        let bytes = STANDARD.decode(shot["data"].as_str().expect("a picture"));
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join(format!("{name}.png")), bytes.expect("base64"))
            .expect("written");
    }

    /// The accessibility tree: role and name of all that is not ignored.
    pub async fn accessible(&mut self) -> Vec<(String, String)> {
        let tree = self.send("Accessibility.getFullAXTree", json!({})).await;
        let nodes = tree["nodes"].as_array().expect("nodes").iter();
        let text = |node: &Value, member: &str| {
            node[member]["value"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        nodes
            .filter(|node| node["ignored"] != true)
            .map(|node| (text(node, "role"), text(node, "name")))
            .collect()
    }

    /// Fails if the browser complained about anything.
    pub async fn expect_no_complaint(&mut self) {
        // What was said before this answer has been heard.
        self.run("0").await;
        let complaints = &self.complaints;
        assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    }
}
