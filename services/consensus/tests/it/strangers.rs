//! Who does not belong to the cluster has no say in it.

use std::io::{Read as _, Write as _};

use consensus::testing::wire;
use tonic::Code;

use crate::caller::{Caller, hello, id_of, send};
use crate::harness::{Field, eventually};
use crate::hostile::{log_id, vote};

/// A candidacy of a far term: whoever takes it in changes its own term.
fn candidacy(from: u64, term: u64) -> wire::VoteRequest {
    wire::VoteRequest {
        vote: Some(vote(term, from, false)),
        last: Some(log_id(term - 1, from, 1 << 40)),
        leadership_transfer: true,
        pre_vote: false,
    }
}

/// Callers of whom one thing is not as it should be, and what they are told.
fn strangers(member: &Caller) -> Vec<(&'static str, Caller, Code)> {
    let with = |change: &dyn Fn(&mut Caller)| {
        let mut caller = member.another();
        change(&mut caller);
        caller
    };
    let (unknown, misplaced) = (Code::Unauthenticated, Code::FailedPrecondition);
    vec![
        (
            "another network",
            with(&|caller| caller.network = "other".into()),
            unknown,
        ),
        (
            "another system",
            with(&|caller| caller.system = "foreign".into()),
            unknown,
        ),
        (
            "another secret",
            with(&|caller| caller.secret = "not the secret".into()),
            unknown,
        ),
        ("no MAC", with(&|caller| caller.signs = false), unknown),
        (
            "another cluster",
            with(&|caller| caller.cluster = "c0ffee".into()),
            misplaced,
        ),
        (
            "no cluster",
            with(&|caller| caller.cluster.clear()),
            misplaced,
        ),
        (
            "a call for another node",
            with(&|caller| caller.to ^= 1),
            misplaced,
        ),
        (
            "a call for nobody",
            with(&|caller| caller.to = 0),
            misplaced,
        ),
    ]
}

#[test]
fn whoever_does_not_belong_is_refused_and_changes_nothing() {
    let field = Field::formed(1);
    let node = &field.nodes[0];
    let before = node.cluster().status();
    let mut member = Caller::member(7, node);
    for (who, mut caller, code) in strangers(&member) {
        let told = |method, refused| assert_eq!(refused, code, "{who}: {method}");
        told(
            "Vote",
            caller.refused(node, "Vote", vec![candidacy(7, 1000)]),
        );
        told(
            "Append",
            caller.refused(node, "Append", vec![wire::AppendRequest::default()]),
        );
        told(
            "Snapshot",
            caller.refused(node, "Snapshot", vec![wire::SnapshotPart::default()]),
        );
        told(
            "Transfer",
            caller.refused(node, "Transfer", vec![wire::TransferRequest::default()]),
        );
        told(
            "Propose",
            caller.refused(node, "Propose", vec![wire::ProposeRequest::default()]),
        );
        told(
            "ReadIndex",
            caller.refused(node, "ReadIndex", vec![wire::ReadIndexRequest {}]),
        );
        if code == Code::Unauthenticated {
            told(
                "Greet",
                caller.refused(node, "Greet", vec![wire::Hello::default()]),
            );
            told(
                "Join",
                caller.refused(node, "Join", vec![wire::JoinRequest::default()]),
            );
            told(
                "Manage",
                caller.refused(node, "Manage", vec![wire::ManageRequest::default()]),
            );
            told(
                "Status",
                caller.refused(node, "Status", vec![wire::StatusRequest {}]),
            );
        }
    }
    let mut elsewhere = member.another();
    elsewhere.cluster = "c0ffee".into();
    // Asked by way of its own cluster, it would do so.
    let snapshot = wire::ManageRequest {
        action: Some(wire::manage_request::Action::Snapshot(true)),
    };
    let refused = elsewhere.refused(node, "Manage", vec![snapshot]);
    assert_eq!(refused, Code::FailedPrecondition);
    let after = node.cluster().status();
    assert_eq!(
        (before.term, before.last_index),
        (after.term, after.last_index)
    );

    // The same calls with everything in order do have an effect, or the above would prove nothing.
    let _: wire::VoteResponse = member.call(node, "Vote", candidacy(7, 1000)).unwrap();
    eventually("the term is taken in", || {
        node.cluster().status().term >= 1000
    });
}

#[test]
fn a_recorded_call_is_worth_nothing() {
    let field = Field::formed(1);
    let node = &field.nodes[0];
    let mut caller = Caller::member(7, node);
    // Learns the challenge.
    let _: wire::StatusResponse = caller.call(node, "Status", wire::StatusRequest {}).unwrap();
    let path = "/trivet.consensus.v1.Peer/Status";
    let recorded = caller.headers(path);
    let ask = || {
        let ask = vec![wire::StatusRequest {}];
        send::<_, _, wire::StatusResponse>(node, path, &recorded, ask).map(|answers| answers.len())
    };
    assert_eq!(ask().unwrap(), 1);
    assert_eq!(ask().unwrap_err().code(), Code::Unauthenticated);
    // Nor on another route.
    let path = "/trivet.consensus.v1.Peer/Manage";
    let snapshot = vec![wire::ManageRequest {
        action: Some(wire::manage_request::Action::Snapshot(true)),
    }];
    let replayed = send::<_, _, wire::ManageResponse>(node, path, &recorded, snapshot);
    assert_eq!(replayed.unwrap_err().code(), Code::Unauthenticated);
}

#[test]
fn a_greeting_of_another_network_or_format_is_refused() {
    let field = Field::formed(1);
    let node = &field.nodes[0];
    let mut caller = Caller::member(7, node);
    let who = hello(7, "n9", "127.0.0.1:1");
    let mut strange = vec![who.clone(); 3];
    strange[0].format = 2;
    strange[1].system = "foreign".into();
    strange[2].network = "other".into();
    for who in strange {
        let refused = caller.refused(node, "Greet", vec![who]);
        assert_eq!(refused, Code::FailedPrecondition);
    }
    let answer: wire::Hello = caller.call(node, "Greet", who).unwrap();
    assert_eq!((answer.name.as_str(), answer.id), ("n1", id_of(node)));
}

#[test]
fn a_node_of_another_system_network_or_cluster_is_not_let_in() {
    let field = Field::formed(1);
    let node = &field.nodes[0];
    let mut caller = Caller::newcomer(7, node);
    let who = hello(7, "n9", "127.0.0.1:1");
    let mut strange = vec![who.clone(); 3];
    strange[0].system = "foreign".into();
    strange[1].network = "other".into();
    strange[2].cluster = "c0ffee".into();
    for who in strange {
        let join = wire::JoinRequest { who: Some(who) };
        let refused = caller.refused(node, "Join", vec![join]);
        assert_eq!(refused, Code::FailedPrecondition);
    }
    assert_eq!(node.cluster().status().members.len(), 1);
    let join = wire::JoinRequest { who: Some(who) };
    let joined: wire::JoinResponse = caller.call(node, "Join", join).unwrap();
    assert_eq!(joined.cluster, node.cluster().id());
    assert_eq!(node.cluster().status().members.len(), 2);
}

#[test]
fn a_browser_on_a_peer_route_gets_a_problem_document() {
    let field = Field::formed(1);
    let address = &field.nodes[0].config.address;
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    write!(
        stream,
        "POST /trivet.consensus.v1.Peer/Vote HTTP/1.1\r\nhost: {address}\r\n\
         connection: close\r\ncontent-length: 0\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    for words in [
        "HTTP/1.1 401",
        "content-type: application/problem+json",
        "MAC",
    ] {
        assert!(answer.contains(words), "{answer}");
    }
}
