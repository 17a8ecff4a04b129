//! A small catalogue, and what is said otherwise.

use super::super::Tree;
use super::*;

const CATALOGUE_TEXT: &str = r#"{ "systems": { "ledger": { "roles": { "proxy": {
        "binary": "nginx", "args": [], "replicas": 1, "data_dir": "/", "environment": {},
        "ports": { "http": { "number": 80 } },
        "resources": { "cpus": 1.0, "memory_mib": 64, "open_files": 64, "stop_seconds": 5 }
    }, "node": {
        "binary": "ledger", "package": "ledger", "args": ["serve"], "replicas": 3,
        "data_dir": "/var/lib/ledger",
        "ports": { "api": { "number": 8080 }, "metrics": { "number": 9090 } },
        "environment": {
            "LEDGER_PEERS": { "alias": "PEERS", "value": "{peers}" },
            "LEDGER_PORT": { "value": "{port.api}" },
            "LEDGER_LISTEN": { "value": "{host}:{port.api}" },
            "LEDGER_SECRET": { "secret": true }
        },
        "resources": { "cpus": 1.0, "memory_mib": 1024, "open_files": 65536, "stop_seconds": 30 }
    } } } } }"#;

const DOCKERFILE: &str = r#"
FROM scratch AS ledger
COPY --from=made /data /var/lib/ledger
USER 65532:65532
EXPOSE 8080 9090
HEALTHCHECK CMD ["/usr/bin/ledger", "health"]
ENTRYPOINT ["/usr/bin/ledger"]
CMD ["serve"]
"#;

const COMPOSE: &str = r#"
services:
  node:
    image: ${REGISTRY:-}trivet/ledger:${TAG:-dev}
    stop_grace_period: 30s
    environment:
      PEERS: node:8080
      LEDGER_PORT: "8080"
      LEDGER_LISTEN: 0.0.0.0:8080
      LEDGER_SECRET_FILE: /run/secrets/it
    ports: ["8081:8080", { target: 9090, published: 9091 }]
    volumes: ["data:/var/lib/ledger"]
    ulimits: { nofile: "${OPEN_FILES:-65536}" }
    deploy: { resources: { limits: { cpus: "1.0", memory: 1024M } } }
  proxy:
    image: nginx:alpine
    ports: ["80:80"]
"#;

fn found(dockerfile: &str, compose: &str, proxy: &str) -> Vec<String> {
    let house = House {
        tree: Tree::of(&[
            (CATALOGUE, CATALOGUE_TEXT),
            (IMAGES, dockerfile),
            ("infra/ledger/docker-compose.yml", compose),
            ("infra/ledger/nginx.conf", proxy),
        ]),
        crates: Vec::new(),
    };
    let violations = containers_follow_the_catalogue(&house);
    violations.iter().map(ToString::to_string).collect()
}

#[test]
fn files_that_say_what_the_catalogue_says_are_welcome() {
    assert_eq!(
        found(DOCKERFILE, COMPOSE, "proxy_pass http://node:8080;"),
        [""; 0]
    );
}

#[test]
fn each_difference_is_named_with_its_place() {
    let compose = "infra/ledger/docker-compose.yml:3: node: ";
    for (from, to, named) in [
        (
            "8081:8080",
            "8081:8082",
            r#"port "8081:8082" leads to none of api 8080, metrics 9090"#,
        ),
        ("target: 9090", "target: 9091", "leads to none of"),
        (
            r#"PORT: "8080""#,
            r#"PORT: "8081""#,
            "LEDGER_PORT is 8081 instead of 8080",
        ),
        (
            "LISTEN: 0.0.0.0:8080",
            "LISTEN: 0.0.0.0:8081",
            "LEDGER_LISTEN is 0.0.0.0:8081 instead of 8080",
        ),
        ("PEERS:", "FRIENDS:", "ledger does not read FRIENDS"),
        ("PEERS:", "PEERS_FILE:", "ledger does not read PEERS_FILE"),
        (
            "data:/var/lib/ledger",
            "data:/data",
            "no volume is mounted at /var/lib/ledger",
        ),
        ("1024M", "512M", "memory is 512M instead of 1024M"),
        (r#""1.0""#, r#""2.0""#, "cpus is 2.0 instead of 1.0"),
        ("30s", "10s", "stop_grace_period is 10s instead of 30s"),
        ("65536", "1024", "ulimits.nofile is 1024 instead of 65536"),
    ] {
        let changed = found(DOCKERFILE, &COMPOSE.replace(from, to), "");
        assert_eq!(changed.len(), 1, "{from} → {to}: {changed:?}");
        assert!(changed[0].starts_with(compose), "{changed:?}");
        assert!(changed[0].contains(named), "{changed:?}");
    }
    for (from, to, named) in [
        (
            "EXPOSE 8080 9090",
            "EXPOSE 8080",
            "“EXPOSE 8080 9090” is missing",
        ),
        (
            r#"["serve"]"#,
            r#"["run"]"#,
            r#"“CMD ["serve"]” is missing"#,
        ),
        (
            "USER 65532:65532",
            "USER 0",
            "“USER 65532:65532” is missing",
        ),
        (
            "scratch AS ledger",
            "debian AS ledger",
            "there is no target ledger",
        ),
    ] {
        let changed = found(&DOCKERFILE.replace(from, to), COMPOSE, "");
        assert_eq!(changed.len(), 1, "{from} → {to}: {changed:?}");
        assert!(changed[0].contains(named), "{changed:?}");
    }
    let proxy = found(DOCKERFILE, &COMPOSE.replace("80:80", "80:81"), "");
    assert!(
        proxy[0].contains("proxy: port \"80:81\" leads to none of http 80"),
        "{proxy:?}"
    );
    let unknown = COMPOSE.replace("trivet/ledger", "trivet/other");
    assert!(found(DOCKERFILE, &unknown, "")[0].contains("has no binary other"));
    let two =
        format!("{COMPOSE}  second:\n    <<: *node\n").replace("  node:\n", "  node: &node\n");
    assert!(found(DOCKERFILE, &two, "")[0].contains("2 services run ledger: 3"));
}

#[test]
fn whatever_names_a_port_of_a_node_names_one_that_there_is() {
    let wrong = found(DOCKERFILE, COMPOSE, "upstream {\n  server node:8082;\n}");
    assert_eq!(
        wrong,
        [
            "infra/ledger/nginx.conf:2: node:8082 is none of api 8080, metrics 9090, says \
          infra/catalogue.json"
        ]
    );
    assert_eq!(
        found(DOCKERFILE, COMPOSE, "server elsewhere:8082;"),
        [""; 0]
    );
}
