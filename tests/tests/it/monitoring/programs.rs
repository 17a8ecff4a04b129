//! The programs of Prometheus and Alertmanager, as `setup.sh prometheus` unpacks them.

use std::ffi::OsStr;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long what has to happen is waited for; it bounds failures only.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(10);

/// Where a program lies: in the folder of tools, or on the PATH.
fn program(name: &str) -> PathBuf {
    let tools = std::env::var_os("TOOLS").map(PathBuf::from);
    let built = std::env::current_exe().expect("a path");
    let beside = built.ancestors().map(|folder| folder.join("tools"));
    let unpacked = tools.into_iter().chain(beside);
    let mut unpacked = unpacked.map(|folder| folder.join("prometheus/usr/bin").join(name));
    let found = unpacked.find(|path| path.is_file());
    found.unwrap_or_else(|| PathBuf::from(name))
}

fn command(name: &str) -> Command {
    let mut command = Command::new(program(name));
    command.stdin(Stdio::null());
    command
}

const MISSING: &str = "it starts: infra/scripts/setup.sh prometheus unpacks it";

/// What a program prints; it must succeed.
pub fn run(name: &str, arguments: &[impl AsRef<OsStr>]) -> String {
    let output = command(name).args(arguments).output().expect(MISSING);
    let (said, complaint) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{name}: {said}{complaint}");
    said.into_owned()
}

/// What a program says of a file that it takes.
pub fn accepted(name: &str, arguments: &[&str], file: &Path) -> String {
    let mut all: Vec<&OsStr> = arguments.iter().map(OsStr::new).collect();
    all.push(file.as_os_str());
    run(name, &all)
}

/// A port of loopback that nothing listens on.
pub fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    free.local_addr().expect("an address").port()
}

pub fn client() -> reqwest::Client {
    let client = reqwest::Client::builder().no_proxy().timeout(ANSWER);
    client.build().expect("a client")
}

/// Polls until there is something, for as long as anything may take.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, looking).await;
    found.unwrap_or_else(|_| panic!("waited in vain until {what}"))
}

/// A server in a folder of its own; it ends with the value.
pub struct Server {
    name: &'static str,
    child: Child,
    log: PathBuf,
    pub url: String,
}

impl Server {
    /// Starts a program that listens on a port of its own, and waits until it is ready.
    pub async fn start(name: &'static str, folder: &Path, arguments: &[String]) -> Self {
        let port = free_port();
        let log = folder.join(format!("{name}.log"));
        let file = std::fs::File::create(&log).expect("a log");
        let mut command = command(name);
        command
            .args(arguments)
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .current_dir(folder)
            .stdout(Stdio::null())
            .stderr(file);
        let mut server = Self {
            name,
            child: command.spawn().expect(MISSING),
            log,
            url: format!("http://127.0.0.1:{port}"),
        };
        let client = client();
        let ready = format!("{}/-/ready", server.url);
        until(&format!("{name} is ready"), async || {
            server.must_run();
            let answer = client.get(&ready).send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
        server
    }

    fn must_run(&mut self) {
        if let Some(status) = self.child.try_wait().expect("a child") {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            panic!("{} ended with {status}:\n{log}", self.name);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
