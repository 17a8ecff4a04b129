//! Losing power, and disks that fail or lie.

use std::collections::BTreeMap;

use consensus::ProposeError;
use consensus::testing::Power;

use crate::harness::{Field, Seat};
use crate::register::{Register, add};

/// A field of three on one faulty power line.
fn field_on(power: &Power) -> Field {
    let mut field = Field::new();
    for _ in 0..3 {
        field.add_node(crate::harness::quick()).power = Some(power.clone());
    }
    field.start_all();
    field
}

/// Adds to a register of its own until nothing is acknowledged any more; gives the last value that
/// was.
fn write(seat: &Seat<Register>, name: String, mut acknowledged: i64) -> (String, i64) {
    loop {
        let command = add(&name, 1);
        let written = seat.ask(|cluster| async move { cluster.propose(&command).await });
        match written {
            Some(Ok(proposed)) => acknowledged = proposed.reply.value,
            _ => return (name, acknowledged),
        }
    }
}

/// Writes with several clients, cuts the power of all nodes at some moment, and starts them again;
/// gives what was acknowledged, by register.
fn write_until_the_power_is_cut(
    field: &mut Field,
    power: &Power,
    known: &mut BTreeMap<String, i64>,
) {
    let begun = field.nodes[0].cluster().status().applied_index;
    let writers: Vec<_> = (0..6)
        .map(|writer| {
            let seat = field.nodes[writer % 3].seat();
            let name = format!("w{writer}");
            let acknowledged = known.get(&name).copied().unwrap_or(0);
            std::thread::spawn(move || write(&seat, name, acknowledged))
        })
        .collect();
    let moment = begun + rand::random_range(30..300);
    field.nodes[0].wait_for("the moment", |cluster| {
        cluster.status().applied_index >= moment
    });
    power.cut();
    field.crash_all();
    known.extend(writers.into_iter().map(|writer| writer.join().unwrap()));
    // The state's write-ahead log is not synced between checkpoints: it may be gone too.
    for node in &field.nodes {
        for file in node.state_files() {
            let name = file.to_string_lossy();
            if name.ends_with("-wal") || name.ends_with("-shm") {
                std::fs::remove_file(&file).unwrap();
            }
        }
    }
}

/// The registers in which less is found than was acknowledged.
fn lost(field: &Field, acknowledged: &BTreeMap<String, i64>) -> Vec<String> {
    let mut lost = Vec::new();
    for (name, value) in acknowledged {
        let found = field.nodes[0].read(name).unwrap_or(0);
        if found < *value {
            lost.push(format!("{name}: {found} of {value}"));
        }
    }
    lost
}

#[test]
fn every_acknowledged_write_survives_a_power_cut_of_all_nodes() {
    let mut power = Power::on();
    let mut field = field_on(&power);
    let mut acknowledged = BTreeMap::new();
    for _ in 0..3 {
        write_until_the_power_is_cut(&mut field, &power, &mut acknowledged);
        power = Power::on();
        for node in &mut field.nodes {
            node.power = Some(power.clone());
        }
        field.start_all();
        assert_eq!(lost(&field, &acknowledged), Vec::<String>::new());
        field.assert_equal();
    }
    assert!(acknowledged.values().sum::<i64>() > 30, "{acknowledged:?}");
}

#[test]
fn a_disk_that_lies_about_syncing_is_caught_by_the_same_look() {
    let power = Power::on();
    let mut field = field_on(&power);
    power.lie();
    let mut acknowledged = BTreeMap::new();
    write_until_the_power_is_cut(&mut field, &power, &mut acknowledged);
    for node in &mut field.nodes {
        node.power = None;
    }
    field.start_all();
    let lost = lost(&field, &acknowledged);
    assert!(!lost.is_empty(), "nothing was lost of {acknowledged:?}");
}

#[test]
fn nobody_knows_what_became_of_a_write_whose_sync_has_failed() {
    let mut field = Field::new();
    let power = Power::on();
    field.add_node(crate::harness::quick()).power = Some(power.clone());
    field.start_all();
    let node = &field.nodes[0];
    assert_eq!(node.propose(&add("sum", 1)).unwrap(), 1);
    power.fail_next_sync();
    let refused = node.propose(&add("sum", 1)).unwrap_err();
    assert!(matches!(refused, ProposeError::Unknown(_)), "{refused:?}");
    node.halted();
    // Once it has stopped, what comes has certainly no effect.
    let refused = node.propose(&add("sum", 1)).unwrap_err();
    assert!(matches!(refused, ProposeError::Halted(_)), "{refused:?}");
}

#[test]
fn a_failed_sync_stops_its_node_for_good_and_the_others_go_on() {
    let mut field = Field::new();
    for _ in 0..3 {
        field.add_node(crate::harness::quick()).power = Some(Power::on());
    }
    field.start_all();
    let failing = field.leader();
    let other = (failing + 1) % 3;
    field.nodes[other].propose(&add("sum", 1)).unwrap();
    field.nodes[failing]
        .power
        .as_ref()
        .unwrap()
        .fail_next_sync();
    // Acknowledged by the other two, or not at all.
    let first = field.nodes[other].propose(&add("sum", 1));
    let reason = field.nodes[failing].halted();
    assert!(reason.contains("the disk has failed"), "{reason}");
    assert_eq!(field.nodes[failing].cluster().unready(), Some(reason));
    assert!(
        !field.nodes[failing].cluster().leads()
            || field.nodes[failing].propose(&add("sum", 1)).is_err()
    );

    // The disk works again, and the node is not deceived by it.
    let next = field.leader_among(|place| place != failing);
    let sum = field.nodes[next].propose(&add("sum", 1)).unwrap();
    assert!(
        sum == 3 || (first.is_err() && sum == 2),
        "{first:?}, then {sum}"
    );
    assert!(field.nodes[failing].propose(&add("sum", 1)).is_err());
    assert!(field.nodes[failing].cluster().status().halted.is_some());

    // A restart reads what is really there.
    field.nodes[failing].crash();
    field.start_all();
    assert_eq!(field.nodes[failing].read("sum"), Some(sum));
    field.assert_equal();
}
