//! Between openraft's types and the messages of `proto/consensus.proto`.

use std::collections::BTreeSet;
use std::io;

use bytes::Bytes;
use openraft::EntryPayload;
use openraft::entry::RaftEntry as _;
use openraft::impls::leader_id_adv::LeaderId;
use prost::Message as _;

use crate::raft::{Entry, LogId, Member, Membership, Outcome, Proposal, StoredMembership, Vote};
use crate::wire;

fn missing(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{what} is missing"))
}

fn unknown(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("{what} is of a kind that this build does not know: run a newer build"),
    )
}

pub(crate) fn log_id_to_wire(id: &LogId) -> wire::LogId {
    wire::LogId {
        term: id.leader_id.term,
        leader: id.leader_id.node_id,
        index: id.index,
    }
}

pub(crate) fn log_id(id: &wire::LogId) -> LogId {
    LogId::new(
        LeaderId {
            term: id.term,
            node_id: id.leader,
        },
        id.index,
    )
}

pub(crate) fn vote_to_wire(vote: &Vote) -> wire::Vote {
    wire::Vote {
        term: vote.leader_id.term,
        node: vote.leader_id.node_id,
        committed: vote.committed,
    }
}

pub(crate) fn vote(vote: Option<&wire::Vote>) -> io::Result<Vote> {
    let vote = vote.ok_or_else(|| missing("a vote"))?;
    Ok(Vote {
        leader_id: LeaderId {
            term: vote.term,
            node_id: vote.node,
        },
        committed: vote.committed,
    })
}

pub(crate) fn membership_to_wire(membership: &Membership) -> wire::Membership {
    wire::Membership {
        configs: membership
            .get_joint_config()
            .iter()
            .map(|ids| wire::Voters {
                ids: ids.iter().copied().collect(),
            })
            .collect(),
        members: membership
            .nodes()
            .map(|(id, member)| {
                let member = wire::Member {
                    name: member.name.clone(),
                    address: member.address.clone(),
                };
                (*id, member)
            })
            .collect(),
    }
}

pub(crate) fn membership(membership: wire::Membership) -> io::Result<Membership> {
    let configs: Vec<BTreeSet<u64>> = membership
        .configs
        .into_iter()
        .map(|voters| voters.ids.into_iter().collect())
        .collect();
    let members: std::collections::BTreeMap<u64, Member> = membership
        .members
        .into_iter()
        .map(|(id, member)| {
            let member = Member {
                name: member.name,
                address: member.address,
            };
            (id, member)
        })
        .collect();
    if configs.is_empty() && members.is_empty() {
        return Ok(Membership::default());
    }
    Membership::new(configs, members)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))
}

pub(crate) fn stored_membership_to_wire(stored: &StoredMembership) -> wire::StoredMembership {
    wire::StoredMembership {
        log_id: stored.log_id().as_ref().map(log_id_to_wire),
        membership: Some(membership_to_wire(stored.membership())),
    }
}

pub(crate) fn stored_membership(
    stored: Option<wire::StoredMembership>,
) -> io::Result<StoredMembership> {
    let Some(stored) = stored else {
        return Ok(StoredMembership::default());
    };
    Ok(StoredMembership::new(
        stored.log_id.as_ref().map(log_id),
        membership(stored.membership.unwrap_or_default())?,
    ))
}

/// The bytes of an entry, the same in the log and on the wire.
pub(crate) fn encode_entry(entry: &Entry) -> Bytes {
    let payload = match &entry.payload {
        EntryPayload::Blank => wire::entry::Payload::Blank(true),
        EntryPayload::Normal(proposal) => wire::entry::Payload::Proposal(proposal.0.clone()),
        EntryPayload::Membership(membership) => {
            wire::entry::Payload::Membership(membership_to_wire(membership))
        }
    };
    let message = wire::Entry {
        log_id: Some(log_id_to_wire(&entry.log_id())),
        payload: Some(payload),
    };
    Bytes::from(message.encode_to_vec())
}

pub(crate) fn decode_entry(bytes: Bytes) -> io::Result<Entry> {
    let message = wire::Entry::decode(bytes)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    let id = log_id(message.log_id.as_ref().ok_or_else(|| missing("a log id"))?);
    let payload = match message.payload {
        Some(wire::entry::Payload::Blank(_)) => EntryPayload::Blank,
        Some(wire::entry::Payload::Proposal(proposal)) if proposal.kind.is_none() => {
            // What it proposes was lost as it was read, and would be lost for good on this disk.
            return Err(unknown("a proposal"));
        }
        Some(wire::entry::Payload::Proposal(proposal)) => EntryPayload::Normal(Proposal(proposal)),
        Some(wire::entry::Payload::Membership(members)) if members.configs.is_empty() => {
            // Anyone would be a majority of no voters.
            return Err(missing("a membership's voters"));
        }
        Some(wire::entry::Payload::Membership(members)) => {
            EntryPayload::Membership(membership(members)?)
        }
        None => return Err(unknown("an entry")),
    };
    Ok(Entry::new(id, payload))
}

pub(crate) fn outcome_to_wire(outcome: Outcome) -> wire::Outcome {
    use wire::outcome::Kind;
    let kind = match outcome {
        Outcome::Reply(bytes) => Kind::Reply(bytes),
        Outcome::Session(id) => Kind::Session(id),
        Outcome::Expired => Kind::Expired(true),
        Outcome::Version(version) => Kind::Version(version),
        Outcome::None => Kind::None(true),
    };
    wire::Outcome { kind: Some(kind) }
}

pub(crate) fn outcome(outcome: Option<wire::Outcome>) -> io::Result<Outcome> {
    use wire::outcome::Kind;
    match outcome.and_then(|outcome| outcome.kind) {
        Some(Kind::Reply(bytes)) => Ok(Outcome::Reply(bytes)),
        Some(Kind::Session(id)) => Ok(Outcome::Session(id)),
        Some(Kind::Expired(_)) => Ok(Outcome::Expired),
        Some(Kind::Version(version)) => Ok(Outcome::Version(version)),
        Some(Kind::None(_)) => Ok(Outcome::None),
        None => Err(missing("an outcome")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    fn ids() -> impl Strategy<Value = LogId> {
        (any::<u64>(), any::<u64>(), any::<u64>()).prop_map(|(term, leader, index)| {
            log_id(&wire::LogId {
                term,
                leader,
                index,
            })
        })
    }

    fn text() -> impl Strategy<Value = String> {
        vec(any::<char>(), 0..20).prop_map(|chars| chars.into_iter().collect())
    }

    fn votes() -> impl Strategy<Value = Vote> {
        (any::<u64>(), any::<u64>(), any::<bool>()).prop_map(|(term, node, committed)| {
            vote(Some(&wire::Vote {
                term,
                node,
                committed,
            }))
            .unwrap()
        })
    }

    /// Memberships with voters, in one set or two, and learners.
    fn memberships() -> impl Strategy<Value = Membership> {
        let members = btree_map(any::<u64>(), (text(), text()), 1..7);
        (members, vec(vec(any::<prop::sample::Index>(), 1..5), 1..3)).prop_map(
            |(members, configs)| {
                let all: Vec<u64> = members.keys().copied().collect();
                let configs = configs
                    .into_iter()
                    .map(|voters| voters.iter().map(|voter| *voter.get(&all)).collect())
                    .collect();
                let members: std::collections::BTreeMap<u64, Member> = members
                    .into_iter()
                    .map(|(id, (name, address))| (id, Member { name, address }))
                    .collect();
                Membership::new(configs, members).unwrap()
            },
        )
    }

    fn proposals() -> impl Strategy<Value = Proposal> {
        use wire::proposal::Kind;
        let kind = prop_oneof![
            vec(any::<u8>(), 0..200).prop_map(|bytes| Kind::Command(bytes.into())),
            Just(Kind::OpenSession(true)),
            any::<u32>().prop_map(Kind::RaiseVersion),
        ];
        let request = (any::<u64>(), any::<u64>(), any::<u64>()).prop_map(
            |(session, number, settled_below)| wire::RequestId {
                session,
                number,
                settled_below,
            },
        );
        (kind, proptest::option::of(request), text()).prop_map(|(kind, request, traceparent)| {
            Proposal(wire::Proposal {
                kind: Some(kind),
                request,
                traceparent,
            })
        })
    }

    fn entries() -> impl Strategy<Value = Entry> {
        let payload = prop_oneof![
            Just(EntryPayload::Blank),
            proposals().prop_map(EntryPayload::Normal),
            memberships().prop_map(EntryPayload::Membership),
        ];
        (ids(), payload).prop_map(|(id, payload)| Entry::new(id, payload))
    }

    fn outcomes() -> impl Strategy<Value = Outcome> {
        prop_oneof![
            vec(any::<u8>(), 0..200).prop_map(|bytes| Outcome::Reply(bytes.into())),
            any::<u64>().prop_map(Outcome::Session),
            Just(Outcome::Expired),
            any::<u32>().prop_map(Outcome::Version),
            Just(Outcome::None),
        ]
    }

    proptest! {
        #[test]
        fn every_entry_is_read_as_it_was_written(entry in entries()) {
            let bytes = encode_entry(&entry);
            prop_assert_eq!(&decode_entry(bytes.clone()).unwrap(), &entry);
            prop_assert_eq!(encode_entry(&decode_entry(bytes.clone()).unwrap()), bytes);
        }

        #[test]
        fn every_membership_is_read_as_it_was_written(id in ids(), members in memberships()) {
            let stored = StoredMembership::new(Some(id), members);
            let bytes = stored_membership_to_wire(&stored).encode_to_vec();
            let read = wire::StoredMembership::decode(&bytes[..]).unwrap();
            prop_assert_eq!(stored_membership(Some(read)).unwrap(), stored);
        }

        #[test]
        fn every_vote_is_read_as_it_was_written(original in votes()) {
            let bytes = vote_to_wire(&original).encode_to_vec();
            let read = wire::Vote::decode(&bytes[..]).unwrap();
            prop_assert_eq!(vote(Some(&read)).unwrap(), original);
        }

        #[test]
        fn every_outcome_is_read_as_it_was_written(original in outcomes()) {
            let bytes = outcome_to_wire(original.clone()).encode_to_vec();
            let read = wire::Outcome::decode(&bytes[..]).unwrap();
            prop_assert_eq!(outcome(Some(read)).unwrap(), original);
        }

        #[test]
        fn no_bytes_make_a_decoder_panic(bytes in vec(any::<u8>(), 0..300)) {
            drop(decode_entry(bytes.clone().into()));
            if let Ok(read) = wire::StoredMembership::decode(&bytes[..]) {
                drop(stored_membership(Some(read)));
            }
            if let Ok(read) = wire::Outcome::decode(&bytes[..]) {
                drop(outcome(Some(read)));
            }
        }

        #[test]
        fn no_damage_to_an_entry_makes_a_decoder_panic(
            entry in entries(),
            place in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let mut bytes = encode_entry(&entry).to_vec();
            let place = place.index(bytes.len());
            bytes[place] = byte;
            drop(decode_entry(bytes.into()));
        }
    }

    #[test]
    fn an_entry_of_an_unknown_kind_is_not_taken_for_an_empty_one() {
        let of = |payload| wire::Entry {
            log_id: Some(wire::LogId::default()),
            payload,
        };
        let proposal = wire::entry::Payload::Proposal(wire::Proposal::default());
        for entry in [of(None), of(Some(proposal))] {
            let refused = decode_entry(entry.encode_to_vec().into()).unwrap_err();
            assert!(refused.to_string().contains("newer build"), "{refused}");
        }
    }

    #[test]
    fn a_membership_without_voters_is_no_entry() {
        let entry = wire::Entry {
            log_id: Some(wire::LogId::default()),
            payload: Some(wire::entry::Payload::Membership(wire::Membership::default())),
        };
        assert!(decode_entry(entry.encode_to_vec().into()).is_err());
    }
}
