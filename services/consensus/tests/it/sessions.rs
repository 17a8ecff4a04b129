//! Request ids: one effect and one reply, however often and wherever a request is tried.

use consensus::{ProposeError, RequestId, Session};

use crate::harness::{Field, Node, eventually, quick};
use crate::register::add;

fn open(node: &Node) -> Session {
    node.block_on(node.cluster().open_session()).unwrap()
}

fn request(session: Session, number: u64) -> RequestId {
    RequestId {
        session,
        number,
        settled_below: 0,
    }
}

fn once(node: &Node, request: RequestId) -> Result<i64, ProposeError> {
    let proposed = node.block_on(node.cluster().propose_once(request, &add("sum", 1)))?;
    Ok(proposed.reply.value)
}

#[test]
fn a_retry_has_no_second_effect_and_the_same_reply_anywhere_and_after_anything() {
    let mut field = Field::formed_with(
        3,
        &consensus::Settings {
            log_keep_entries: 10,
            ..quick()
        },
    );
    let session = open(&field.nodes[0]);
    for number in 1..=3 {
        assert_eq!(
            once(&field.nodes[0], request(session, number)).unwrap(),
            number as i64
        );
    }
    // On every node.
    for node in &field.nodes {
        assert_eq!(once(node, request(session, 2)).unwrap(), 2);
    }
    // After the leader's crash.
    let leader = field.leader();
    field.nodes[leader].crash();
    let (next, away) = ((leader + 1) % 3, leader);
    assert_eq!(once(&field.nodes[next], request(session, 2)).unwrap(), 2);
    // On a node that knows of it from a snapshot alone.
    for _ in 0..40 {
        field.nodes[next].propose(&add("other", 1)).unwrap();
    }
    for place in (0..3).filter(|place| *place != away) {
        let node = &field.nodes[place];
        let snapshot = consensus::ClusterCommand::Snapshot;
        let run = consensus::run_command(&node.config, "register", &node.config.address, snapshot);
        node.block_on(run).unwrap();
        node.wait_for("the log is short", |cluster| {
            cluster.status().first_index > 20
        });
    }
    field.nodes[away].start();
    field.nodes[away].wait_ready();
    eventually("it leads and answers from what it was sent", || {
        let name = Some(field.nodes[away].config.name.clone());
        let node = &field.nodes[next];
        let transfer = consensus::ClusterCommand::Transfer { name };
        let run = consensus::run_command(&node.config, "register", &node.config.address, transfer);
        drop(node.block_on(run));
        field.leader() == away
    });
    assert_eq!(once(&field.nodes[away], request(session, 2)).unwrap(), 2);
    assert_eq!(field.nodes[away].read("sum"), Some(3));
    field.assert_equal();
}

#[test]
fn what_is_settled_or_was_never_opened_is_refused_as_expired() {
    let field = Field::formed(1);
    let node = &field.nodes[0];
    let session = open(node);
    for number in 1..=3 {
        once(node, request(session, number)).unwrap();
    }
    let settling = RequestId {
        settled_below: 3,
        ..request(session, 4)
    };
    assert_eq!(once(node, settling).unwrap(), 4);
    assert_eq!(once(node, request(session, 2)), Err(ProposeError::Expired));
    assert_eq!(
        once(node, request(session, 3)).unwrap(),
        3,
        "this one is not settled"
    );
    assert_eq!(
        once(node, request(Session(0), 1)),
        Err(ProposeError::Expired)
    );
    // Numbers that cannot be stored are refused like any other, and stop nobody.
    for request in [
        request(Session(u64::MAX), 1),
        request(session, u64::MAX),
        RequestId {
            settled_below: u64::MAX,
            ..request(session, 5)
        },
    ] {
        assert_eq!(once(node, request), Err(ProposeError::Expired));
    }
    // A client that never settles loses its oldest replies, and only those.
    assert_eq!(once(node, request(session, 2000)).unwrap(), 5);
    assert_eq!(once(node, request(session, 3)), Err(ProposeError::Expired));
    assert_eq!(node.read("sum"), Some(5));
}

#[test]
fn one_session_too_many_pushes_out_the_one_that_rested_longest_on_every_node() {
    let field = Field::formed(2);
    let node = &field.nodes[field.leader()];
    let sessions: Vec<Session> = node.block_on(async {
        let opened = (0..4096).map(|_| node.cluster().open_session());
        let opened = futures_util::future::join_all(opened).await;
        let mut opened: Vec<Session> = opened.into_iter().map(Result::unwrap).collect();
        opened.sort_by_key(|session| session.0);
        opened
    });
    // The oldest is used, and so the second one has rested longest.
    once(node, request(sessions[0], 1)).unwrap();
    open(node);
    assert_eq!(
        once(node, request(sessions[1], 1)),
        Err(ProposeError::Expired)
    );
    assert_eq!(
        once(node, request(sessions[0], 1)).unwrap(),
        1,
        "it still knows its reply"
    );
    assert_eq!(once(node, request(sessions[2], 1)).unwrap(), 2);
    field.assert_equal();
    for node in &field.nodes {
        let count = node.read_local(|state| {
            state.query_row("SELECT count(*) FROM consensus_session", [], |row| {
                row.get::<_, u32>(0)
            })
        });
        assert_eq!(count, 4096);
    }
}
