//! What watches the systems: rules, dashboards and the way of an alert, with a real Prometheus and a
//! real Alertmanager on loopback.

#[path = "monitoring/compose.rs"]
mod compose;
#[path = "monitoring/files.rs"]
mod files;
#[path = "monitoring/programs.rs"]
mod programs;
#[path = "monitoring/promql.rs"]
mod promql;
#[path = "monitoring/receiver.rs"]
mod receiver;
#[path = "monitoring/scene.rs"]
mod scene;
#[path = "monitoring/stack.rs"]
mod stack;

use std::collections::BTreeSet;

use files::{Dashboard, dashboards, monitoring, rule_files, rules, runbooks};
use programs::accepted;
use receiver::Receiver;
use scene::Scene;
use serde_json::Value;

#[test]
fn prometheus_takes_every_configuration_with_its_rules() {
    for file in [
        "prometheus/prometheus.yml",
        "prometheus.yml",
        "prometheus_multi_node.yml",
    ] {
        let said = accepted("promtool", &["check", "config"], &monitoring(file));
        let count = rule_files().len();
        assert!(
            said.contains(&format!("{count} rule files found")),
            "{said}"
        );
    }
}

#[test]
fn alertmanager_takes_its_configuration() {
    let file = monitoring("alertmanager/alertmanager.yml");
    accepted("amtool", &["check-config"], &file);
}

#[test]
fn an_alert_goes_to_a_receiver_that_exists_by_how_urgent_it_is() {
    let file = monitoring("alertmanager/alertmanager.yml");
    let file = file.to_str().expect("text");
    for severity in ["critical", "warning"] {
        let alert = format!("severity={severity}");
        let asked = ["config", "routes", "test", "--config.file", file, &alert];
        assert_eq!(programs::run("amtool", &asked).trim(), "webhook");
    }
}

#[test]
fn every_alert_fires_and_stays_silent_as_its_tests_say() {
    for file in files::rule_tests() {
        accepted("promtool", &["test", "rules"], &file);
    }
}

#[test]
fn every_alert_is_tested_both_ways_says_what_to_do_and_has_its_page() {
    let (mut fires, mut silent) = (BTreeSet::new(), BTreeSet::new());
    for file in files::rule_tests() {
        for (alert, expected) in files::expectations(&file) {
            let seen = if expected { &mut fires } else { &mut silent };
            seen.insert(alert);
        }
    }
    let pages = runbooks();
    let mut names = BTreeSet::new();
    let mut wrong = Vec::new();
    for rule in rules() {
        let Some(alert) = rule["alert"].as_str() else {
            continue;
        };
        let mut must = |holds: bool, what: &str| {
            if !holds {
                wrong.push(format!("{alert}: {what}"));
            }
        };
        must(names.insert(alert.to_owned()), "two rules have this name");
        must(fires.contains(alert), "no test sees it fire");
        must(silent.contains(alert), "no test sees it stay silent");
        let severity = rule["labels"]["severity"].as_str();
        must(
            matches!(severity, Some("critical" | "warning")),
            "its severity is critical or warning",
        );
        let note = |name: &str| rule["annotations"][name].as_str().unwrap_or_default();
        must(!note("summary").is_empty(), "no summary");
        must(note("description").len() > 60, "no word of what to do");
        must(
            note("runbook_url") == format!("docs/runbooks/{alert}.md"),
            "runbook_url is not docs/runbooks/<alert>.md",
        );
        must(pages.contains(alert), "that page is missing");
    }
    wrong.extend(
        pages
            .difference(&names)
            .map(|page| format!("docs/runbooks/{page}.md: there is no such alert")),
    );
    let tested: BTreeSet<String> = fires.union(&silent).cloned().collect();
    wrong.extend(
        tested
            .difference(&names)
            .map(|alert| format!("{alert} is tested, and does not exist")),
    );
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn every_runbook_has_the_same_questions() {
    for alert in runbooks() {
        let text = files::runbook(&alert);
        assert!(text.starts_with(&format!("# {alert}\n")), "{alert}: title");
        for question in [
            "## What it means",
            "## What users notice",
            "## Look",
            "## Mend",
            "## Over when",
        ] {
            assert!(text.contains(question), "{alert}.md has no {question:?}");
        }
    }
}

#[test]
fn the_table_of_alerts_and_the_index_of_runbooks_are_whole() {
    let table = files::table_of_alerts();
    let document = std::fs::read_to_string(monitoring("README.md")).expect("a document");
    assert!(
        document.contains(&table),
        "monitoring/README.md: the table of alerts should be\n{table}"
    );
    let index = std::fs::read_to_string(files::root().join("docs/runbooks/index.md"));
    let index = index.expect("an index");
    for alert in runbooks() {
        let entry = format!("- [{alert}]({alert}.md)\n");
        assert!(
            index.contains(&entry),
            "docs/runbooks/index.md lacks {entry}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_cluster_exports_every_metric_and_answers_every_panel() {
    let mut scene = Scene::start(3).await;
    let mut wanted = BTreeSet::new();
    for rule in rules() {
        wanted.extend(promql::metrics(rule["expr"].as_str().expect("an expr")));
    }
    let dashboards = dashboards();
    for panel in dashboards.iter().flat_map(Dashboard::queries) {
        wanted.extend(promql::metrics(&panel.expr));
    }
    scene.must_export(&wanted).await;

    let prometheus = scene.prometheus(None).await;
    scene.use_it(&prometheus).await;
    let panels = dashboards.iter().flat_map(Dashboard::queries);
    let (empty, full): (Vec<_>, Vec<_>) = panels.partition(|panel| panel.is_empty_in_health());
    prometheus.all_answer(&full).await;
    // What is listed as empty without need would be a panel that nobody proves.
    for panel in empty {
        let answer = prometheus.query(&panel.expr).await;
        assert!(answer.is_empty(), "{panel} is not empty: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_node_is_told_to_a_webhook_with_its_symptoms_silenced_until_it_is_back() {
    let scene = Scene::start(3).await;
    let receiver = Receiver::start().await;
    let alertmanager = stack::Alertmanager::start(&receiver.url()).await;
    let prometheus = scene.prometheus(Some(&alertmanager)).await;
    let up = r#"sum(up{job="provchain"}) == 3"#;
    prometheus.until_some("all three nodes are up", up).await;

    let leader = scene.cluster.leader().await.expect("a leader").name();
    let mut nodes = scene.cluster.nodes().iter();
    let victim = nodes
        .find(|node| node.name() != leader)
        .expect("a follower");
    let instance = victim.address("metrics").expect("an address");
    let is_victim = |alert: &Value, status: &str| {
        alert["labels"]["alertname"] == "NodeDown"
            && alert["labels"]["instance"] == instance.as_str()
            && alert["status"] == status
    };
    victim.kill().await.expect("killed");

    let told = receiver
        .until("NodeDown fires", |alert| is_victim(alert, "firing"))
        .await;
    assert_eq!(told["labels"]["severity"], "warning");
    assert_eq!(told["labels"]["job"], "provchain");
    let page = told["annotations"]["runbook_url"].as_str().expect("a page");
    assert!(files::root().join(page).exists(), "{page}");
    alertmanager
        .until("that it is not reached is suppressed", |alert| {
            alert["labels"]["alertname"] == "PeerUnreachable"
                && alert["labels"]["peer"] == victim.name()
                && alert["status"]["state"] == "suppressed"
        })
        .await;

    victim.start().await.expect("started");
    receiver
        .until("NodeDown is resolved", |alert| is_victim(alert, "resolved"))
        .await;
    // Not what a busy machine may have brought about, such as slow requests.
    let symptoms = "NodeDown|NodeHalted|PeerUnreachable|FollowerLags|QuorumLost|NoLeader";
    let quiet = format!(
        r#"(count(ALERTS{{alertstate="firing",alertname=~"{symptoms}"}}) or vector(0)) == 0"#
    );
    prometheus.until_some("all symptoms are over", &quiet).await;
}
