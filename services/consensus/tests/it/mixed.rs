//! Messages of builds that are newer or older than this one: with more fields, of more kinds, or
//! with less.

use bytes::Bytes;
use consensus::testing::wire;
use prost::Message;
use tonic::Code;

use crate::caller::{Caller, id_of};
use crate::harness::{Field, Node};
use crate::hostile::{log_id, vote};
use crate::register::{add, set};

/// A field that this build does not know, as text.
const UNKNOWN: u32 = 99;

/// A message with a field that this build does not know behind it.
fn newer(message: &impl Message) -> Bytes {
    let mut bytes = message.encode_to_vec();
    prost::encoding::string::encode(UNKNOWN, &"of a newer build".to_owned(), &mut bytes);
    bytes.into()
}

/// A message whose fields are messages and bytes that are given encoded, by their numbers: what
/// generated types cannot hold.
fn of(fields: &[(u32, Bytes)]) -> Bytes {
    let mut bytes = Vec::new();
    for (number, content) in fields {
        prost::encoding::bytes::encode(*number, content, &mut bytes);
    }
    bytes.into()
}

/// A message of any bytes, to be sent as they are.
#[derive(Clone, Debug, Default)]
struct Encoded(Bytes);

impl Message for Encoded {
    fn encode_raw(&self, buffer: &mut impl prost::bytes::BufMut) {
        buffer.put_slice(&self.0);
    }

    fn merge_field(
        &mut self,
        _: u32,
        wire_type: prost::encoding::WireType,
        buffer: &mut impl prost::bytes::Buf,
        context: prost::encoding::DecodeContext,
    ) -> Result<(), prost::DecodeError> {
        prost::encoding::skip_field(wire_type, 1, buffer, context)
    }

    fn encoded_len(&self) -> usize {
        self.0.len()
    }

    fn clear(&mut self) {
        self.0 = Bytes::new();
    }
}

/// A node alone, the leader of a later term that speaks to it, and where its log ends.
struct Newer {
    field: Field,
    caller: Caller,
    term: u64,
    last: wire::LogId,
}

const LEADER: u64 = 7;

impl Newer {
    fn leads() -> Self {
        let field = Field::formed(1);
        let node = &field.nodes[0];
        node.propose(&set("a", 1)).unwrap();
        let status = node.cluster().status();
        let last = log_id(status.term, id_of(node), status.last_index);
        Self {
            caller: Caller::member(LEADER, node),
            term: status.term + 100,
            last,
            field,
        }
    }

    fn node(&self) -> &Node {
        &self.field.nodes[0]
    }

    /// An entry behind the last one.
    fn next(&self) -> wire::LogId {
        log_id(self.term, LEADER, self.last.index + 1)
    }

    /// A request to append entries, all of which are committed, with something unknown at every
    /// place that has any.
    fn append(&self, entries: &[Bytes]) -> Encoded {
        let vote = newer(&vote(self.term, LEADER, true));
        let mut fields = vec![(1, vote), (2, newer(&self.last))];
        fields.extend(entries.iter().map(|entry| (3, entry.clone())));
        fields.push((4, newer(&self.next())));
        fields.push((UNKNOWN, Bytes::from_static(b"of a newer build")));
        Encoded(of(&fields))
    }
}

fn command(name: &str, value: i64) -> wire::Proposal {
    let command = set(name, value).encode_to_vec().into();
    wire::Proposal {
        kind: Some(wire::proposal::Kind::Command(command)),
        ..wire::Proposal::default()
    }
}

#[test]
fn what_a_newer_build_says_beside_what_is_known_is_passed_over() {
    let newer_build = Newer::leads();
    let mut caller = newer_build.caller.another();
    let node = newer_build.node();
    let entry = of(&[
        (1, newer(&newer_build.next())),
        (3, newer(&command("a", 5))),
        (UNKNOWN, Bytes::new()),
    ]);
    let append = newer_build.append(&[entry]);
    let answers: Vec<wire::AppendResponse> = caller.stream(node, "Append", vec![append]).unwrap();
    let flushed = wire::append_response::Result::Flushed(wire::Flushed {
        log_id: Some(newer_build.next()),
    });
    assert_eq!(answers[0].result, Some(flushed));
    // It goes on alone with what it was sent.
    node.wait_for("it leads again", |cluster| {
        cluster.leads() && cluster.unready().is_none()
    });
    assert_eq!(node.propose(&add("a", 1)).unwrap(), 6);

    let greeting = wire::Hello {
        format: 1,
        system: "register".into(),
        network: "test".into(),
        // A standing that is new, too.
        standing: 77,
        ..wire::Hello::default()
    };
    let answer: wire::Hello = caller
        .call(node, "Greet", Encoded(newer(&greeting)))
        .unwrap();
    assert_eq!(answer.name, "n1");
    let proposal = of(&[(2, newer(&command("b", 3))), (UNKNOWN, Bytes::new())]);
    let answer: wire::ProposeResponse = caller.call(node, "Propose", Encoded(proposal)).unwrap();
    assert!(
        matches!(
            answer.result,
            Some(wire::propose_response::Result::Applied(_))
        ),
        "{answer:?}"
    );
    assert_eq!(node.read("b"), Some(3));
    let term = node.cluster().status().term + 100;
    let candidacy = wire::VoteRequest {
        vote: Some(vote(term, LEADER, false)),
        last: Some(log_id(term - 1, LEADER, 1 << 40)),
        leadership_transfer: true,
        pre_vote: false,
    };
    let answer: wire::VoteResponse = caller
        .call(node, "Vote", Encoded(newer(&candidacy)))
        .unwrap();
    assert!(answer.granted);
}

#[test]
fn what_a_build_does_not_understand_is_neither_acknowledged_nor_stored() {
    let newer_build = Newer::leads();
    let mut caller = newer_build.caller.another();
    let (node, id) = (newer_build.node(), newer(&newer_build.next()));
    let before = node.cluster().status();
    let unknown = of(&[(1, id.clone()), (9, Bytes::from_static(b"a new payload"))]);
    let proposal = of(&[(9, Bytes::from_static(b"a new kind of proposal"))]);
    let unproposed = of(&[(1, id.clone()), (3, proposal.clone())]);
    let known = of(&[(1, id), (3, newer(&command("a", 5)))]);
    let after = wire::Entry {
        log_id: Some(log_id(
            newer_build.term,
            LEADER,
            newer_build.next().index + 1,
        )),
        payload: None,
    };
    for (what, entries) in [
        ("an unknown entry", vec![unknown]),
        ("an unknown proposal", vec![unproposed]),
        (
            "an unknown entry behind a known one",
            vec![known, newer(&after)],
        ),
    ] {
        let append = newer_build.append(&entries);
        let answers = caller.stream::<_, _, wire::AppendResponse>(node, "Append", vec![append]);
        let refused = answers.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{what}");
        assert!(refused.message().contains("run a newer build"), "{refused}");
    }
    let part = Encoded(of(&[(9, Bytes::from_static(b"a new part"))]));
    assert_eq!(
        caller.refused(node, "Snapshot", vec![part]),
        Code::InvalidArgument
    );
    let action = Encoded(of(&[(9, Bytes::from_static(b"a new action"))]));
    assert_eq!(
        caller.refused(node, "Manage", vec![action]),
        Code::InvalidArgument
    );
    let proposed = Encoded(of(&[(2, proposal)]));
    let answer: wire::ProposeResponse = caller.call(node, "Propose", proposed).unwrap();
    let Some(wire::propose_response::Result::Refused(reason)) = answer.result else {
        panic!("{answer:?}")
    };
    assert!(reason.contains("does not know"), "{reason}");

    let now = node.cluster().status();
    assert_eq!(
        (now.last_index, now.term, now.halted),
        (before.last_index, before.term, None)
    );
    assert_eq!(node.propose(&add("a", 1)).unwrap(), 2);
}

#[test]
fn what_an_older_build_leaves_out_is_empty() {
    let older_build = Newer::leads();
    let mut caller = older_build.caller.another();
    let (node, term) = (older_build.node(), older_build.term);
    let greeting = wire::Hello {
        format: 1,
        system: "register".into(),
        network: "test".into(),
        ..wire::Hello::default()
    };
    let answer: wire::Hello = caller.call(node, "Greet", greeting).unwrap();
    assert_eq!(answer.name, "n1");
    // Neither a number, nor a request id, nor a trace.
    let proposal = Encoded(of(&[(2, command("b", 3).encode_to_vec().into())]));
    let answer: wire::ProposeResponse = caller.call(node, "Propose", proposal).unwrap();
    assert!(
        matches!(
            answer.result,
            Some(wire::propose_response::Result::Applied(_))
        ),
        "{answer:?}"
    );
    // Not said to be for a transfer: whoever follows a leader that is there refuses.
    let candidacy = vote(term, LEADER, false).encode_to_vec().into();
    let answer: wire::VoteResponse = caller
        .call(node, "Vote", Encoded(of(&[(1, candidacy)])))
        .unwrap();
    assert!(!answer.granted, "its log is empty");
    // Without a commit, entries, and what comes before them.
    let leadership = vote(term, LEADER, true).encode_to_vec().into();
    let heartbeat = Encoded(of(&[(1, leadership)]));
    let answers: Vec<wire::AppendResponse> =
        caller.stream(node, "Append", vec![heartbeat]).unwrap();
    assert!(answers[0].result.is_some(), "{answers:?}");
    assert_eq!(node.cluster().status().halted, None);
    node.wait_for("it leads again", |cluster| {
        cluster.leads() && cluster.unready().is_none()
    });
    assert_eq!(node.propose(&add("b", 1)).unwrap(), 4);
}
