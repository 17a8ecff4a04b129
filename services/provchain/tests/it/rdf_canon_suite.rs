//! The W3C's tests of RDFC-1.0 (the repository w3c/rdf-canon).

use std::collections::BTreeMap;

use provchain::rdf::{HashFunction, Limits, RdfError, rdfc10_with_map};
use serde_json::Value;

use super::suites;

#[test]
fn every_case_of_the_canonicalization_suite_holds() {
    let Some(folder) = suites::folder("RDF_CANON_SUITE", "W3C RDFC-1.0") else {
        return;
    };
    let tests = folder.join("tests");
    let manifest: Value = serde_json::from_str(&suites::text(&tests.join("manifest.jsonld")))
        .expect("the manifest is JSON");
    let entries = manifest["entries"]
        .as_array()
        .expect("the manifest has entries");
    let mut counts = BTreeMap::<&str, usize>::new();
    for entry in entries {
        let name = entry["id"].as_str().expect("an id");
        let input = suites::text(&tests.join(entry["action"].as_str().expect("an action")));
        let hash = match entry["hashAlgorithm"].as_str() {
            Some("SHA384") => HashFunction::Sha384,
            _ => HashFunction::Sha256,
        };
        let outcome = rdfc10_with_map(&input, hash, &Limits::default());
        let expected = || suites::text(&tests.join(entry["result"].as_str().expect("a result")));
        let kind = entry["type"].as_str().expect("a type");
        match kind {
            "rdfc:RDFC10EvalTest" => {
                let (canonical, _) = outcome.unwrap_or_else(|error| panic!("{name}: {error}"));
                assert_eq!(canonical, expected(), "{name}");
            }
            "rdfc:RDFC10MapTest" => {
                let (_, issued) = outcome.unwrap_or_else(|error| panic!("{name}: {error}"));
                let map: BTreeMap<String, String> =
                    serde_json::from_str(&expected()).expect("a map of labels");
                assert_eq!(issued, map, "{name}");
            }
            "rdfc:RDFC10NegativeEvalTest" => {
                assert_eq!(outcome.expect_err(name), RdfError::Poison, "{name}");
            }
            other => panic!("{name} is of the unknown type {other}"),
        }
        *counts.entry(kind).or_default() += 1;
    }
    println!(
        "W3C RDFC-1.0: {} of {} cases, {counts:?}",
        entries.len(),
        entries.len()
    );
    assert!(entries.len() >= 86, "the suite is incomplete");
}
