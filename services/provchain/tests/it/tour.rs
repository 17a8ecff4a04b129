//! The tour of `docs/tour.md`, typed line by line into one shell.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use devcluster::{Cluster, Workspace};
use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};
use tokio::io::AsyncWriteExt as _;

use super::cluster::PROVCHAIN;

const TOUR: &str = include_str!("../../../../docs/tour.md");

/// A quarter of an hour is what the tour promises a reader; a machine is faster.
const TIME_MAX: Duration = Duration::from_secs(180);

/// Printed behind each block, to tell what it printed.
const MARK: &str = "=== end of block";

/// In the place of `make`, whose nodes are in the hands of this test.
const MAKE: &str = r#"make() {
  case "$*" in
    *status*) cat "$MAKE_FOLDER/pids" ;;
    *up*) : > "$MAKE_FOLDER/up"; while [ -e "$MAKE_FOLDER/up" ]; do sleep 0.1; done ;;
  esac
}
trap 'echo "this line failed: $BASH_COMMAND" >&2' ERR
"#;

/// What is typed, and what its output has to hold, line by line.
#[derive(Debug, Default)]
struct Block {
    typed: String,
    shown: Vec<String>,
}

/// The blocks of the tour: each `sh` block, and the `text` block behind it if there is one.
fn blocks() -> Vec<Block> {
    let (mut blocks, mut kind): (Vec<Block>, Option<String>) = (Vec::new(), None);
    for event in Parser::new(TOUR) {
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))) => {
                if &*language == "sh" {
                    blocks.push(Block::default());
                }
                kind = Some(language.to_string());
            }
            Event::End(TagEnd::CodeBlock) => kind = None,
            Event::Text(text) => match (kind.as_deref(), blocks.last_mut()) {
                (Some("sh"), Some(block)) => block.typed.push_str(&text),
                (Some("text"), Some(block)) => block.shown.extend(text.lines().map(str::to_owned)),
                _ => {}
            },
            _ => {}
        }
    }
    blocks
}

/// Whether a line of output is the one that the tour shows; `…` stands for what differs each time.
fn is_shown(line: &str, shown: &str) -> bool {
    let mut rest = line.trim();
    for (number, part) in shown.trim().split('…').enumerate() {
        match rest.find(part) {
            Some(0) => rest = &rest[part.len()..],
            Some(at) if number > 0 => rest = &rest[at + part.len()..],
            _ => return false,
        }
    }
    rest.is_empty() || shown.trim().ends_with('…')
}

/// What `make up` does, in a folder of its own and on ports of its own.
async fn up(folder: &Path) -> Cluster {
    kit::tls::install_provider();
    let workspace = Workspace::find(env!("CARGO_MANIFEST_DIR")).expect("the repository");
    let mut cluster = Cluster::builder(workspace.catalogue(), "provchain")
        .dir(folder.join(".dev/provchain"))
        .secrets_dir(folder.join(".dev/secrets"))
        .root(folder)
        .nodes(3)
        .binary(PROVCHAIN)
        .start()
        .await
        .expect("the nodes start");
    cluster.wait_ready().await.expect("the nodes get ready");
    cluster
        .load_sample(|_| ())
        .await
        .expect("the sample is loaded");
    cluster
}

/// Starts what is down, as `make up` does, whenever the shell asks for it.
async fn make(cluster: &Cluster, folder: &Path) {
    let asked = folder.join("up");
    loop {
        if asked.exists() {
            cluster.start_stopped().await.expect("started");
            cluster.wait_ready().await.expect("ready");
            std::fs::remove_file(&asked).expect("removed");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn the_tour_works_line_by_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let cluster = up(folder.path()).await;
    let blocks = blocks();
    assert!(blocks.len() >= 10, "the tour has lost its blocks");

    let mut script = MAKE.to_owned();
    for block in &blocks {
        script.push_str(&format!("{}echo '{MARK}'\n", block.typed));
    }
    let mut pids = String::new();
    for (number, node) in cluster.nodes().iter().enumerate() {
        let documented = format!("http://127.0.0.1:{}", 18_080 + 10 * number);
        script = script.replace(&documented, &node.url("api").expect("a port"));
        let pid = node.pid().expect("it runs");
        pids.push_str(&format!("\"pid\": {pid},\n"));
    }
    std::fs::write(folder.path().join("pids"), pids).expect("written");
    // Where `make up` would have built it.
    let built = folder.path().join("target/host/debug");
    std::fs::create_dir_all(&built).expect("made");
    std::os::unix::fs::symlink(PROVCHAIN, built.join("provchain")).expect("linked");
    let mut shell = tokio::process::Command::new("bash")
        .args(["-Eeuo", "pipefail", "-s"])
        .current_dir(folder.path())
        .env("MAKE_FOLDER", folder.path())
        .env("HOME", folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("a shell");
    let mut typed = shell.stdin.take().expect("a pipe");
    tokio::spawn(async move {
        // It may have ended.
        drop(typed.write_all(script.as_bytes()).await);
    });
    let output = tokio::time::timeout(TIME_MAX, shell.wait_with_output());
    let output = tokio::select! {
        output = output => output.expect("it ends").expect("it ran"),
        () = make(&cluster, folder.path()) => unreachable!("it goes on for as long as the shell"),
    };
    let (said, errors) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{said}\n{errors}");
    for (block, printed) in blocks.iter().zip(said.split(MARK)) {
        for shown in &block.shown {
            let found = printed.lines().any(|line| is_shown(line, shown));
            assert!(
                found,
                "the tour shows\n{shown}\nwhere\n{}prints\n{printed}\n{errors}",
                block.typed
            );
        }
    }
}

#[test]
fn what_the_tour_shows_is_compared_with_what_is_printed() {
    assert!(is_shown("size 7, root abc=", "size …, root …"));
    assert!(is_shown("  all is well", "all is well"));
    assert!(!is_shown("all is well, or not", "all is well"));
    assert!(!is_shown("size 7", "size …, root …"));
}
