//! What an operator sees.

use consensus::testing::command_output;
use consensus::{ClusterCommand, Status};
use kit::settings::Secret;
use serde_json::Value;

use crate::harness::{Field, PATIENCE, free_address};
use crate::register::set;

fn output(field: &Field, command: ClusterCommand) -> Result<String, String> {
    let node = &field.nodes[0];
    node.block_on(command_output(
        &node.config,
        "register",
        &node.config.address,
        command,
        false,
    ))
}

#[test]
fn status_is_a_table_for_people_and_json_for_machines() {
    let field = Field::formed(2);
    field.nodes[0].propose(&set("a", 1)).unwrap();
    crate::harness::eventually("both are seen", || {
        field.nodes[0]
            .cluster()
            .status()
            .members
            .iter()
            .all(|member| member.reachable)
    });
    let table = output(&field, ClusterCommand::Status { json: false }).unwrap();
    for words in [
        &field.nodes[0].cluster().id(),
        "network test",
        "version 1",
        "NAME",
        "leader",
        "follower",
        "n1",
        "n2",
    ] {
        assert!(table.contains(words), "{words}: {table}");
    }
    assert!(!table.contains('\x1b'), "no colours where nobody sees them");

    let json = output(&field, ClusterCommand::Status { json: true }).unwrap();
    let value: Value = serde_json::from_str(&json).unwrap();
    let keys: Vec<&str> = value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        keys,
        [
            "name",
            "id",
            "cluster",
            "network",
            "role",
            "leader",
            "term",
            "last_index",
            "committed_index",
            "applied_index",
            "durable_index",
            "first_index",
            "version",
            "version_supported",
            "state_bytes",
            "disk_free_bytes",
            "writes_refused",
            "changing",
            "members",
            "halted"
        ]
    );
    let keys: Vec<&str> = value["members"][0]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        keys,
        [
            "name",
            "id",
            "address",
            "voter",
            "reachable",
            "round_trip_ms",
            "lag",
            "version_supported"
        ]
    );
    let status: Status = serde_json::from_str(&json).unwrap();
    assert_eq!(status.name, "n1");
    assert_eq!(status.members.len(), 2);
}

#[test]
fn every_command_says_what_it_did_or_why_it_did_not() {
    let mut field = Field::formed(3);
    let snapshot = output(&field, ClusterCommand::Snapshot).unwrap();
    assert!(snapshot.contains("n1 takes a snapshot"), "{snapshot}");
    let to = field.nodes[field.follower()].config.name.clone();
    let transfer = output(
        &field,
        ClusterCommand::Transfer {
            name: Some(to.clone()),
        },
    )
    .unwrap();
    assert_eq!(transfer, format!("{to} leads now\n"));
    let absent = output(
        &field,
        ClusterCommand::Add {
            address: free_address(),
        },
    )
    .unwrap_err();
    assert!(absent.contains("does not answer"), "{absent}");
    let unknown = output(&field, ClusterCommand::Remove { name: "n9".into() }).unwrap_err();
    assert!(
        unknown.contains("\"n9\" is no member; members are"),
        "{unknown}"
    );
    let removed = output(&field, ClusterCommand::Remove { name: "n3".into() }).unwrap();
    assert!(removed.starts_with("n3 was removed"), "{removed}");
    field.nodes[2].halted();

    // Without the secret there is nothing to see.
    let mut config = field.nodes[0].config.clone();
    config.secret = Secret::new("not the secret of the cluster at all");
    let status = ClusterCommand::Status { json: true };
    let asked = command_output(&config, "register", &config.address, status, false);
    let refused = field.nodes[0].block_on(asked).unwrap_err();
    assert!(
        refused.contains("is the cluster's secret the same"),
        "{refused}"
    );

    // Nor where nobody is, and it does not take for ever to say so.
    field.nodes[2].crash();
    let address = field.nodes[2].config.address.clone();
    let config = field.nodes[0].config.clone();
    let asked = command_output(
        &config,
        "register",
        &address,
        ClusterCommand::Snapshot,
        false,
    );
    let refused = field.nodes[0].block_on(async { tokio::time::timeout(PATIENCE, asked).await });
    assert!(refused.unwrap().unwrap_err().starts_with(&address));
}
