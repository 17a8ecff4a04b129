//! Builds of different age in one cluster.

use consensus::testing::wire;
use tonic::Code;

use crate::caller::{Caller, hello};
use crate::harness::{Field, Node, eventually, pause};
use crate::register::{Historian, add, set};

/// The node at `place` runs the next build from now on.
fn upgrade(field: &mut Field, place: usize) -> Node<Historian> {
    let node = &mut field.nodes[place];
    node.stop();
    let mut upgraded: Node<Historian> = Node::new(node.config.clone());
    upgraded.start();
    upgraded.wait_ready();
    upgraded
}

#[test]
fn the_version_rises_by_itself_once_every_member_has_said_that_it_can() {
    let mut field = Field::formed(3);
    field.nodes[0].propose(&set("a", 1)).unwrap();

    // Two of three run the next build, and write and read with the third.
    let mut upgraded = vec![upgrade(&mut field, 0), upgrade(&mut field, 1)];
    let old = &field.nodes[2];
    old.wait_for("it knows what the others can", |cluster| {
        let members = cluster.status().members;
        members
            .iter()
            .filter(|member| member.version_supported == Some(2))
            .count()
            == 2
    });
    assert_eq!(old.propose(&add("a", 1)).unwrap(), 2);
    assert_eq!(upgraded[0].propose(&add("a", 1)).unwrap(), 3);
    for node in &upgraded {
        assert_eq!(
            (
                node.cluster().status().version,
                node.cluster().status().version_supported
            ),
            (1, 2)
        );
    }
    assert_eq!(old.cluster().status().version, 1);

    // The third one upgraded, and one away: it might come back with the old build.
    let away = usize::from(upgraded[0].cluster().leads());
    upgraded[away].crash();
    let name = format!("n{}", away + 1);
    upgraded[1 - away].wait_for("it is missed", |cluster| {
        cluster
            .status()
            .members
            .iter()
            .any(|member| member.name == name && !member.reachable)
    });
    let third = upgrade(&mut field, 2);
    upgraded.push(third);
    let here = &upgraded[1 - away];
    here.wait_for("it knows what the third can", |cluster| {
        let members = cluster.status().members;
        members
            .iter()
            .filter(|member| member.reachable && member.version_supported == Some(2))
            .count()
            == 2
    });
    // Longer than whoever leads takes to look again, several times.
    for _ in 0..5 {
        here.propose(&add("a", 1)).unwrap();
        for _ in 0..20 {
            pause();
            assert_eq!(here.cluster().status().version, 1);
        }
    }

    // All are there.
    upgraded[away].start();
    for node in &upgraded {
        node.wait_for("version 2", |cluster| cluster.status().version == 2);
    }
    assert_eq!(upgraded[0].propose(&add("a", 1)).unwrap(), 9);
    for node in &upgraded {
        assert_eq!(node.read("a"), Some(9));
        let history = node.read_local(|state| {
            state.query_row("SELECT count(*) FROM history", [], |row| {
                row.get::<_, u32>(0)
            })
        });
        assert_eq!(
            history, 1,
            "what was written under version 2, and only that"
        );
    }
    eventually("equal states", || {
        let digests: Vec<_> = upgraded
            .iter()
            .map(|node| node.read_local(consensus::digest))
            .collect();
        digests.windows(2).all(|pair| pair[0] == pair[1])
    });

    // The old build can neither go on from this state nor join.
    let place = usize::from(upgraded[0].cluster().leads());
    upgraded[place].crash();
    let refusal = field.nodes[place].refusal();
    assert!(
        refusal.contains("version 2") && refusal.contains("run a newer build"),
        "{refusal}"
    );
    let here = &upgraded[1 - place];
    let mut newcomer = Caller::newcomer(77, here);
    let who = hello(77, "n9", "127.0.0.1:1");
    let join = wire::JoinRequest { who: Some(who) };
    assert_eq!(
        newcomer.refused(here, "Join", vec![join]),
        Code::FailedPrecondition
    );
    assert!(
        here.cluster()
            .status()
            .members
            .iter()
            .all(|member| member.name != "n9")
    );
}
