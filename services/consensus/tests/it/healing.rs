//! Followers behind wires that carry nothing for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::harness::Field;
use crate::register::Command;

/// Writers at work beside what is done to the wires.
const WRITERS: usize = 8;
const BALLAST_BYTES: usize = 4 << 10;

#[test]
fn a_follower_catches_up_after_every_cut_however_long() {
    let field = Field::wired(3);
    let follower = field.follower();
    let done = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (seat, done) = (field.nodes[field.leader()].seat(), Arc::clone(&done));
            std::thread::spawn(move || {
                let command = Command {
                    name: format!("register {writer}"),
                    value: 1,
                    add: true,
                    ballast: vec![7; BALLAST_BYTES],
                };
                while !done.load(Ordering::Relaxed) {
                    let command = command.clone();
                    // What is lost with the leadership is not this test's subject.
                    drop(seat.ask(async move |cluster| cluster.propose(&command).await));
                }
            })
        })
        .collect();
    for tenths in [3, 7, 11, 14, 17, 21, 25, 29, 33, 37, 45] {
        field.wires().isolate(follower, 3);
        std::thread::sleep(Duration::from_millis(100 * tenths));
        field.wires().heal();
        let written = field.nodes[field.leader()].cluster().status().applied_index;
        field.nodes[follower].wait_for(
            &format!("what was written in {tenths} tenths of a second"),
            |cluster| cluster.status().applied_index >= written,
        );
    }
    done.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.join().unwrap();
    }
    field.assert_equal();
}
