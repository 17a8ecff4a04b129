//! Prometheus and Alertmanager with the repository's configuration, made fast: intervals of a second
//! and short waits, never another meaning of a rule.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::files::{Query, monitoring, rule_files, yaml};
use super::programs::{Server, client, until};

pub struct Prometheus {
    server: Server,
    client: reqwest::Client,
    _folder: TempDir,
}

pub struct Alertmanager {
    server: Server,
    client: reqwest::Client,
    _folder: TempDir,
}

fn write(path: &Path, value: &Value) {
    fs::write(path, value.to_string()).expect("written");
}

impl Prometheus {
    /// Starts it with these targets for each job, and no others.
    pub async fn start(
        targets: &[(&str, Vec<String>)],
        alertmanager: Option<&Alertmanager>,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path();
        let mut config = yaml(&monitoring("prometheus/prometheus.yml"));
        config["global"] = json!({
            "scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s",
        });
        let mut names = Vec::new();
        for file in rule_files() {
            let name = file.file_name().expect("a name").to_owned();
            write(&path.join(&name), &impatient(yaml(&file)));
            names.push(name.into_string().expect("text"));
        }
        config["rule_files"] = json!(names);
        let manager = alertmanager.map(|one| one.server.url.replace("http://", ""));
        config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] =
            json!(manager.into_iter().collect::<Vec<_>>());
        let jobs = config["scrape_configs"].as_array_mut().expect("jobs");
        jobs.retain_mut(|job| {
            let Some(files) = job.pointer_mut("/file_sd_configs/0/files") else {
                return false;
            };
            let file = files[0].take();
            let name = file.as_str().expect("a file").replace('/', "-");
            *files = json!([name]);
            let own = targets.iter().find(|(one, _)| job["job_name"] == *one);
            let own = own.map_or(&[][..], |(_, targets)| targets);
            write(&path.join(&name), &json!([{ "targets": own }]));
            true
        });
        write(&path.join("prometheus.yml"), &config);
        let arguments = [
            "--config.file=prometheus.yml".to_owned(),
            "--storage.tsdb.path=data".to_owned(),
            "--log.level=warn".to_owned(),
        ];
        Self {
            server: Server::start("prometheus", path, &arguments).await,
            client: client(),
            _folder: folder,
        }
    }

    /// What an expression gives now: its samples.
    pub async fn query(&self, expr: &str) -> Vec<Value> {
        let url = format!("{}/api/v1/query", self.server.url);
        let url = reqwest::Url::parse_with_params(&url, [("query", expr)]).expect("a URL");
        let answer = self.client.get(url).send().await;
        let answer: Value = answer.expect("an answer").json().await.expect("JSON");
        assert_eq!(answer["status"], "success", "{expr}: {answer}");
        answer["data"]["result"]
            .as_array()
            .expect("samples")
            .clone()
    }

    pub async fn until_some(&self, what: &str, expr: &str) -> Vec<Value> {
        until(what, async || {
            let found = self.query(expr).await;
            (!found.is_empty()).then_some(found)
        })
        .await
    }

    /// Waits until each of them gives a number.
    pub async fn all_answer(&self, queries: &[Query]) {
        for query in queries {
            until(&format!("there is an answer to {query}"), async || {
                let found = self.query(&query.expr).await;
                let is_number = |sample: &Value| sample["value"][1] != "NaN";
                found.iter().any(is_number).then_some(())
            })
            .await;
        }
    }
}

/// The same rules; what must last before an alert fires lasts a second.
fn impatient(mut file: Value) -> Value {
    let groups = file["groups"].as_array_mut().expect("groups").iter_mut();
    for rule in groups.flat_map(|group| group["rules"].as_array_mut().expect("rules")) {
        if rule.get("for").is_some() {
            rule["for"] = json!("1s");
        }
    }
    file
}

impl Alertmanager {
    /// Starts it with the repository's routes, and this webhook.
    pub async fn start(webhook: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path();
        let mut config = yaml(&monitoring("alertmanager/alertmanager.yml"));
        fs::write(path.join("url"), webhook).expect("written");
        for receiver in config["receivers"].as_array_mut().expect("receivers") {
            receiver["webhook_configs"][0]["url_file"] = json!(path.join("url"));
        }
        hurry(&mut config["route"]);
        write(&path.join("alertmanager.yml"), &config);
        let arguments = [
            "--config.file=alertmanager.yml".to_owned(),
            "--storage.path=data".to_owned(),
            "--cluster.listen-address=".to_owned(),
            "--log.level=warn".to_owned(),
        ];
        Self {
            server: Server::start("prometheus-alertmanager", path, &arguments).await,
            client: client(),
            _folder: folder,
        }
    }

    /// Waits for an alert as Alertmanager sees it.
    pub async fn until(&self, what: &str, is: impl Fn(&Value) -> bool) {
        let url = format!("{}/api/v2/alerts", self.server.url);
        until(what, async || {
            let answer = self.client.get(&url).send().await.expect("an answer");
            let alerts: Vec<Value> = answer.json().await.expect("alerts");
            alerts.iter().any(&is).then_some(())
        })
        .await;
    }
}

/// Groups wait for a second, in every branch of the routes.
fn hurry(route: &mut Value) {
    route["group_wait"] = json!("1s");
    route["group_interval"] = json!("1s");
    if let Some(routes) = route.get_mut("routes").and_then(Value::as_array_mut) {
        routes.iter_mut().for_each(hurry);
    }
}
