//! The parts that no test here can run, held against each other: what is mounted exists, who is asked
//! listens there, and no service has more rights than it needs.

use std::path::PathBuf;

use serde_json::Value;

use super::files::{Dashboard, dashboards, monitoring, yaml};

fn compose() -> Value {
    yaml(&monitoring("docker-compose.monitoring.yml"))
}

fn services() -> Vec<(String, Value)> {
    let services = compose()["services"].as_object().expect("services").clone();
    services.into_iter().collect()
}

fn texts(list: &Value) -> Vec<String> {
    let list = list.as_array().cloned().unwrap_or_default();
    list.iter()
        .map(|one| filled(one.as_str().expect("text")))
        .collect()
}

/// A text with the defaults of its variables.
fn filled(text: &str) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (variable, behind) = after.split_once('}').expect("an end");
        let (_, default) = variable.split_once(":-").expect("a default");
        filled.push_str(before);
        filled.push_str(default);
        rest = behind;
    }
    filled + rest
}

#[test]
fn every_service_is_pinned_bounded_watched_and_has_few_rights() {
    for (name, service) in services() {
        let image = filled(service["image"].as_str().expect("an image"));
        let (_, tag) = image.rsplit_once(':').expect("a tag");
        assert!(tag.contains('.') && tag != "latest", "{name}: {image}");
        let user = service["user"].as_str().expect("a user");
        assert!(!user.starts_with('0'), "{name} runs as root");
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(service["cap_drop"][0], "ALL", "{name}");
        assert_eq!(
            service["security_opt"][0], "no-new-privileges:true",
            "{name}"
        );
        assert!(
            service["healthcheck"]["test"].is_array(),
            "{name}: no health"
        );
        for limit in ["cpus", "memory"] {
            let limits = &service["deploy"]["resources"]["limits"];
            assert!(limits[limit].is_string(), "{name}: no limit of {limit}");
        }
    }
}

#[test]
fn what_is_mounted_lies_in_this_folder_and_what_is_kept_is_a_volume() {
    let volumes = compose()["volumes"].clone();
    for (name, service) in services() {
        for mount in texts(&service["volumes"]) {
            let source = mount.split(':').next().expect("a source");
            if let Some(path) = source.strip_prefix("./") {
                assert!(monitoring(path).exists(), "{name}: {path} is missing");
                assert!(mount.ends_with(":ro"), "{name}: {mount} can be written");
            } else if source != "/var/run/docker.sock" {
                assert!(volumes.get(source).is_some(), "{name}: no volume {source}");
            }
        }
        for secret in texts(&service["secrets"]) {
            assert!(compose()["secrets"].get(&secret).is_some(), "{secret}");
        }
    }
}

#[test]
fn the_ports_are_those_that_the_document_prints() {
    let published: Vec<(String, String)> = services()
        .into_iter()
        .flat_map(|(name, service)| {
            let ports = texts(&service["ports"]);
            ports.into_iter().map(move |port| (name.clone(), port))
        })
        .collect();
    for (name, port) in [
        ("prometheus", "127.0.0.1:9091:9090"),
        ("grafana", "127.0.0.1:3001:3000"),
        ("jaeger", "127.0.0.1:16686:16686"),
        ("jaeger", "127.0.0.1:14268:14268"),
        ("loki", "127.0.0.1:3100:3100"),
    ] {
        let wanted = (name.to_owned(), port.to_owned());
        assert!(published.contains(&wanted), "{name} {port}: {published:?}");
    }
}

/// Where each service listens, by its own configuration.
fn listens(service: &str) -> Vec<String> {
    let jaeger = yaml(&monitoring("jaeger/jaeger.yml"));
    let at = |pointer: &str| {
        let endpoint = jaeger.pointer(pointer).and_then(Value::as_str);
        let (_, port) = endpoint
            .expect("an endpoint")
            .rsplit_once(':')
            .expect("a port");
        port.to_owned()
    };
    let flag = |name: &str| {
        let command = texts(&compose()["services"][service]["command"]);
        let flag = command.iter().find_map(|one| one.strip_prefix(name));
        flag.expect("a flag")
            .rsplit(':')
            .next()
            .expect("a port")
            .to_owned()
    };
    match service {
        "jaeger" => vec![
            at("/extensions/jaeger_query/http/endpoint"),
            at("/receivers/jaeger/protocols/thrift_http/endpoint"),
            at("/receivers/otlp/protocols/grpc/endpoint"),
            at("/extensions/healthcheckv2/http/endpoint"),
        ],
        "loki" => {
            vec![yaml(&monitoring("loki/loki.yml"))["server"]["http_listen_port"].to_string()]
        }
        "alloy" => vec![flag("--server.http.listen-addr=")],
        // Grafana's own default.
        "grafana" => vec!["3000".to_owned()],
        _ => vec![flag("--web.listen-address=")],
    }
}

fn must_listen(who: &str, url: &str) {
    let address = url.strip_prefix("http://").expect("http");
    let address = address.split('/').next().expect("an address");
    let (host, port) = address.split_once(':').expect("a port");
    assert!(listens(host).contains(&port.to_owned()), "{who}: {url}");
}

#[test]
fn whoever_is_asked_listens_there() {
    for (name, service) in services() {
        for port in texts(&service["ports"]) {
            let inside = port.rsplit(':').next().expect("a port");
            assert!(
                listens(&name).contains(&inside.to_owned()),
                "{name}: {port}"
            );
        }
        let health = texts(&service["healthcheck"]["test"]).join(" ");
        if let Some((_, port)) = health.split_once("http://127.0.0.1:") {
            must_listen(&name, &format!("http://{name}:{port}"));
        }
    }
    let file = "grafana/provisioning/datasources/datasources.yml";
    let sources = yaml(&monitoring(file));
    for source in sources["datasources"].as_array().expect("data sources") {
        must_listen(file, source["url"].as_str().expect("a URL"));
    }
    let alloy = std::fs::read_to_string(monitoring("alloy/config.alloy")).expect("a file");
    let push = alloy.split('"').find(|one| one.starts_with("http://"));
    must_listen("alloy", push.expect("a URL"));
    for file in [
        "prometheus/prometheus.yml",
        "prometheus.yml",
        "prometheus_multi_node.yml",
    ] {
        let config = yaml(&monitoring(file));
        let manager = &config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"][0];
        must_listen(file, &format!("http://{}", manager.as_str().expect("text")));
    }
}

#[test]
fn every_panel_names_a_data_source_and_has_a_unit_and_grafana_finds_the_dashboards() {
    let sources = yaml(&monitoring(
        "grafana/provisioning/datasources/datasources.yml",
    ));
    let sources = sources["datasources"].as_array().expect("data sources");
    for dashboard in dashboards() {
        for panel in dashboard.panels() {
            let title = panel["title"].as_str().expect("a title");
            let uid = &panel["datasource"]["uid"];
            assert!(
                sources.iter().any(|one| one["uid"] == *uid),
                "{title}: {uid}"
            );
            if panel["datasource"]["type"] == "prometheus" {
                let unit = &panel["fieldConfig"]["defaults"]["unit"];
                assert!(unit.is_string(), "{}: {title} has no unit", dashboard.file);
            }
        }
        assert_eq!(dashboard.variables(), ["job"], "{}", dashboard.file);
    }
    let providers = yaml(&monitoring(
        "grafana/provisioning/dashboards/dashboards.yml",
    ));
    let path = &providers["providers"][0]["options"]["path"];
    let mounted = texts(&compose()["services"]["grafana"]["volumes"]);
    let wanted = format!("./grafana/dashboards:{}:ro", path.as_str().expect("a path"));
    assert!(mounted.contains(&wanted), "{mounted:?}");
}

impl Dashboard {
    fn variables(&self) -> Vec<&str> {
        let list = self.json["templating"]["list"].as_array().expect("a list");
        list.iter()
            .map(|one| one["name"].as_str().expect("a name"))
            .collect()
    }
}

#[test]
fn the_configurations_of_the_document_have_its_targets() {
    let targets = |file: &str| {
        let config = yaml(&monitoring(file));
        let jobs = config["scrape_configs"].as_array().expect("jobs").clone();
        assert_eq!(jobs[0]["job_name"], "provchain");
        texts(&jobs[0]["static_configs"][0]["targets"])
    };
    let nodes = |of: &dyn Fn(u8) -> String| (1..=3).map(of).collect::<Vec<_>>();
    assert_eq!(
        targets("prometheus.yml"),
        nodes(&|n| format!("node{n}:9090"))
    );
    let template = nodes(&|n| format!("NODE_{n}_IP:9090"));
    assert_eq!(targets("prometheus_multi_node.yml"), template);
    let files = PathBuf::from("prometheus/targets/provchain.json");
    let listed = yaml(&monitoring(files.to_str().expect("text")));
    assert_eq!(texts(&listed[0]["targets"]), targets("prometheus.yml"));
}
