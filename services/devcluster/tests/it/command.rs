//! The `devcluster` command, in a repository of its own.

mod repository;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use devcluster::{Identity, Process, Signal};
use serde_json::{Value, json};

use crate::it::harness::folder;
use repository::{Ran, Repository};

#[test]
fn up_status_logs_down_and_clean_make_a_whole() {
    let repository = Repository::new();
    let up = repository.run(&["up"]).succeeded();
    assert!(up.stdout.contains("toy is up."), "{up:?}");
    assert!(
        up.stdout
            .contains(&format!("api http://127.0.0.1:{}", repository.base + 10)),
        "{up:?}"
    );

    let commands = up.commands();
    assert_eq!(
        commands,
        [
            format!("echo '{{' http://127.0.0.1:{}/whoami '}}'", repository.base),
            "echo a%20b%2Fc".to_owned()
        ]
    );
    for command in commands {
        assert!(
            Command::new("sh")
                .args(["-c", command])
                .status()
                .expect("a shell")
                .success()
        );
    }

    let rows = repository.status();
    assert_eq!(rows.len(), 3);
    assert_eq!(
        rows[1],
        json!({
            "system": "toy", "node": "node2", "pid": rows[1]["pid"],
            "ports": {"api": repository.base + 10, "metrics": repository.base + 11},
            "leader": false, "healthy": true,
        })
    );
    assert!(rows[1]["pid"].is_u64() && rows[0]["leader"] == true);
    let table = repository.run(&["status"]).succeeded().stdout;
    assert!(
        table.starts_with("SYSTEM") && table.contains("leader") && !table.contains('\x1b'),
        "{table}"
    );

    let logs = repository.run(&["logs"]).succeeded().stdout;
    assert!(
        logs.contains("toy/node1 | node1 starts") && logs.contains("toy/node3 | node3 starts"),
        "{logs}"
    );
    let logs = repository
        .run(&["logs", "--system", "toy", "--node", "node2"])
        .succeeded()
        .stdout;
    assert_eq!(logs, "node2 starts\n");
    repository
        .run(&["logs", "--node", "node9"])
        .failed_with("no node `node9`");

    let down = repository.run(&["down"]).succeeded();
    assert!(down.stdout.contains("toy is stopped"), "{down:?}");
    for row in repository.status() {
        assert!(row["pid"].is_null() && row["healthy"] == false, "{row}");
        assert!(
            repository
                .log(row["node"].as_str().expect("a name"))
                .contains("in good order")
        );
    }
    let again = repository.run(&["down"]).succeeded();
    assert_eq!(again.stdout, "Nothing is running.\n");

    repository.run(&["clean"]).succeeded();
    assert!(!repository.path(".dev").exists());
    assert!(repository.status().is_empty());
}

#[test]
fn up_on_a_running_cluster_says_so_and_changes_nothing() {
    let repository = Repository::new();
    repository.run(&["up"]).succeeded();
    let pids = repository.pids();
    let again = repository.run(&["up"]).succeeded();
    assert!(
        again.stdout.contains("toy is already running."),
        "{again:?}"
    );
    assert_eq!(again.commands().len(), 2);
    assert_eq!(repository.pids(), pids);
    repository
        .run(&["up", "--system", "toy", "--nodes", "5"])
        .failed_with("toy has 3 nodes, not 5");
    assert_eq!(repository.pids(), pids);
}

#[test]
fn a_cluster_that_was_stopped_starts_again_with_its_data_and_without_loading_the_sample_again() {
    let repository = Repository::new();
    let first = repository.run(&["up", "--nodes", "1"]).succeeded();
    assert!(
        first.stderr.contains("sample data: write the sample"),
        "{first:?}"
    );
    repository.run(&["down"]).succeeded();
    let again = repository.run(&["up"]).succeeded();
    assert!(!again.stderr.contains("sample data"), "{again:?}");
    assert_eq!(
        again.commands().len(),
        2,
        "the result of the first time is remembered"
    );
    assert_eq!(repository.log("node1").matches("node1 starts").count(), 2);
    assert_eq!(
        fs::read_to_string(repository.path(".dev/toy/node1/data/starts"))
            .expect("data")
            .lines()
            .count(),
        2
    );
}

#[test]
fn without_the_sample_no_command_that_needs_it_is_printed() {
    let repository = Repository::new();
    let up = repository
        .run(&["up", "--nodes", "1", "--no-sample"])
        .succeeded();
    assert_eq!(up.commands().len(), 1, "{up:?}");
    let up = repository.run(&["up"]).succeeded();
    assert_eq!(
        up.commands().len(),
        2,
        "it is loaded as soon as it is wanted"
    );
}

#[test]
fn the_secret_is_for_its_owner_alone_and_never_shown() {
    let repository = Repository::new();
    let up = repository.run(&["up", "--nodes", "1"]).succeeded();
    let path = repository.path(".dev/secrets/toy");
    let secret = fs::read_to_string(&path).expect("made");
    assert_eq!(secret.len(), 32);
    assert_eq!(
        fs::metadata(&path).expect("there").permissions().mode() & 0o777,
        0o600
    );
    let state = fs::read_to_string(repository.path(".dev/toy/state.json")).expect("recorded");
    let status = repository.run(&["status", "--json"]).succeeded();
    for text in [&up.stdout, &up.stderr, &state, &status.stdout] {
        assert!(!text.contains(&secret), "{text}");
    }
    repository.run(&["down"]).succeeded();
    repository.run(&["up"]).succeeded();
    assert_eq!(fs::read_to_string(&path).expect("there"), secret, "kept");
}

#[test]
fn a_node_that_vanished_is_reported_and_started_again() {
    let repository = Repository::new();
    repository.run(&["up"]).succeeded();
    let before = repository.pids();
    let node2 = Identity::of(before[1]).expect("it runs");
    let node2 = Process::adopt(&node2).expect("ours").expect("it runs");
    node2.signal(Signal::KILL).expect("killed");
    while node2.is_running() {
        std::thread::yield_now();
    }
    assert!(repository.status()[1]["pid"].is_null());
    let up = repository.run(&["up"]).succeeded();
    assert!(
        up.stderr.contains("node2 ended without being asked to"),
        "{up:?}"
    );
    let after = repository.pids();
    assert_eq!(
        (after[0], after[2]),
        (before[0], before[2]),
        "the others are left alone"
    );
    assert_ne!(after[1], before[1]);
}

#[test]
fn a_recorded_pid_that_belongs_to_somebody_else_is_left_alone() {
    let repository = Repository::new();
    repository.run(&["up", "--nodes", "1"]).succeeded();
    repository.run(&["down"]).succeeded();
    let mut stranger = Command::new("sleep").arg("1000").spawn().expect("started");
    let mut identity =
        serde_json::to_value(Identity::of(stranger.id()).expect("it runs")).expect("plain");
    identity["started_ticks"] = 1.into();
    let path = repository.path(".dev/toy/state.json");
    let mut state: Value =
        serde_json::from_str(&fs::read_to_string(&path).expect("recorded")).expect("JSON");
    state["nodes"][0]["process"] = identity;
    fs::write(&path, state.to_string()).expect("written");

    assert!(repository.status()[0]["pid"].is_null());
    assert_eq!(
        repository.run(&["down"]).succeeded().stdout,
        "Nothing is running.\n"
    );
    assert!(stranger.try_wait().expect("ours").is_none(), "it lives");
    stranger.kill().expect("ours");
    stranger.wait().expect("gone");
}

#[test]
fn a_damaged_record_is_named_with_the_way_out_which_finds_its_processes() {
    let repository = Repository::new();
    repository.run(&["up", "--nodes", "1"]).succeeded();
    let identity = Identity::of(repository.pids()[0]).expect("it runs");
    fs::write(repository.path(".dev/toy/state.json"), "{").expect("written");
    repository
        .run(&["status"])
        .failed_with("`make clean` removes it");
    repository
        .run(&["up"])
        .failed_with("state.json cannot be used");

    let clean = repository.run(&["clean"]).succeeded();
    assert!(
        clean
            .stdout
            .contains("Ended 1 process that nothing recorded"),
        "{clean:?}"
    );
    assert!(
        Process::adopt(&identity).expect("ours").is_none(),
        "it is gone"
    );
    assert!(!repository.path(".dev").exists());
}

#[test]
fn a_taken_port_is_reported_before_anything_starts() {
    let repository = Repository::new();
    let port = repository.base + 21;
    let _holder = TcpListener::bind(("127.0.0.1", port)).expect("free");
    let up = repository.run(&["up"]).failed_with(&format!(
        "port {port} on 127.0.0.1, the metrics port of node3"
    ));
    assert!(
        up.stderr
            .contains(&format!("pid {} (`", std::process::id())),
        "{up:?}"
    );
    assert!(up.stderr.contains("--port-base"), "{up:?}");
    assert!(
        !repository.path(".dev/toy/node1/log").exists(),
        "nothing was started"
    );
    assert!(repository.status().is_empty());

    let elsewhere = (repository.base + 50).to_string();
    repository
        .run(&["up", "--system", "toy", "--port-base", &elsewhere])
        .succeeded();
    assert_eq!(repository.status()[0]["ports"]["api"], repository.base + 50);
}

#[test]
fn a_node_that_dies_while_starting_shows_its_last_lines_and_where_there_are_more() {
    let repository = Repository::new();
    let output = repository
        .command(&["up", "--nodes", "1"])
        .env("TOY_FAIL", "no more paper")
        .output()
        .expect("started");
    let up = Ran::from(&output).failed_with("    toynode: no more paper");
    assert!(
        up.stderr.contains("make logs SYSTEM=toy NODE=node1"),
        "{up:?}"
    );
    repository.run(&["up"]).succeeded();
}

#[test]
fn what_takes_long_is_said() {
    let repository = Repository::new();
    let mut command = repository.command(&["up", "--nodes", "1"]);
    let output = command.env("TOY_SLOW_MS", "2500").output();
    let up = Ran::from(&output.expect("started")).succeeded();
    assert!(
        up.stderr.contains("still waiting until toy is ready (2 s)"),
        "{up:?}"
    );
    assert!(!up.stdout.contains("still"), "the results stay apart");
}

#[test]
fn nodes_inherit_from_the_shell_only_what_the_catalogue_lists() {
    let repository = Repository::new();
    let mut command = repository.command(&["up", "--nodes", "1"]);
    command.env("TOY_UNREADY", "yes").env("TOY_SLOW_MS", "1");
    Ran::from(&command.output().expect("started")).succeeded();
    let environment = fs::read_to_string(format!("/proc/{}/environ", repository.pids()[0]));
    let environment = environment.expect("ours");
    assert!(environment.contains("TOY_SLOW_MS=1"), "{environment}");
    assert!(!environment.contains("TOY_UNREADY"), "{environment}");
}

#[test]
fn followed_logs_show_what_is_written_later() {
    let repository = Repository::new();
    repository.run(&["up", "--nodes", "1"]).succeeded();
    let mut following = repository
        .command(&["logs", "--follow"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let mut lines = BufReader::new(following.stdout.take().expect("piped"))
        .lines()
        .map_while(Result::ok);
    assert_eq!(lines.next().as_deref(), Some("node1 starts"));
    repository.run(&["down"]).succeeded();
    assert_eq!(lines.next().as_deref(), Some("stopped in good order"));
    following.kill().expect("ours");
    following.wait().expect("gone");
}

#[test]
fn nothing_there_is_no_error() {
    let repository = Repository::new();
    assert_eq!(
        repository.run(&["status", "--json"]).succeeded().stdout,
        "[]\n"
    );
    assert!(
        repository
            .run(&["status"])
            .succeeded()
            .stdout
            .contains("`make up` starts it")
    );
    assert_eq!(
        repository.run(&["down"]).succeeded().stdout,
        "Nothing is running.\n"
    );
    assert_eq!(
        repository.run(&["clean"]).succeeded().stdout,
        "There is nothing to remove.\n"
    );
}

#[test]
fn unknown_systems_and_foreign_folders_are_refused() {
    let repository = Repository::new();
    for command in ["up", "status", "logs", "down"] {
        repository
            .run(&[command, "--system", "tyo"])
            .failed_with("there is no system `tyo`");
    }
    let elsewhere = folder();
    let output = repository
        .command(&["up"])
        .current_dir(elsewhere.path())
        .output()
        .expect("started");
    Ran::from(&output).failed_with("no infra/catalogue.json");
}

/// A system of one package without dependencies, which cargo builds in the time of a test.
#[test]
fn up_builds_what_it_starts_and_stops_at_a_failed_build() {
    let repository = Repository::new();
    let catalogue = repository.path("infra/catalogue.json");
    let text = fs::read_to_string(&catalogue).expect("there");
    let mut json: Value = serde_json::from_str(&text).expect("JSON");
    let role = &mut json["systems"]["toy"]["roles"]["node"];
    role["package"] = "tiny".into();
    role["binary"] = "tiny".into();
    role["health"] = json!({"port": "api"});
    fs::write(&catalogue, json.to_string()).expect("written");
    let manifest = "[package]\nname = \"tiny\"\nedition = \"2024\"\n[workspace]\n";
    fs::write(repository.path("Cargo.toml"), manifest).expect("written");
    fs::create_dir(repository.path("src")).expect("made");
    let up = |source: &str| {
        fs::write(repository.path("src/main.rs"), source).expect("written");
        let mut command = repository.command(&["up", "--nodes", "1"]);
        Ran::from(
            &command
                .env_remove("CARGO_TARGET_DIR")
                .output()
                .expect("started"),
        )
    };

    up("fn main() { oops }").failed_with("cargo build --bin tiny failed");
    assert!(repository.status().is_empty());
    let server = r#"fn main() {
        let at = |name| std::env::var(name).unwrap();
        let address = format!("{}:{}", at("TOY_HOST"), at("TOY_PORT"));
        for stream in std::net::TcpListener::bind(address).unwrap().incoming() { drop(stream); }
    }"#;
    let ran = up(server).succeeded();
    assert!(ran.stdout.contains("toy is up."), "{ran:?}");
    assert_eq!(repository.status()[0]["healthy"], true);
}
