//! Which crate may depend on which, and what every manifest must say.

use super::{Crate, DependencyKind, House, Violation};

/// The licence expression of every crate.
pub const LICENSE: &str = "Apache-2.0 OR MIT";

/// Where a crate stands. Dependencies run from the outside in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// What every process needs and no product knows.
    Kit,
    /// The replicated state machine under the stateful systems.
    Consensus,
    /// A product. Every crate that is not named here is one.
    System,
    /// Starts systems as processes; knows them through the catalogue only.
    Harness,
    /// Sees everything from outside.
    Tests,
}

impl Layer {
    /// The layer of the crate of this name.
    pub fn of(name: &str) -> Self {
        match name {
            "kit" => Self::Kit,
            "consensus" => Self::Consensus,
            "devcluster" => Self::Harness,
            "tests" => Self::Tests,
            _ => Self::System,
        }
    }

    /// The layers whose crates this one may use; in its own tests also those of the second list.
    fn may_use(self) -> (&'static [Self], &'static [Self]) {
        match self {
            Self::Kit => (&[], &[]),
            Self::Consensus => (&[Self::Kit], &[Self::Harness]),
            Self::System => (&[Self::Kit, Self::Consensus], &[Self::Harness]),
            Self::Harness => (&[Self::Kit], &[]),
            Self::Tests => (
                &[Self::Kit, Self::Consensus, Self::System, Self::Harness],
                &[],
            ),
        }
    }
}

/// A system uses consensus, which uses the kit; systems never use one another.
pub fn dependencies_run_one_way(house: &House) -> Vec<Violation> {
    let is_ours = |name: &str| house.crates.iter().any(|ours| ours.name == name);
    let mut violations = Vec::new();
    for ours in &house.crates {
        let (always, in_tests) = Layer::of(&ours.name).may_use();
        // A crate names itself in its dev-dependencies to test with a feature of its own.
        let others = ours.dependencies.iter().filter(|d| d.name != ours.name);
        for dependency in others.filter(|d| is_ours(&d.name)) {
            let layer = Layer::of(&dependency.name);
            let in_its_tests = dependency.kind == DependencyKind::Dev && in_tests.contains(&layer);
            if !always.contains(&layer) && !in_its_tests {
                violations.push(broken(
                    ours,
                    format!(
                        "{} may not depend on {}: dependencies run system → consensus → kit",
                        ours.name, dependency.name
                    ),
                ));
            }
        }
    }
    violations
}

/// No other crate can name a type of openraft, because no other crate depends on it.
pub fn openraft_stays_in_consensus(house: &House) -> Vec<Violation> {
    house
        .crates
        .iter()
        .filter(|ours| ours.name != "consensus")
        .filter(|ours| ours.dependencies.iter().any(|d| d.name == "openraft"))
        .map(|ours| {
            let message = "openraft is an alpha whose interface moves: only consensus may use it";
            broken(ours, message.to_owned())
        })
        .collect()
}

/// Every test binary is linked once more; one, with modules, is enough.
pub fn one_integration_test_binary_a_crate(house: &House) -> Vec<Violation> {
    house
        .crates
        .iter()
        .filter(|ours| ours.test_binaries.iter().any(|binary| binary != "it"))
        .map(|ours| {
            broken(
                ours,
                format!(
                    "integration tests are modules of tests/it.rs, found {}",
                    ours.test_binaries.join(", ")
                ),
            )
        })
        .collect()
}

/// Every crate carries the licence of the house, and the house carries both texts.
pub fn every_crate_is_licensed(house: &House) -> Vec<Violation> {
    let crates = house
        .crates
        .iter()
        .filter(|ours| ours.license.as_deref() != Some(LICENSE))
        .map(|ours| {
            broken(
                ours,
                format!("license.workspace = true ({LICENSE}) is missing"),
            )
        });
    let texts = ["LICENSE-APACHE", "LICENSE-MIT"]
        .into_iter()
        .filter(|path| house.tree.text(path).is_none_or(str::is_empty))
        .map(|path| Violation::new(path, 0, "the text of the licence is missing"));
    crates.chain(texts).collect()
}

fn broken(ours: &Crate, message: String) -> Violation {
    Violation::new(&ours.manifest(), 0, message)
}

#[cfg(test)]
mod tests {
    use super::super::testing::house_of;
    use super::*;
    use DependencyKind::{Dev, Normal};

    fn messages(crates: Vec<Crate>) -> Vec<String> {
        let house = House {
            crates,
            ..House::default()
        };
        let violations = dependencies_run_one_way(&house);
        violations.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_system_on_consensus_on_the_kit_is_welcome() {
        let found = messages(vec![
            Crate::named("kit", "services/kit")
                .with("tokio", Normal)
                .with("kit", Dev),
            Crate::named("consensus", "services/consensus").with("kit", Normal),
            Crate::named("ledger", "services/ledger")
                .with("consensus", Normal)
                .with("kit", Normal)
                .with("devcluster", Dev),
            Crate::named("devcluster", "services/devcluster").with("kit", Normal),
            Crate::named("tests", "tests")
                .with("ledger", Normal)
                .with("devcluster", Dev),
        ]);
        assert_eq!(found, [""; 0]);
    }

    #[test]
    fn every_arrow_in_the_wrong_direction_is_found() {
        let crates = ["kit", "consensus", "ledger", "rooms", "devcluster", "tests"];
        for (from, to) in [
            ("kit", "consensus"),
            ("kit", "devcluster"),
            ("consensus", "ledger"),
            ("ledger", "rooms"),
            ("ledger", "devcluster"),
            ("devcluster", "consensus"),
            ("devcluster", "ledger"),
            ("rooms", "tests"),
        ] {
            let crates = crates.map(|name| {
                let ours = Crate::named(name, name);
                if name == from {
                    ours.with(to, Normal)
                } else {
                    ours
                }
            });
            let found = messages(crates.to_vec());
            assert_eq!(found.len(), 1, "{from} → {to}: {found:?}");
            assert!(found[0].contains(&format!("{from} may not depend on {to}")));
        }
    }

    #[test]
    fn systems_do_not_meet_in_their_tests_either() {
        let found = messages(vec![
            Crate::named("ledger", "services/ledger").with("rooms", Dev),
            Crate::named("rooms", "services/rooms"),
        ]);
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn openraft_outside_consensus_is_found() {
        let house = House {
            crates: vec![
                Crate::named("consensus", "services/consensus").with("openraft", Normal),
                Crate::named("ledger", "services/ledger").with("openraft", Dev),
            ],
            ..House::default()
        };
        let found = openraft_stays_in_consensus(&house);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].path, "services/ledger/Cargo.toml");
    }

    #[test]
    fn a_second_test_binary_is_found() {
        let mut house = house_of(&[]);
        house.crates[0].test_binaries = vec!["it".to_owned()];
        assert!(one_integration_test_binary_a_crate(&house).is_empty());
        house.crates[0].test_binaries.push("smoke".to_owned());
        assert_eq!(one_integration_test_binary_a_crate(&house).len(), 1);
    }

    #[test]
    fn a_missing_licence_is_found() {
        let mut house = house_of(&[("LICENSE-APACHE", "text"), ("LICENSE-MIT", "text")]);
        assert!(every_crate_is_licensed(&house).is_empty());
        house.crates[1].license = None;
        house.tree = super::super::Tree::of(&[("LICENSE-MIT", "text")]);
        let found = every_crate_is_licensed(&house);
        assert_eq!(found[0].path, "services/consensus/Cargo.toml");
        assert_eq!(found[1].path, "LICENSE-APACHE");
    }
}
