//! Settings: which layer wins, what is refused, and how it is shown.

use std::collections::BTreeMap;

use kit::settings::{
    Invalid, Names, Secret, Settings, SettingsError, Sources, effective, example, load,
};
use proptest::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A bakery.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Bakery {
    /// Port to listen on.
    port: u16,
    /// Other bakeries; an empty list means that this one is the first.
    peers: Option<Vec<String>>,
    /// Signs the loaves.
    seal: Secret,
    /// How it is baked.
    mode: Mode,
    /// Free labels.
    labels: BTreeMap<String, String>,
    /// The oven.
    oven: Oven,
    /// A second oven, if there is one.
    spare: Option<Oven>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Mode {
    /// By hand.
    Hand,
    /// By machine.
    Machine,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Oven {
    /// Degrees.
    heat: f64,
    /// Trays that may be in use.
    trays: Vec<u32>,
    /// Whether the light is on.
    light: bool,
    /// Opens the door.
    code: Option<Secret>,
}

impl Default for Oven {
    fn default() -> Self {
        Self {
            heat: 220.5,
            trays: vec![1, 2],
            light: false,
            code: None,
        }
    }
}

impl Default for Bakery {
    fn default() -> Self {
        Self {
            port: 8080,
            peers: None,
            seal: Secret::default(),
            mode: Mode::Hand,
            labels: BTreeMap::new(),
            oven: Oven::default(),
            spare: None,
        }
    }
}

impl Settings for Bakery {
    const SERVICE: &'static str = "bakery";
    const ENV: &'static [Names] = &[
        &[("BAKERY_PEERS", "peers"), ("PEERS", "peers")],
        &[("SEAL_SECRET", "seal")],
    ];

    fn validate(&self) -> Result<(), Vec<Invalid>> {
        if self.port == 0 {
            Err(vec![Invalid::new("port", "must not be 0")])
        } else {
            Ok(())
        }
    }
}

fn with(variables: &[(&str, &str)]) -> Sources {
    Sources::environment(variables.iter().copied())
}

fn loaded(variables: &[(&str, &str)]) -> Bakery {
    load(&with(variables)).expect("these settings are right")
}

fn refused(sources: &Sources) -> String {
    load::<Bakery>(sources)
        .expect_err("these settings are wrong")
        .to_string()
}

fn file(text: &str) -> (tempfile::TempDir, Sources) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bakery.toml");
    std::fs::write(&path, text).expect("written");
    (
        folder,
        Sources {
            file: Some(path),
            ..Sources::default()
        },
    )
}

#[test]
fn nothing_given_means_defaults() {
    assert_eq!(
        load::<Bakery>(&Sources::default()).expect("defaults"),
        Bakery::default()
    );
}

#[test]
fn a_flag_wins_over_the_environment_that_wins_over_the_file() {
    let (_folder, mut sources) =
        file("port = 1\nmode = 'machine'\n[oven]\nheat = 100.0\nlight = true\n");
    sources.environment = vec![
        ("BAKERY_PORT".into(), "2".into()),
        ("BAKERY_OVEN__HEAT".into(), "200".into()),
    ];
    sources.flags = vec![("port".into(), "3".into())];
    let bakery: Bakery = load(&sources).expect("loads");
    assert_eq!(
        (
            bakery.port,
            bakery.oven.heat,
            bakery.oven.light,
            bakery.mode
        ),
        (3, 200.0, true, Mode::Machine)
    );
}

#[test]
fn the_service_s_variable_may_name_the_file() {
    let (_folder, sources) = file("port = 1");
    let path = sources.file.expect("a file").display().to_string();
    assert_eq!(loaded(&[("BAKERY_CONFIG", &path)]).port, 1);
}

#[test]
fn an_alias_counts_when_the_preferred_name_is_not_set() {
    assert_eq!(loaded(&[("PEERS", "a")]).peers, Some(vec!["a".into()]));
    assert_eq!(
        loaded(&[("PEERS", "a"), ("BAKERY_PEERS", "b, c")]).peers,
        Some(vec!["b".into(), "c".into()])
    );
}

#[test]
fn an_empty_list_is_not_an_absent_one() {
    assert_eq!(loaded(&[]).peers, None);
    assert_eq!(loaded(&[("PEERS", "")]).peers, Some(vec![]));
    assert_eq!(
        loaded(&[("PEERS", "a"), ("BAKERY_PEERS", "")]).peers,
        Some(vec![])
    );
}

#[test]
fn an_empty_variable_is_the_same_as_none_where_there_is_no_list() {
    assert_eq!(
        loaded(&[("BAKERY_PORT", ""), ("SEAL_SECRET", "")]),
        Bakery::default()
    );
}

#[test]
fn lists_of_numbers_booleans_and_free_tables_come_from_variables() {
    let bakery = loaded(&[
        ("BAKERY_OVEN__TRAYS", "3,4"),
        ("BAKERY_OVEN__LIGHT", "true"),
        ("BAKERY_LABELS__REGION", "north"),
        ("BAKERY_SPARE__HEAT", "90"),
        ("BAKERY_PEERS", "[\"with, comma\"]"),
    ]);
    assert_eq!(bakery.oven.trays, [3, 4]);
    assert!(bakery.oven.light);
    assert_eq!(bakery.labels["region"], "north");
    assert_eq!(bakery.spare.expect("set").heat, 90.0);
    assert_eq!(bakery.peers, Some(vec!["with, comma".into()]));
}

#[test]
fn a_misspelt_variable_is_refused_with_the_right_one() {
    let error = refused(&with(&[("BAKERY_PROT", "1")]));
    assert!(
        error.contains("BAKERY_PROT") && error.contains("did you mean BAKERY_PORT?"),
        "{error}"
    );
}

#[test]
fn a_misspelt_key_of_the_file_is_refused_with_the_right_one() {
    let (_folder, sources) = file("[oven]\nheta = 1.0\n");
    let error = refused(&sources);
    assert!(
        error.contains("oven.heta") && error.contains("did you mean oven.heat?"),
        "{error}"
    );
}

#[test]
fn a_misspelt_flag_is_refused() {
    let sources = Sources {
        flags: vec![("prot".into(), "1".into())],
        ..Sources::default()
    };
    assert!(refused(&sources).contains("did you mean port?"));
}

#[test]
fn every_problem_is_reported_at_once() {
    let error = refused(&with(&[
        ("BAKERY_PROT", "1"),
        ("BAKERY_PORT", "many"),
        ("BAKERY_OVEN__LIGHT", "dim"),
    ]));
    for key in ["BAKERY_PROT", "port", "oven.light"] {
        assert!(error.contains(key), "{key} is missing in: {error}");
    }
}

#[test]
fn a_value_out_of_range_is_refused_with_its_key_and_origin() {
    let error = refused(&with(&[("BAKERY_PORT", "70000")]));
    assert!(
        error.contains("port") && error.contains("BAKERY_PORT"),
        "{error}"
    );
}

#[test]
fn what_validate_refuses_is_refused() {
    assert_eq!(
        refused(&with(&[("BAKERY_PORT", "0")])),
        "port: must not be 0"
    );
}

#[test]
fn a_secret_comes_from_a_file_without_its_newline() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("seal");
    std::fs::write(&path, "wax and string\n").expect("written");
    let path = path.display().to_string();
    assert_eq!(
        loaded(&[("SEAL_SECRET_FILE", &path)]).seal.expose(),
        "wax and string"
    );
    assert_eq!(
        loaded(&[("BAKERY_SEAL_FILE", &path)]).seal.expose(),
        "wax and string"
    );
    let code = loaded(&[("BAKERY_SPARE__CODE_FILE", &path)])
        .spare
        .expect("set")
        .code;
    assert_eq!(code.expect("set").expose(), "wax and string");
}

#[test]
fn a_secret_given_twice_is_refused() {
    let error = refused(&with(&[
        ("SEAL_SECRET", "a"),
        ("SEAL_SECRET_FILE", "/nowhere"),
    ]));
    assert!(
        error.contains("both SEAL_SECRET and SEAL_SECRET_FILE"),
        "{error}"
    );
}

#[test]
fn a_secret_file_that_is_missing_is_named() {
    let error =
        load::<Bakery>(&with(&[("SEAL_SECRET_FILE", "/nowhere/seal")])).expect_err("no such file");
    assert!(
        matches!(&error, SettingsError::Read { path, .. } if path.ends_with("nowhere/seal")),
        "{error}"
    );
}

#[test]
fn only_secrets_are_read_from_files() {
    let error = refused(&with(&[("BAKERY_PORT_FILE", "/nowhere")]));
    assert!(error.contains("BAKERY_PORT_FILE"), "{error}");
}

#[test]
fn secrets_are_redacted_in_the_effective_settings() {
    let bakery = loaded(&[("SEAL_SECRET", "hunter2"), ("BAKERY_OVEN__CODE", "hunter3")]);
    let shown = effective(&bakery);
    assert!(!shown.contains("hunter"), "{shown}");
    assert!(shown.contains("seal = \"[redacted]\""), "{shown}");
    assert!(!format!("{bakery:?}").contains("hunter"));
}

#[test]
fn the_example_file_loads_and_means_the_defaults() {
    let text = example::<Bakery>();
    let (_folder, sources) = file(&text);
    assert_eq!(
        load::<Bakery>(&sources).expect("the example loads"),
        Bakery::default()
    );
}

#[test]
fn the_example_file_still_loads_with_every_comment_taken_for_a_setting() {
    let is_setting = |line: &&str| line.contains(" = ") || line.starts_with('[');
    let uncommented = |line| str::strip_prefix(line, "# ").unwrap_or(line);
    let text = example::<Bakery>();
    let settings: Vec<&str> = text
        .lines()
        .map(uncommented)
        .filter(is_setting)
        .filter(|line| !line.contains("`"))
        .collect();
    let (_folder, sources) = file(&settings.join("\n"));
    load::<Bakery>(&sources).unwrap_or_else(|error| panic!("{error}\nin\n{}", settings.join("\n")));
}

#[test]
fn the_example_file_explains_every_key() {
    let text = example::<Bakery>();
    let expected = [
        "# Port to listen on.\n# Environment: BAKERY_PORT\nport = 8080\n",
        "# Environment: BAKERY_PEERS, PEERS\n# peers = []\n",
        "# Environment: SEAL_SECRET, BAKERY_SEAL\n# seal = \"\"\n",
        "# One of: hand, machine.\n# Environment: BAKERY_MODE\nmode = \"hand\"\n",
        "# The oven.\n[oven]\n",
        "# Environment: BAKERY_OVEN__HEAT\nheat = 220.5\n",
        "# [spare]\n",
    ];
    for part in expected {
        assert!(text.contains(part), "missing:\n{part}\nin:\n{text}");
    }
}

proptest! {
    #[test]
    fn no_value_of_a_variable_causes_a_panic(port in ".*", peers in ".*", heat in ".*", mode in ".*", label in ".*") {
        let variables = [("BAKERY_PORT", port), ("PEERS", peers), ("BAKERY_OVEN__HEAT", heat), ("BAKERY_MODE", mode), ("BAKERY_LABELS__X", label)];
        let _ = load::<Bakery>(&Sources::environment(variables));
    }

    #[test]
    fn every_port_survives_the_way_through_a_variable(port in 1_u16..) {
        prop_assert_eq!(loaded(&[("BAKERY_PORT", &port.to_string())]).port, port);
    }

    #[test]
    fn every_list_survives_the_way_through_a_variable(peers in prop::collection::vec("[a-z0-9.:-]{1,12}", 0..5)) {
        prop_assert_eq!(loaded(&[("PEERS", &peers.join(","))]).peers, Some(peers));
    }

    #[test]
    fn every_secret_survives_the_way_through_a_file(secret in "[^\r\n\0]{1,64}") {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("seal");
        std::fs::write(&path, format!("{secret}\n")).expect("written");
        prop_assume!(secret != "[redacted]");
        let bakery = loaded(&[("SEAL_SECRET_FILE", &path.display().to_string())]);
        prop_assert_eq!(bakery.seal.expose(), secret);
    }

    #[test]
    fn an_unknown_variable_of_the_service_is_never_ignored(name in "[A-Z]{3,12}") {
        let name = format!("BAKERY_X{name}");
        prop_assert!(load::<Bakery>(&Sources::environment([(name, "1")])).is_err());
    }
}
