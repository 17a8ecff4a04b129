//! The files of `monitoring/` and the pages about them, as data.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests lie in the repository")
}

pub fn monitoring(path: &str) -> PathBuf {
    root().join("monitoring").join(path)
}

/// A file of YAML, or of JSON, which is YAML too.
pub fn yaml(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

/// The files in a folder with that ending, in order.
fn list(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut paths: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|one| one == ending))
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "{folder:?} holds no .{ending}");
    paths
}

pub fn rule_files() -> Vec<PathBuf> {
    list(&monitoring("prometheus/rules"), "yml")
}

pub fn rule_tests() -> Vec<PathBuf> {
    list(&monitoring("prometheus/tests"), "yml")
}

/// The rules of one file.
pub fn rules_of(file: &Value) -> Vec<Value> {
    let groups = file["groups"].as_array().expect("groups").iter();
    groups
        .flat_map(|group| group["rules"].as_array().expect("rules").clone())
        .collect()
}

/// All rules, those that record and those that alert.
pub fn rules() -> Vec<Value> {
    let files = rule_files().into_iter();
    files.flat_map(|file| rules_of(&yaml(&file))).collect()
}

/// What the tests in a file expect: an alert, and whether it is to fire there.
pub fn expectations(file: &Path) -> Vec<(String, bool)> {
    let document = yaml(file);
    let groups = document["tests"].as_array().expect("tests").iter();
    let checks = groups.flat_map(|group| group["promql_expr_test"].as_array().expect("checks"));
    checks
        .map(|check| {
            let expr = check["expr"].as_str().expect("an expr");
            let alert = expr
                .strip_prefix("ALERTS{alertname=\"")
                .and_then(|rest| rest.split_once("\",alertstate=\"firing\""))
                .unwrap_or_else(|| panic!("{file:?}: {expr} is not about an alert that fires"));
            let samples = check["exp_samples"].as_array().expect("exp_samples");
            (alert.0.to_owned(), !samples.is_empty())
        })
        .collect()
}

/// The names of all runbooks.
pub fn runbooks() -> BTreeSet<String> {
    let pages = list(&root().join("docs/runbooks"), "md").into_iter();
    pages
        .map(|page| page.file_stem().expect("a name").display().to_string())
        .filter(|name| name != "index")
        .collect()
}

pub fn runbook(alert: &str) -> String {
    let path = root().join(format!("docs/runbooks/{alert}.md"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

/// The alerts as a table of Markdown, as it stands in `monitoring/README.md`.
pub fn table_of_alerts() -> String {
    let mut table = "| alert | severity | it fires when |\n|---|---|---|\n".to_owned();
    for rule in rules() {
        let Some(alert) = rule["alert"].as_str() else {
            continue;
        };
        let severity = rule["labels"]["severity"].as_str().expect("a severity");
        let page = runbook(alert);
        // The first sentence of the page says it in plain words.
        let meaning = page
            .split("## What it means\n\n")
            .nth(1)
            .expect("a meaning");
        let paragraph = meaning.split("\n\n").next().expect("a paragraph");
        let line = paragraph.replace('\n', " ");
        let sentence = line.split(". ").next().expect("a sentence");
        let sentence = sentence.trim_end_matches('.');
        let _ = writeln!(
            table,
            "| [{alert}](../docs/runbooks/{alert}.md) | {severity} | {sentence} |"
        );
    }
    table
}

/// A dashboard of Grafana.
#[derive(Debug)]
pub struct Dashboard {
    pub file: String,
    pub json: Value,
}

/// A query to Prometheus of one panel, with its variables filled in.
#[derive(Debug, Clone)]
pub struct Query {
    pub dashboard: String,
    pub panel: String,
    pub expr: String,
    empty_in_health: bool,
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} · {}: {}", self.dashboard, self.panel, self.expr)
    }
}

impl Query {
    pub fn is_empty_in_health(&self) -> bool {
        self.empty_in_health
    }
}

pub fn dashboards() -> Vec<Dashboard> {
    let files = list(&monitoring("grafana/dashboards"), "json").into_iter();
    files
        .map(|path| Dashboard {
            file: path.file_name().expect("a name").display().to_string(),
            json: yaml(&path),
        })
        .collect()
}

/// Panels that show nothing while all is well, each with the reason.
const EMPTY_IN_HEALTH: &[(&str, &str)] = &[
    (
        "Snapshots sent and taken",
        "followers that were not away get the log",
    ),
    ("Panics", "there are none"),
    ("Errors of the log", "there are none"),
    ("Deliveries by outcome", "nobody has subscribed"),
    ("Logins by result", "the sample comes with a token"),
    (
        "Certificates: days left",
        "the development cluster speaks without TLS",
    ),
];

impl Dashboard {
    /// The panels, those inside of rows too.
    pub fn panels(&self) -> Vec<&Value> {
        let of = |value: &'_ Value| value["panels"].as_array().cloned().unwrap_or_default();
        assert!(!of(&self.json).is_empty(), "{}: no panels", self.file);
        let panels = self.json["panels"].as_array().expect("panels");
        panels.iter().filter(|one| one["type"] != "row").collect()
    }

    /// The job whose cluster stands for the variable.
    fn job(&self) -> &'static str {
        if self.file == "front-door.json" {
            "web"
        } else {
            "provchain"
        }
    }

    /// What the panels ask Prometheus.
    pub fn queries(&self) -> Vec<Query> {
        let mut queries = Vec::new();
        for panel in self.panels() {
            if panel["datasource"]["type"] != "prometheus" {
                continue;
            }
            let title = panel["title"].as_str().expect("a title");
            for target in panel["targets"].as_array().expect("targets") {
                let expr = target["expr"].as_str().expect("an expr");
                let expr = expr
                    .replace("$__rate_interval", "5m")
                    .replace("$job", self.job());
                assert!(!expr.contains('$'), "{title}: a variable is left in {expr}");
                queries.push(Query {
                    dashboard: self.file.clone(),
                    panel: title.to_owned(),
                    expr,
                    empty_in_health: EMPTY_IN_HEALTH.iter().any(|(panel, _)| *panel == title),
                });
            }
        }
        queries
    }
}
