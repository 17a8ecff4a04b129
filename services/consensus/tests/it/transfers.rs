//! Snapshots that do not arrive as they should.

use consensus::testing::wire;
use consensus::testing::wire::snapshot_part::Part;
use prost::Message as _;
use sha2::{Digest as _, Sha256};
use tonic::Code;

use crate::harness::{Field, database, eventually};
use crate::hostile::{as_leader, vote};
use crate::register::{add, set};

fn part(part: Part) -> wire::SnapshotPart {
    wire::SnapshotPart { part: Some(part) }
}

fn head(header: &wire::SnapshotHeader) -> wire::SnapshotPart {
    part(Part::Header(header.clone()))
}

fn chunk(bytes: &[u8]) -> wire::SnapshotPart {
    part(Part::Chunk(bytes.to_vec().into()))
}

fn digest(bytes: &[u8]) -> wire::SnapshotPart {
    part(Part::Digest(Sha256::digest(bytes).to_vec().into()))
}

/// Where a copied state stands.
fn position(path: &std::path::Path) -> (wire::LogId, wire::StoredMembership) {
    let state = database(path);
    let get = |key: &str| -> Vec<u8> {
        let select = "SELECT value FROM consensus_meta WHERE key = ?1";
        state.query_row(select, [key], |row| row.get(0)).unwrap()
    };
    let last = wire::LogId::decode(&get("applied")[..]).unwrap();
    let membership = wire::StoredMembership::decode(&get("membership")[..]).unwrap();
    (last, membership)
}

/// Headers that do not fit the state, its sender or its receiver.
fn headers(good: &wire::SnapshotHeader) -> Vec<(&'static str, wire::SnapshotHeader, Code)> {
    let (last, valid) = (good.last.unwrap(), good.vote.unwrap());
    let with = |change: &dyn Fn(&mut wire::SnapshotHeader)| {
        let mut header = good.clone();
        change(&mut header);
        header
    };
    let covers = |last| with(&|header| header.last = Some(last));
    let sent_by = |vote| with(&|header| header.vote = vote);
    let later = wire::LogId {
        term: valid.term + 1,
        ..last
    };
    let past = wire::LogId {
        term: 0,
        index: 1 << 40,
        ..last
    };
    let beyond = wire::LogId {
        index: last.index + 100,
        ..last
    };
    let voterless = wire::StoredMembership {
        log_id: Some(last),
        membership: None,
    };
    let refused = Code::InvalidArgument;
    vec![
        (
            "an unknown format",
            with(&|header| header.format = 2),
            Code::FailedPrecondition,
        ),
        ("no vote", sent_by(None), refused),
        (
            "another's vote",
            sent_by(Some(vote(valid.term, 5, true))),
            refused,
        ),
        (
            "a candidate's vote",
            sent_by(Some(vote(valid.term, valid.node, false))),
            refused,
        ),
        (
            "nothing covered",
            with(&|header| header.last = None),
            refused,
        ),
        ("newer than its sender", covers(later), refused),
        ("the past after the present", covers(past), refused),
        (
            "no voters",
            with(&|header| header.membership = Some(voterless.clone())),
            refused,
        ),
        (
            "no membership",
            with(&|header| header.membership = None),
            refused,
        ),
        (
            "more than the state holds",
            covers(beyond),
            Code::FailedPrecondition,
        ),
    ]
}

#[test]
fn a_snapshot_that_does_not_arrive_whole_leaves_the_state_as_it_was() {
    let field = Field::formed(3);
    field.nodes[0].propose(&set("a", 1)).unwrap();
    field.assert_equal();
    let (at, mut caller, valid) = as_leader(&field);
    let node = &field.nodes[at];
    let files = node.state_files();

    // A true copy of the state is the best forgery there is.
    let copy = field.path().join("copy.db");
    let index = node.block_on(node.cluster().copy_state(&copy)).unwrap();
    let state = std::fs::read(&copy).unwrap();
    let noise = vec![42; state.len()];
    let (last, membership) = position(&copy);
    assert_eq!(last.index, index);
    let header = wire::SnapshotHeader {
        format: 1,
        vote: Some(valid),
        last: Some(last),
        membership: Some(membership),
        bytes: state.len() as u64,
    };
    let whole = |header: &wire::SnapshotHeader| vec![head(header), chunk(&state), digest(&state)];
    let short = &state[1..];
    let refused = Code::InvalidArgument;
    let mut cases = vec![
        ("no header", vec![chunk(&state), digest(&state)], refused),
        ("nothing at all", vec![], refused),
        (
            "interrupted",
            vec![head(&header), chunk(&state[..1000])],
            refused,
        ),
        ("two headers", vec![head(&header), head(&header)], refused),
        (
            "too long",
            vec![head(&header), chunk(&state), chunk(&state), digest(&state)],
            refused,
        ),
        (
            "too short",
            vec![head(&header), chunk(short), digest(short)],
            Code::DataLoss,
        ),
        (
            "a wrong digest",
            vec![head(&header), chunk(&state), digest(&noise)],
            Code::DataLoss,
        ),
        (
            "no state",
            vec![head(&header), chunk(&noise), digest(&noise)],
            Code::FailedPrecondition,
        ),
    ];
    let headers = headers(&header).into_iter();
    cases.extend(headers.map(|(what, header, code)| (what, whole(&header), code)));
    for (what, parts, code) in cases {
        assert_eq!(caller.refused(node, "Snapshot", parts), code, "{what}");
        assert_eq!(node.cluster().status().halted, None, "{what}");
        assert_eq!(node.state_files(), files, "{what}");
    }

    // What is whole and in order is taken, even if there is nothing new in it.
    let answers: Vec<wire::SnapshotResponse> =
        caller.stream(node, "Snapshot", whole(&header)).unwrap();
    assert_eq!(answers.len(), 1);
    eventually("the file that was not needed is gone", || {
        node.state_files() == files
    });
    assert_eq!(field.nodes[0].propose(&add("a", 1)).unwrap(), 2);
    field.assert_equal();
}
