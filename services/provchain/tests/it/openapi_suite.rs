//! Every path of GS1's EPCIS 2.0 OpenAPI document is served, or listed as not served.

use std::collections::BTreeSet;

use provchain::api::openapi;
use serde_json::Value;

use super::suites;

const METHODS: [&str; 6] = ["get", "post", "put", "patch", "delete", "options"];

/// Paths with their methods; what a variable is called does not matter.
fn operations(document: &Value) -> BTreeSet<(String, String)> {
    let paths = document["paths"].as_object().expect("paths");
    let operations = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().expect("operations").keys();
        let methods = methods.filter(|method| METHODS.contains(&method.as_str()));
        methods.map(|method| (unnamed(path), method.clone()))
    });
    operations.collect()
}

fn unnamed(path: &str) -> String {
    let elements = path.split('/').map(|element| {
        if element.starts_with('{') {
            "{}"
        } else {
            element
        }
    });
    elements.collect::<Vec<_>>().join("/")
}

/// What `docs/epcis-rest.md` says is not answered.
fn listed_as_unsupported() -> BTreeSet<(String, String)> {
    const DOCUMENT: &str = include_str!("../../../../docs/epcis-rest.md");
    let rows = DOCUMENT.lines().filter_map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [paths, methods, answered] = cells[..] else {
            return None;
        };
        let not = answered.starts_with("not there yet") || answered.starts_with("no:");
        not.then_some((quoted(paths), methods, quoted(methods)))
    });
    let mut unsupported = BTreeSet::new();
    for (paths, methods, named) in rows {
        for path in paths {
            if methods == "all" {
                unsupported.extend(METHODS.map(|method| (unnamed(&path), method.to_owned())));
            }
            let named = named.iter().map(|method| method.to_ascii_lowercase());
            unsupported.extend(named.map(|method| (unnamed(&path), method)));
        }
    }
    unsupported
}

/// What stands between backquotes.
fn quoted(cell: &str) -> Vec<String> {
    cell.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

#[test]
fn nothing_is_listed_as_unsupported_that_is_served() {
    let served = operations(&openapi::document());
    let unsupported = listed_as_unsupported();
    assert!(unsupported.contains(&("/nextPageToken/{}".to_owned(), "delete".to_owned())));
    let both: Vec<_> = served.intersection(&unsupported).collect();
    assert!(both.is_empty(), "{both:?}");
}

#[test]
fn every_path_of_the_standards_document_is_served_or_listed_as_unsupported() {
    let suite = "GS1's OpenAPI document of EPCIS 2.0";
    let Some(folder) = suites::folder("GS1_EPCIS_SUITE", suite) else {
        return;
    };
    let text = suites::text(&folder.join("REST Bindings/openapi.json"));
    let standard = operations(&serde_json::from_str(&text).expect("JSON"));
    assert!(standard.len() > 50, "the suite is incomplete");
    let served = operations(&openapi::document());
    let unsupported = listed_as_unsupported();
    let known = |operation: &&(String, String)| {
        served.contains(operation) || unsupported.contains(operation)
    };
    let unknown: Vec<_> = standard
        .iter()
        .filter(|operation| !known(operation))
        .collect();
    assert!(unknown.is_empty(), "neither served nor listed: {unknown:?}");
    let answered = standard.intersection(&served).count();
    println!(
        "GS1 OpenAPI: {answered} of {} operations served",
        standard.len()
    );
}
