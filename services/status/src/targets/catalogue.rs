//! Targets out of the catalogue: every node of every system, where it is by default.

use serde_json::Value;

use super::{Node, System, Targets, TargetsError, VERSION};

/// Where the nodes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Places {
    /// On this machine, at the development ports.
    Development,
    /// Each under a host name of its own, at the standard ports: `{name}`, `{role}`, `{index}` and
    /// `{system}` in the pattern stand for the node's.
    Hosts(String),
}

/// All nodes of the catalogue. Only what is needed of it is read, so that it may grow.
///
/// # Errors
/// The text is not a catalogue, or what comes out are no good targets.
pub fn from_catalogue(text: &str, places: &Places) -> Result<Targets, TargetsError> {
    let catalogue: Value = serde_json::from_str(text)?;
    let systems = catalogue["systems"].as_object();
    let systems = systems.ok_or_else(|| TargetsError::Content("it has no systems".to_owned()))?;
    let systems = systems.iter().map(|(name, system)| {
        of_system(name, system, places)
            .ok_or_else(|| TargetsError::Content(format!("{name} is not described as a system")))
    });
    let targets = Targets {
        version: VERSION,
        systems: systems.collect::<Result<_, _>>()?,
    };
    targets.check().map_err(TargetsError::Content)?;
    Ok(targets)
}

fn of_system(name: &str, system: &Value, places: &Places) -> Option<System> {
    let development = &system["development"];
    let base = development["port_base"].as_u64()?;
    let stride = development["port_stride"].as_u64()?;
    let mut found = System {
        name: name.to_owned(),
        summary: system["summary"].as_str()?.to_owned(),
        pages: None,
        nodes: Vec::new(),
    };
    let mut ordinal = 0;
    for role_name in system["start_order"].as_array()? {
        let role_name = role_name.as_str()?;
        let role = &system["roles"][role_name];
        for index in 1..=role["replicas"].as_u64()? {
            let fill = |pattern: &str, node: &str| {
                let pattern = pattern
                    .replace("{system}", name)
                    .replace("{role}", role_name);
                let pattern = pattern.replace("{index}", &index.to_string());
                pattern.replace("{name}", node)
            };
            let node_name = fill(role["node_name"].as_str()?, "");
            let host = match places {
                Places::Development => "127.0.0.1".to_owned(),
                Places::Hosts(pattern) => fill(pattern, &node_name),
            };
            let at = |port: &Value| match places {
                Places::Development => {
                    Some(base + ordinal * stride + port["development_offset"].as_u64()?)
                }
                Places::Hosts(_) => port["number"].as_u64(),
            };
            let health = &role["health"];
            let asked = &role["ports"][health["port"].as_str()?];
            let path = health["ready"].as_str().or(health["path"].as_str());
            let ask = match path {
                Some(path) => format!("http://{host}:{}{path}", at(asked)?),
                None => format!("tcp://{host}:{}", at(asked)?),
            };
            found.nodes.push(Node {
                name: node_name,
                role: role_name.to_owned(),
                place: host.clone(),
                ask,
            });
            if let Some(port) = pages(role) {
                let url = format!("http://{host}:{}/", at(port)?);
                found.pages.get_or_insert(url);
            }
            ordinal += 1;
        }
    }
    Some(found)
}

/// The port of a role that a person opens in a browser.
fn pages(role: &Value) -> Option<&Value> {
    let ports = role["ports"].as_object()?;
    ports.values().find(|port| {
        let to_clients = port["open_to"].as_array();
        let to_clients = to_clients.is_some_and(|to| to.iter().any(|to| to == "clients"));
        to_clients && port["scheme"] == "http"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CATALOGUE: &str = include_str!("../../../../infra/catalogue.json");

    fn asked(places: &Places) -> Vec<String> {
        let targets = from_catalogue(CATALOGUE, places).expect("good targets");
        let nodes = targets.nodes();
        nodes
            .map(|(system, node)| format!("{} {} {}", system.name, node.name, node.ask))
            .collect()
    }

    #[test]
    fn every_node_of_the_catalogue_is_listed_where_it_is() {
        let here = asked(&Places::Development);
        for line in [
            "provchain node2 http://127.0.0.1:18090/readyz",
            "web web3 http://127.0.0.1:18320/health",
            "web database tcp://127.0.0.1:18330",
            "web status http://127.0.0.1:18340/readyz",
        ] {
            assert!(here.contains(&line.to_owned()), "{line} in {here:?}");
        }
        let there = asked(&Places::Hosts("{name}.{system}.example".to_owned()));
        let line = "provchain node2 http://node2.provchain.example:8080/readyz";
        assert!(there.contains(&line.to_owned()), "{line} in {there:?}");
    }

    #[test]
    fn what_is_no_catalogue_is_said_so() {
        for text in ["[]", r#"{"systems":{"a":{}}}"#] {
            assert!(
                from_catalogue(text, &Places::Development).is_err(),
                "{text}"
            );
        }
    }
}
