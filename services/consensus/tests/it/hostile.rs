//! What a member could send by mistake, or by a fault, stops nobody.

use bytes::Bytes;
use consensus::testing::wire;
use prost::Message as _;
use tonic::Code;

use crate::caller::{Caller, id_of};
use crate::harness::{Field, database};
use crate::register::{add, set};

pub fn log_id(term: u64, leader: u64, index: u64) -> wire::LogId {
    wire::LogId {
        term,
        leader,
        index,
    }
}

pub fn vote(term: u64, node: u64, committed: bool) -> wire::Vote {
    wire::Vote {
        term,
        node,
        committed,
    }
}

/// The place of a follower in a field of three, a caller that speaks to it as its leader, and the
/// leader's vote.
pub fn as_leader(field: &Field) -> (usize, Caller, wire::Vote) {
    let leader = field.leader();
    let follower = (leader + 1) % 3;
    let id = id_of(&field.nodes[leader]);
    let term = field.nodes[leader].cluster().status().term;
    let caller = Caller::member(id, &field.nodes[follower]);
    (follower, caller, vote(term, id, true))
}

fn entry(id: wire::LogId, payload: Option<wire::entry::Payload>) -> Bytes {
    let log_id = Some(id);
    wire::Entry { log_id, payload }.encode_to_vec().into()
}

fn blank(id: wire::LogId) -> Bytes {
    entry(id, Some(wire::entry::Payload::Blank(true)))
}

/// An entry whose membership has these sets of voters, and the one member `leader`.
fn members(id: wire::LogId, configs: Vec<Vec<u64>>) -> Bytes {
    let configs = configs
        .into_iter()
        .map(|ids| wire::Voters { ids })
        .collect();
    let members = [(id.leader, wire::Member::default())].into();
    let membership = wire::Membership { configs, members };
    entry(id, Some(wire::entry::Payload::Membership(membership)))
}

/// Requests to append that no leader makes; the log of `receiver` ends with `last`.
fn appends(
    valid: &wire::Vote,
    receiver: u64,
    last: wire::LogId,
) -> Vec<(&'static str, wire::AppendRequest)> {
    let (term, leader) = (valid.term, valid.node);
    let request = |vote, previous, entries, commit| wire::AppendRequest {
        vote,
        previous,
        entries,
        commit,
    };
    let voted = |vote| request(vote, Some(last), vec![], None);
    let with = |entries| request(Some(*valid), Some(last), entries, None);
    let behind = |previous, entries| request(Some(*valid), Some(previous), entries, None);
    let committed = |commit| request(Some(*valid), Some(last), vec![], Some(commit));
    let at = |index| log_id(term, leader, index);
    let next = |offset| at(last.index + offset);
    let far = 1 << 63;
    vec![
        ("no vote", voted(None)),
        ("a candidate's vote", voted(Some(vote(term, leader, false)))),
        ("another's vote", voted(Some(vote(term, 5, true)))),
        (
            "the receiver's own vote",
            voted(Some(vote(term + 1, receiver, true))),
        ),
        (
            "a term out of reach",
            voted(Some(vote(u64::MAX, leader, true))),
        ),
        ("a gap before the entries", with(vec![blank(next(2))])),
        (
            "a gap between the entries",
            with(vec![blank(next(1)), blank(next(3))]),
        ),
        ("an entry twice", with(vec![blank(next(1)), blank(next(1))])),
        (
            "entries backwards",
            with(vec![blank(next(2)), blank(next(1))]),
        ),
        (
            "a later leader's entry",
            with(vec![blank(log_id(term + 1, leader, last.index + 1))]),
        ),
        (
            "an earlier leader's entry",
            with(vec![blank(log_id(0, 0, last.index + 1))]),
        ),
        (
            "the past after the present",
            behind(log_id(0, 9, last.index + 5), vec![]),
        ),
        ("an index out of reach", behind(at(u64::MAX), vec![])),
        (
            "an entry out of reach",
            behind(at(far - 1), vec![blank(at(far))]),
        ),
        ("a commit out of reach", committed(at(u64::MAX))),
        (
            "a later leader's commit",
            committed(log_id(term + 1, leader, last.index)),
        ),
        (
            "an entry that is none",
            with(vec![Bytes::from_static(b"\xff\xff\xff")]),
        ),
        ("an empty entry", with(vec![Bytes::new()])),
        (
            "an entry without a payload",
            with(vec![entry(next(1), None)]),
        ),
        (
            "a membership without voters",
            with(vec![members(next(1), vec![])]),
        ),
        (
            "an empty set of voters",
            with(vec![members(next(1), vec![vec![]])]),
        ),
        (
            "voters that are no members",
            with(vec![members(next(1), vec![vec![4]])]),
        ),
    ]
}

#[test]
fn nothing_that_a_peer_sends_stops_a_node() {
    let field = Field::formed(3);
    field.nodes[0].propose(&set("a", 1)).unwrap();
    field.assert_equal();
    let (at, mut caller, valid) = as_leader(&field);
    let node = &field.nodes[at];
    let (term, leader, receiver) = (valid.term, valid.node, id_of(node));
    let last = log_id(term, leader, node.cluster().status().last_index);

    for (what, request) in appends(&valid, receiver, last) {
        let refused = caller.refused(node, "Append", vec![request]);
        assert_eq!(refused, Code::InvalidArgument, "{what}");
        assert_eq!(node.cluster().status().halted, None, "{what}");
    }
    let votes = [
        ("no vote", None),
        ("a vote that has won", Some(vote(term + 1, leader, true))),
        ("another's vote", Some(vote(term + 1, 5, false))),
        (
            "the receiver's own vote",
            Some(vote(term + 1, receiver, false)),
        ),
        ("a term out of reach", Some(vote(u64::MAX, leader, false))),
    ];
    for (what, asked) in votes {
        for pre_vote in [false, true] {
            let request = wire::VoteRequest {
                vote: asked,
                last: Some(last),
                leadership_transfer: true,
                pre_vote,
            };
            let refused = caller.refused(node, "Vote", vec![request]);
            assert_eq!(refused, Code::InvalidArgument, "{what}");
        }
        // For a transfer it is the other way round: only who has won may ask.
        let transfer = wire::TransferRequest {
            from: asked.map(|asked| vote(asked.term, asked.node, !asked.committed)),
            to: receiver,
            last: None,
        };
        let refused = caller.refused(node, "Transfer", vec![transfer]);
        assert_eq!(refused, Code::InvalidArgument, "{what}");
    }
    // In the receiver's own name, down to the call's headers.
    let request = wire::AppendRequest {
        vote: Some(vote(term + 1, receiver, true)),
        previous: Some(last),
        ..wire::AppendRequest::default()
    };
    let refused = Caller::member(receiver, node).refused(node, "Append", vec![request]);
    assert_eq!(refused, Code::InvalidArgument);

    assert_eq!(node.cluster().status().term, term, "no term was taken in");
    assert_eq!(field.nodes[0].propose(&add("a", 1)).unwrap(), 2);
    field.assert_equal();
}

/// Proposals that no node forwards, and one in order under a request id that cannot be.
fn proposals() -> Vec<Option<wire::Proposal>> {
    use wire::proposal::Kind;
    let of = |kind| {
        Some(wire::Proposal {
            kind: Some(kind),
            ..wire::Proposal::default()
        })
    };
    let far = wire::RequestId {
        session: u64::MAX,
        number: u64::MAX,
        settled_below: u64::MAX,
    };
    vec![
        None,
        Some(wire::Proposal::default()),
        of(Kind::RaiseVersion(9)),
        of(Kind::Command(Bytes::from_static(b"\xff\xff\xff\xff"))),
        of(Kind::Command(vec![0; (8 << 20) + 1].into())),
        Some(wire::Proposal {
            kind: Some(Kind::Command(add("a", 1).encode_to_vec().into())),
            request: Some(far),
            traceparent: "x".repeat(1000),
        }),
    ]
}

#[test]
fn no_proposal_of_a_peer_stops_the_cluster() {
    use wire::propose_response::Result as Answer;
    let field = Field::formed(1);
    let node = &field.nodes[0];
    let requests = proposals().into_iter().zip(1..);
    let requests = requests.map(|(proposal, id)| wire::ProposeRequest { id, proposal });
    let mut caller = Caller::member(7, node);
    let mut answers: Vec<wire::ProposeResponse> =
        caller.stream(node, "Propose", requests.collect()).unwrap();
    answers.sort_by_key(|answer| answer.id);
    let answers: Vec<Answer> = answers
        .into_iter()
        .filter_map(|answer| answer.result)
        .collect();
    assert_eq!(answers.len(), 6);
    for refused in &answers[..4] {
        assert!(matches!(refused, Answer::Refused(_)), "{refused:?}");
    }
    assert_eq!(answers[4], Answer::TooLarge(8 << 20));
    let Answer::Applied(applied) = &answers[5] else {
        panic!("{:?}", answers[5])
    };
    let expired = wire::outcome::Kind::Expired(true);
    let outcome = applied.outcome.as_ref().unwrap();
    assert_eq!(outcome.kind, Some(expired), "no such session was opened");
    let longest: usize = database(&node.config.data_dir.join("log.db"))
        .query_row("SELECT max(length(entry)) FROM log", [], |row| row.get(0))
        .unwrap();
    assert!(longest < 1000, "the trace is in the log");
    assert_eq!(node.read("a"), None);
    assert_eq!(node.propose(&add("a", 1)).unwrap(), 1);
}

#[test]
fn a_message_over_the_limit_is_refused_by_its_length() {
    let field = Field::formed(1);
    let node = &field.nodes[0];
    let mut caller = Caller::member(7, node);
    // Its length is looked at before it is read as anything.
    let command = wire::proposal::Kind::Command(vec![0; 80 << 20].into());
    let message = wire::Proposal {
        kind: Some(command),
        ..wire::Proposal::default()
    };
    for method in ["Append", "Vote", "Propose", "Snapshot", "Greet"] {
        let refused = caller.refused(node, method, vec![message.clone()]);
        assert_eq!(refused, Code::OutOfRange, "{method}");
    }
    assert_eq!(node.propose(&add("a", 1)).unwrap(), 1);
}
