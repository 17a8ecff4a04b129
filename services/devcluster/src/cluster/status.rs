//! A cluster at a glance.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::cluster::Cluster;

/// One node at a glance; `devcluster status --json` prints an array of these.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct Status {
    /// The system.
    pub system: String,
    /// The node's name.
    pub node: String,
    /// Its process; `null` when it does not run.
    pub pid: Option<u32>,
    /// The numbers of its ports by name.
    pub ports: BTreeMap<String, u16>,
    /// Whether it takes itself for the leader.
    pub leader: bool,
    /// Whether its health is well now.
    pub healthy: bool,
}

impl Cluster {
    /// All nodes at a glance.
    pub async fn status(&self) -> Vec<Status> {
        let mut rows = Vec::new();
        for node in self.nodes() {
            let pid = node.pid();
            // Whoever answers on the port of a node that does not run is not the node.
            let answer = if pid.is_some() {
                node.health().await.ok()
            } else {
                None
            };
            rows.push(Status {
                system: self.system_name().to_owned(),
                node: node.name().to_owned(),
                pid,
                ports: node.plan.ports.clone(),
                leader: answer
                    .as_ref()
                    .is_some_and(|answer| answer.health.is_leader()),
                healthy: answer.is_some_and(|answer| answer.well),
            });
        }
        rows
    }
}

/// The rows as a table with a heading; colour only when asked for.
#[must_use]
pub fn table(rows: &[Status], coloured: bool) -> String {
    const HEADING: [&str; 6] = ["SYSTEM", "NODE", "PID", "PORTS", "LEADER", "HEALTHY"];
    let cells: Vec<[String; 6]> = std::iter::once(HEADING.map(str::to_owned))
        .chain(rows.iter().map(|row| {
            let ports = row
                .ports
                .iter()
                .map(|(name, port)| format!("{name}:{port}"));
            [
                row.system.clone(),
                row.node.clone(),
                row.pid
                    .map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
                ports.collect::<Vec<_>>().join(" "),
                (if row.leader { "leader" } else { "" }).to_owned(),
                (if row.healthy { "yes" } else { "no" }).to_owned(),
            ]
        }))
        .collect();
    let width = |column: usize| cells.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: [usize; 6] = std::array::from_fn(width);
    let mut text = String::new();
    for (line, row) in cells.iter().enumerate() {
        let padded = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        let plain = padded.collect::<Vec<_>>().join("  ").trim_end().to_owned();
        let colour = match line.checked_sub(1).map(|at| &rows[at]) {
            Some(row) if coloured && !row.healthy => Some("31"),
            None if coloured => Some("1"),
            _ => None,
        };
        match colour {
            Some(code) => text.push_str(&format!("\x1b[{code}m{plain}\x1b[0m\n")),
            None => text.push_str(&format!("{plain}\n")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(node: &str, pid: Option<u32>) -> Status {
        Status {
            system: "toy".to_owned(),
            node: node.to_owned(),
            pid,
            ports: [("api".to_owned(), 18080)].into(),
            leader: node == "node1",
            healthy: pid.is_some(),
        }
    }

    #[test]
    fn the_table_lines_up_and_is_plain_unless_colour_is_asked_for() {
        let rows = [row("node1", Some(7)), row("node10", None)];
        assert_eq!(
            table(&rows, false),
            "SYSTEM  NODE    PID  PORTS      LEADER  HEALTHY\n\
             toy     node1   7    api:18080  leader  yes\n\
             toy     node10  -    api:18080          no\n"
        );
        assert!(table(&rows, true).contains("\x1b[31mtoy     node10"));
    }

    #[test]
    fn the_json_has_the_promised_fields() {
        assert_eq!(
            serde_json::to_value(row("node1", None)).expect("plain data"),
            serde_json::json!({
                "system": "toy", "node": "node1", "pid": null, "ports": {"api": 18080},
                "leader": true, "healthy": false,
            })
        );
    }
}
