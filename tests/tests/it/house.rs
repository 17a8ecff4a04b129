//! The repository keeps its own rules.

use std::path::Path;

use tests::house::House;

#[test]
fn the_repository_breaks_no_rule_of_the_house() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let house = House::read(&root).expect("the repository can be read");

    let violations: Vec<String> = house.violations().iter().map(ToString::to_string).collect();

    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

#[test]
fn the_rules_see_the_whole_repository() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let house = House::read(&root).expect("the repository can be read");

    let names: Vec<&str> = house.crates.iter().map(|ours| ours.name.as_str()).collect();
    for name in ["kit", "consensus", "provchain", "devcluster", "tests"] {
        assert!(names.contains(&name), "{name} is not among {names:?}");
    }
    for path in ["Makefile", ".ci/run", "README.md", "tests/src/house.rs"] {
        assert!(house.tree.holds(path), "{path} was not read");
    }
    assert!(!house.tree.holds("target"), "what was built is not source");
}
