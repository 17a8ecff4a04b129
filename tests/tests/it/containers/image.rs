//! The image of the ledger, of the binary that was built with the tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;

/// Signs the tokens of every test; the nodes refuse a shorter one.
pub const JWT_SECRET: &str = "a secret of tests, of at least 32 characters";

/// What is under test.
#[derive(Debug)]
pub struct Ledger {
    binary: PathBuf,
    /// The image's id, `sha256:…`: a tag may be moved by another checkout while the test runs.
    pub image: String,
}

impl Ledger {
    /// Builds the image, once a process.
    pub fn build() -> &'static Self {
        static BUILT: OnceLock<Ledger> = OnceLock::new();
        BUILT.get_or_init(|| {
            let binary = binary();
            let script = root().join("infra/scripts/images.sh");
            let folder = binary.parent().expect("a folder");
            let built = Command::new(script)
                .arg("provchain")
                .env("BINARIES", folder)
                .env("SBOM", "no")
                .output();
            let image = printed(built).trim().to_owned();
            Self { binary, image }
        })
    }

    /// Gives the image another tag, which is the caller's to remove.
    pub fn tag(&self, tag: &str) -> String {
        let name = format!("trivet/provchain:{tag}");
        printed(
            Command::new("docker")
                .args(["tag", &self.image, &name])
                .output(),
        );
        tag.to_owned()
    }

    /// The documents of a supply chain with as many events, `batch` in each.
    pub fn sample(&self, events: usize, batch: usize) -> Vec<Value> {
        let folder = tempfile::tempdir().expect("a folder");
        let sample = Command::new(&self.binary)
            .arg("sample")
            .args(["--events", &events.to_string()])
            .args(["--batch", &batch.to_string()])
            .arg("--out")
            .arg(folder.path())
            .output();
        printed(sample);
        (1..=events.div_ceil(batch))
            .map(|number| folder.path().join(format!("events-{number:05}.json")))
            .map(|path| fs::read(path).expect("a document"))
            .map(|document| serde_json::from_slice(&document).expect("JSON"))
            .collect()
    }

    /// A token that may write.
    pub fn token(&self) -> String {
        let token = Command::new(&self.binary)
            .args(["token", "--subject", "tests", "--role", "farmer"])
            .env("JWT_SECRET", JWT_SECRET)
            .output();
        printed(token).trim().to_owned()
    }
}

/// The binary beside the tests: cargo builds it before it runs the tests of the workspace, and not
/// when only this crate's are asked for. (To ask cargo from here would compile much of the
/// workspace anew: it gives its own variables to tests, and build scripts look at them.)
fn binary() -> PathBuf {
    let tests = std::env::current_exe().expect("a path");
    let folder = tests.ancestors().nth(2).expect("cargo's folder");
    let binary = folder.join("provchain");
    assert!(
        binary.exists(),
        "run cargo test --workspace: {binary:?} is missing"
    );
    binary
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests lie in the repository")
}

/// The standard output of a command that must succeed.
pub fn printed(output: std::io::Result<Output>) -> String {
    let output = output.expect("a program");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {complaint}", output.status);
    String::from_utf8(output.stdout).expect("text")
}
