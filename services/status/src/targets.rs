//! What is watched: a small JSON file, made from the catalogue, from an inventory, or by hand.

mod catalogue;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use url::Url;

pub use catalogue::{Places, from_catalogue};

/// The version of the file's shape that is read.
pub const VERSION: u32 = 1;

/// More than these would not be asked within an interval, nor fit on a page.
const SYSTEMS_MAX: usize = 50;
const NODES_MAX: usize = 500;
const TEXT_CHARACTERS_MAX: usize = 200;

/// Everything that is watched.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Targets {
    /// The version of this shape: 1.
    pub version: u32,
    /// The systems, in the order in which they are shown.
    pub systems: Vec<System>,
}

/// One system.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct System {
    /// Its name: letters, digits, `.`, `_` and `-`.
    pub name: String,
    /// What it is, in a line.
    #[serde(default)]
    pub summary: String,
    /// Where its own pages are: a URL, or a path on this host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pages: Option<String>,
    /// Its nodes.
    pub nodes: Vec<Node>,
}

/// One node of a system.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Its name, one of its own in the system.
    pub name: String,
    /// What it does there.
    #[serde(default)]
    pub role: String,
    /// Where it runs, for people: a host, a zone, a rack.
    #[serde(default)]
    pub place: String,
    /// Where it is asked: `http://…` or `https://…` for an answer with a status of 2xx, or
    /// `tcp://host:port` for an accepted connection.
    pub ask: String,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TargetsError {
    /// Not JSON, or of another shape.
    #[error("not a file of targets: {0}")]
    Shape(#[from] serde_json::Error),
    /// Of the right shape, and wrong.
    #[error("{0}")]
    Content(String),
}

impl Targets {
    /// Reads and checks a file of targets.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse(text: &str) -> Result<Self, TargetsError> {
        let targets: Self = serde_json::from_str(text)?;
        targets.check().map_err(TargetsError::Content)?;
        Ok(targets)
    }

    /// All nodes, each with its system.
    pub fn nodes(&self) -> impl Iterator<Item = (&System, &Node)> {
        let of = |system| move |node| (system, node);
        self.systems
            .iter()
            .flat_map(move |system| system.nodes.iter().map(of(system)))
    }

    fn check(&self) -> Result<(), String> {
        if self.version != VERSION {
            return Err(format!("version {} where {VERSION} is read", self.version));
        }
        if self.systems.len() > SYSTEMS_MAX || self.nodes().count() > NODES_MAX {
            return Err(format!(
                "more than {SYSTEMS_MAX} systems or {NODES_MAX} nodes"
            ));
        }
        let mut systems = BTreeSet::new();
        for system in &self.systems {
            let inside = |problem: String| format!("system {:?}: {problem}", system.name);
            name(&system.name).map_err(inside)?;
            line(&system.summary, "summary").map_err(inside)?;
            if !systems.insert(&system.name) {
                return Err(inside("listed twice".to_owned()));
            }
            if let Some(pages) = &system.pages {
                let path = pages.starts_with('/') && !pages.starts_with("//");
                if !path {
                    http(pages, "pages").map_err(inside)?;
                }
            }
            let mut nodes = BTreeSet::new();
            for node in &system.nodes {
                let inside = |problem| inside(format!("node {:?}: {problem}", node.name));
                name(&node.name).map_err(inside)?;
                line(&node.role, "role").map_err(inside)?;
                line(&node.place, "place").map_err(inside)?;
                node.address().map_err(inside)?;
                if !nodes.insert(&node.name) {
                    return Err(inside("listed twice".to_owned()));
                }
            }
        }
        Ok(())
    }
}

/// How a node is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// For an answer with a status of 2xx.
    Http(Url),
    /// For an accepted connection: `host:port`.
    Tcp(String),
}

impl Node {
    /// How it is asked.
    ///
    /// # Errors
    /// Neither a URL of HTTP nor `tcp://host:port`.
    pub fn address(&self) -> Result<Address, String> {
        let Some(address) = self.ask.strip_prefix("tcp://") else {
            return http(&self.ask, "ask").map(Address::Http);
        };
        let port = address
            .rsplit_once(':')
            .map(|(_, port)| port.parse::<u16>());
        match port {
            Some(Ok(1..)) if address.len() <= TEXT_CHARACTERS_MAX => {
                Ok(Address::Tcp(address.to_owned()))
            }
            _ => Err(format!("ask: {:?} is not tcp://host:port", self.ask)),
        }
    }
}

fn http(text: &str, field: &str) -> Result<Url, String> {
    let wrong = || format!("{field}: {text:?} is not a URL of http or https without a password");
    let url = Url::parse(text).map_err(|_| wrong())?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.host().is_some()
        && url.username().is_empty()
        && url.password().is_none();
    if plain && text.len() <= 2 * TEXT_CHARACTERS_MAX {
        Ok(url)
    } else {
        Err(wrong())
    }
}

fn name(text: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if (1..=64).contains(&text.len()) && text.chars().all(fits) {
        Ok(())
    } else {
        Err("a name is 1 to 64 letters, digits, dots, underlines and hyphens".to_owned())
    }
}

fn line(text: &str, field: &str) -> Result<(), String> {
    if text.chars().count() <= TEXT_CHARACTERS_MAX && !text.chars().any(char::is_control) {
        Ok(())
    } else {
        Err(format!(
            "{field}: one line of at most {TEXT_CHARACTERS_MAX} characters"
        ))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn with(node: &serde_json::Value) -> String {
        json!({ "version": 1, "systems": [{ "name": "a", "nodes": [node] }] }).to_string()
    }

    #[test]
    fn a_file_says_whom_to_ask_and_how() {
        let text = with(&json!({ "name": "n1", "ask": "https://h:1/readyz" }));
        let targets = Targets::parse(&text).expect("a good file");
        let (system, node) = targets.nodes().next().expect("a node");
        assert_eq!((system.name.as_str(), node.name.as_str()), ("a", "n1"));
        assert!(matches!(node.address(), Ok(Address::Http(_))));
        let text = with(&json!({ "name": "n1", "ask": "tcp://[::1]:5432" }));
        let targets = Targets::parse(&text).expect("a good file");
        let (_, node) = targets.nodes().next().expect("a node");
        assert_eq!(node.address(), Ok(Address::Tcp("[::1]:5432".to_owned())));
    }

    #[test]
    fn what_cannot_be_asked_or_shown_is_refused_with_its_place() {
        for (node, reason) in [
            (json!({ "name": "n 1", "ask": "http://h/" }), "a name is"),
            (json!({ "name": "n", "ask": "file:///etc/passwd" }), "ask"),
            (json!({ "name": "n", "ask": "http://u:p@h/" }), "password"),
            (json!({ "name": "n", "ask": "tcp://h" }), "tcp://host:port"),
            (
                json!({ "name": "n", "ask": "tcp://h:0" }),
                "tcp://host:port",
            ),
            (
                json!({ "name": "n", "ask": "http://h/", "place": "a\nb" }),
                "place",
            ),
            (
                json!({ "name": "n", "ask": "http://h/", "port": 1 }),
                "unknown field",
            ),
        ] {
            let error = Targets::parse(&with(&node)).expect_err(reason).to_string();
            assert!(error.contains(reason), "{error}");
        }
        let error = Targets::parse(r#"{"version":2,"systems":[]}"#).expect_err("another version");
        assert!(error.to_string().contains("version 2"), "{error}");
        let pages = json!({ "version": 1, "systems": [{ "name": "a", "pages": "javascript:alert(1)", "nodes": [] }] });
        assert!(Targets::parse(&pages.to_string()).is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_fall(text in ".{0,200}") {
            let _ = Targets::parse(&text);
        }
    }
}
