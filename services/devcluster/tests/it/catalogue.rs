//! The repository's catalogue and its schema.

use std::fs;

use devcluster::{Catalogue, Workspace};
use serde_json::Value;

use crate::it::harness::{TOY_CATALOGUE, toy_catalogue};

fn repository() -> Workspace {
    Workspace::find(env!("CARGO_MANIFEST_DIR")).expect("the catalogue is valid")
}

fn json(path: &str) -> Value {
    let path = repository().root().join(path);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn the_schema_file_is_the_one_that_the_types_give() {
    assert!(
        json("infra/catalogue.schema.json") == Catalogue::schema(),
        "write it anew: cargo run -p devcluster -- schema > infra/catalogue.schema.json"
    );
}

#[test]
fn the_catalogues_fit_the_schema() {
    let schema = jsonschema::validator_for(&Catalogue::schema()).expect("a valid schema");
    let toy: Value = serde_json::from_str(TOY_CATALOGUE).expect("JSON");
    for catalogue in [json("infra/catalogue.json"), toy.clone()] {
        let problems: Vec<_> = schema
            .iter_errors(&catalogue)
            .map(|e| e.to_string())
            .collect();
        assert!(problems.is_empty(), "{problems:#?}");
    }
    let mut wrong = toy;
    wrong["systems"]["toy"]["roles"]["node"]["prots"] = Value::Null;
    assert!(!schema.is_valid(&wrong), "unknown fields are refused");
}

#[test]
fn provchain_is_there_as_its_document_names_it() {
    let workspace = repository();
    let provchain = workspace
        .catalogue()
        .system("provchain")
        .expect("in the catalogue");
    let node = &provchain.roles["node"];
    assert_eq!((node.binary.as_str(), node.replicas), ("provchain", 3));
    assert_eq!(
        (node.ports["api"].number, node.ports["metrics"].number),
        (8080, 9090)
    );
    assert_eq!(
        node.environment["PROVCHAIN_PEERS"].alias.as_deref(),
        Some("PEERS")
    );
    for name in [
        "PROVCHAIN_PORT",
        "PROVCHAIN_DATA_DIR",
        "PROVCHAIN_NETWORK_ID",
        "OTEL_SERVICE_NAME",
    ] {
        assert!(node.environment.contains_key(name), "{name}");
    }
    assert!(node.environment["JWT_SECRET"].secret);
    assert!(
        provchain.development.secrets["jwt"] >= 16,
        "32 characters at least"
    );
    assert_eq!(provchain.development.commands.len(), 3);
}

#[test]
fn an_unknown_system_is_refused_with_the_names_there_are() {
    let error = toy_catalogue()
        .system("tyo")
        .expect_err("unknown")
        .to_string();
    assert!(
        error.contains("`tyo`") && error.contains("it knows toy"),
        "{error}"
    );
}

/// The toy's catalogue with a part replaced, and what is said about it.
fn refusal(pointer: &str, value: Value) -> String {
    let mut catalogue: Value = serde_json::from_str(TOY_CATALOGUE).expect("JSON");
    *catalogue.pointer_mut(pointer).expect("the part is there") = value;
    Catalogue::parse(&catalogue.to_string(), "toy.json")
        .expect_err("refused")
        .to_string()
}

#[test]
fn a_wrong_shape_is_refused_with_its_place() {
    let error = refusal("/systems/toy/start_order", "node".into());
    assert!(
        error.contains("toy.json") && error.contains("line 1 column"),
        "{error}"
    );
    let error = refusal("/systems/toy/roles/node/args", serde_json::json!(["{name"]));
    assert!(error.contains("a lone `{`"), "{error}");
}

#[test]
fn contradictions_are_refused_with_their_place() {
    let node = "/systems/toy/roles/node";
    let development = "/systems/toy/development";
    for (pointer, value, said) in [
        ("/version".to_owned(), 2.into(), "version 2"),
        (
            "/systems/toy/start_order".to_owned(),
            serde_json::json!([]),
            "every role once",
        ),
        (format!("{node}/health/port"), "apu".into(), "no port `apu`"),
        (
            format!("{node}/peers/roles/0"),
            "nod".into(),
            "no role `nod`",
        ),
        (format!("{node}/peers/port"), "apu".into(), "no port `apu`"),
        (
            format!("{node}/ports/api/development_offset"),
            10.into(),
            "into the next node",
        ),
        (
            format!("{node}/ports/api/development_offset"),
            1.into(),
            "used twice",
        ),
        (
            format!("{node}/environment/TOY_PORT/value"),
            "{port.apu}".into(),
            "{port.apu}",
        ),
        (
            format!("{node}/environment/TOY_SECRET/value"),
            "{secret.x}".into(),
            "{secret.x}",
        ),
        (
            format!("{node}/environment/TOY_PORT/value"),
            "{nodes.node.apu}".into(),
            "{nodes.node.apu}",
        ),
        (
            format!("{node}/prepare"),
            serde_json::json!([{ "summary": "s", "command": [] }]),
            "a command is empty",
        ),
        (
            format!("{development}/nodes_max"),
            2.into(),
            "exceed nodes_max",
        ),
        (
            format!("{development}/port_base"),
            65500.into(),
            "above 65535",
        ),
        (
            format!("{development}/commands/1/command"),
            "{captured.x}".into(),
            "{captured.x}",
        ),
        (
            format!("{development}/commands/1/command"),
            "{secret.toy}".into(),
            "print a secret",
        ),
        (
            format!("{development}/sample/0/action/run/command"),
            serde_json::json!([]),
            "empty",
        ),
    ] {
        let error = refusal(&pointer, value);
        assert!(error.contains(said), "{pointer}: {error}");
    }
}

#[test]
fn development_ports_of_two_systems_must_not_meet() {
    let mut catalogue: Value = serde_json::from_str(TOY_CATALOGUE).expect("JSON");
    let mut other = catalogue["systems"]["toy"].clone();
    other["development"]["port_base"] = 28170.into();
    catalogue["systems"]["yot"] = other;
    let error = Catalogue::parse(&catalogue.to_string(), "toy.json").expect_err("they meet");
    assert!(error.to_string().contains("toy and yot meet"), "{error}");
    catalogue["systems"]["yot"]["development"]["port_base"] = 28180.into();
    Catalogue::parse(&catalogue.to_string(), "toy.json").expect("they touch");
}

/// The shape has room for the other systems' documents: two binaries and workers, roles by flag on
/// one port, programs that are not ours and have no HTTP health.
#[test]
fn other_kinds_of_systems_fit_the_shape() {
    let toy: Value = serde_json::from_str(TOY_CATALOGUE).expect("JSON");
    let role = |changes: Value| {
        let mut role = toy["systems"]["toy"]["roles"]["node"].clone();
        for (name, value) in changes.as_object().expect("an object") {
            role[name] = value.clone();
        }
        role
    };
    let one_port = serde_json::json!({"node": {
        "summary": "everything", "number": 9000, "scheme": "http",
        "open_to": ["clients", "peers", "monitoring"], "development_offset": 0
    }});
    let all_coordinators =
        serde_json::json!({"roles": ["coordinator"], "port": "node", "which": "all"});
    let dstorage_role = |kind: &str| {
        let mut role = role(serde_json::json!({
            "binary": "dstnode",
            "args": ["start", "--node-type", kind, "--node-id", "{name}",
                     "--address", "{host}:{port.node}", "--seeds", "{peers}"],
            "node_name": format!("{kind}{{index}}"),
            "ports": one_port, "peers": all_coordinators, "environment": {},
            "health": {"port": "node", "path": "/health"},
            "metrics": {"port": "node", "path": "/metrics"},
        }));
        role["replicas"] = 1.into();
        role
    };
    let database = role(serde_json::json!({
        "binary": "postgres", "args": ["-D", "{data_dir}", "-p", "{port.sql}"],
        "ports": {"sql": {"summary": "SQL", "number": 5432, "scheme": "postgresql",
                          "open_to": ["peers"], "development_offset": 0}},
        "peers": null, "environment": {}, "health": {"port": "sql"}, "metrics": null,
    }));
    let servers = role(
        serde_json::json!({"environment": {}, "peers": {"roles": ["server"], "port": "api", "which": "earlier"}}),
    );
    let workers = role(serde_json::json!({
        "binary": "algorithm-runner", "args": ["--servers", "{peers}"], "node_name": "worker{index}",
        "peers": {"roles": ["server"], "port": "metrics", "which": "all"}, "environment": {},
    }));
    let system = |order: Value, roles: Value, base: u16| {
        serde_json::json!({
            "summary": "s", "start_order": order, "roles": roles,
            "development": {"port_base": base, "port_stride": 10, "nodes_max": 10},
        })
    };
    let catalogue = serde_json::json!({"$schema": "s", "version": 1, "systems": {
        "silhouette": system(serde_json::json!(["server", "worker"]),
            serde_json::json!({"server": servers, "worker": workers}), 10000),
        "dstorage": system(serde_json::json!(["coordinator", "storage", "gateway"]),
            serde_json::json!({"coordinator": dstorage_role("coordinator"),
                "storage": dstorage_role("storage"), "gateway": dstorage_role("gateway")}), 11000),
        "web": system(serde_json::json!(["database"]), serde_json::json!({"database": database}), 12000),
    }});
    Catalogue::parse(&catalogue.to_string(), "others").expect("they fit");
}
