//! The examples of the reference implementation of event hash ids (the repository
//! RalphTro/epcis-event-hash-generator) have the hashes that stand beside them.

use std::path::{Path, PathBuf};

use provchain::epcis::event_hash::{Edition, event_hash_of, pre_hash_of};
use provchain::epcis::{Limits, capture};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::suites;

/// Examples that are not valid EPCIS, with a part of the reason.
const REFUSED: [(&str, &str); 1] = [
    // Lots and classes among the identifiers of single things.
    ("epclist_normalisation", "names a class or a lot"),
];

/// The hashes of an example, and whose reading of the standard they follow. Checkouts since 2026
/// keep them by edition, and earlier ones beside the example.
fn expected(examples: &Path, example: &Path) -> Option<(PathBuf, Edition)> {
    let beside = example.with_extension("hashes");
    let by_edition = examples
        .join("expected/CBV2.0")
        .join(beside.file_name().unwrap_or_default());
    if by_edition.is_file() {
        Some((by_edition, Edition::Reference2026))
    } else if beside.is_file() {
        Some((beside, Edition::Reference2025))
    } else {
        None
    }
}

/// The document without the fields that it tells the reference implementation to leave out: an
/// option of that program, which is not in the standard.
fn without_ignored_fields(mut document: Value) -> Value {
    let named = |value: &Value| -> Vec<String> {
        let members = value.as_object().into_iter().flatten();
        let fields = members.filter(|(key, _)| key.ends_with(":ignoreFields"));
        let names = fields.flat_map(|(_, fields)| fields.as_array().into_iter().flatten());
        names.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let ignored = [
        named(&document),
        named(&document["epcisBody"]["queryResults"]),
    ]
    .concat();
    let body = &mut document["epcisBody"];
    let lists = ["/eventList", "/queryResults/resultsBody/eventList"];
    for list in lists {
        let events = body.pointer_mut(list).and_then(Value::as_array_mut);
        for event in events.into_iter().flatten() {
            if let Value::Object(members) = event {
                members.retain(|name, _| !ignored.contains(name));
            }
        }
    }
    document
}

#[test]
fn every_valid_example_has_the_hashes_of_the_reference_implementation() {
    let Some(folder) = suites::folder("EVENT_HASH_SUITE", "EPCIS event hash ids") else {
        return;
    };
    let examples = folder.join("tests/examples");
    let limits = Limits::default();
    let (mut files, mut events, mut strings, mut stale) = (0, 0, 0, 0);
    let mut refused = Vec::new();
    for path in suites::files(&examples, &["jsonld", "json"]) {
        let Some((hashes_path, edition)) = expected(&examples, &path) else {
            continue;
        };
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        files += 1;
        let document = serde_json::from_str(&suites::text(&path)).expect("JSON");
        let body = serde_json::to_vec(&without_ignored_fields(document)).expect("JSON");
        let reason = REFUSED.iter().find(|(refused, _)| *refused == name);
        let document = match (capture::parse(&body, &limits), reason) {
            (Ok(document), None) => document,
            (Ok(_), Some(_)) => panic!("{name} is taken"),
            (Err(issues), Some((_, part))) => {
                assert!(
                    issues[0].to_string().contains(part),
                    "{name}: {}",
                    issues[0]
                );
                refused.push(format!("{name}: {}", issues[0]));
                continue;
            }
            (Err(issues), None) => panic!("{name}: {}", issues[0]),
        };
        let hashes = suites::text(&hashes_path);
        let hashes: Vec<&str> = hashes.split_whitespace().collect();
        assert_eq!(document.events.len(), hashes.len(), "{name}");
        let pre_hashes =
            std::fs::read_to_string(hashes_path.with_extension("prehashes")).unwrap_or_default();
        let pre_hashes: Vec<&str> = pre_hashes.lines().filter(|line| !line.is_empty()).collect();
        for (index, (event, hash)) in document.events.iter().zip(hashes).enumerate() {
            let found = pre_hash_of(event, edition).expect("short");
            if let Some(text) = pre_hashes.get(index) {
                // Some were not written again when the algorithm changed: their own hash tells.
                if hash.contains(&hex::encode(Sha256::digest(text))) {
                    assert_eq!(found, *text, "{name}, event {index}");
                    strings += 1;
                } else {
                    stale += 1;
                }
            }
            let id = event_hash_of(event, edition).expect("short");
            assert_eq!(id, hash, "{name}, event {index}: {found}");
            events += 1;
        }
    }
    assert!(events > 0, "no example is taken");
    println!(
        "EPCIS event hash ids: {} of {files} documents taken, {events} of {events} hashes equal; \
         {strings} pre-hash strings equal, {stale} of the suite's not those of its hashes",
        files - refused.len()
    );
    for refusal in refused {
        println!("refused: {refusal}");
    }
}
