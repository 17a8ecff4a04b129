//! What changes the ledger, and what it answers: protobuf, so that fields can be added.

pub mod access;
pub mod keys;
pub mod queries;
pub mod subjects;

/// A change of the ledger.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Command {
    /// Which one.
    #[prost(oneof = "change::Change", tags = "1, 2, 3, 4, 5, 6, 7, 8")]
    pub change: Option<change::Change>,
}

/// The kinds of change.
pub mod change {
    /// One of the changes.
    #[derive(Clone, PartialEq, prost::Oneof)]
    pub enum Change {
        /// Gives the ledger its origin.
        #[prost(message, tag = "1")]
        Found(super::Found),
        /// Makes a node's key known.
        #[prost(message, tag = "2")]
        RegisterNode(super::RegisterNode),
        /// Takes events in.
        #[prost(message, tag = "3")]
        Capture(super::Capture),
        /// Seals a block.
        #[prost(message, tag = "4")]
        Seal(super::Seal),
        /// Changes who is who.
        #[prost(message, tag = "5")]
        Access(super::access::ChangeAccess),
        /// Changes what is personal, or erases a subject.
        #[prost(message, tag = "6")]
        Subjects(super::subjects::ChangeSubjects),
        /// Changes the keys of a node.
        #[prost(message, tag = "7")]
        Keys(super::keys::ChangeKeys),
        /// Changes named queries and subscriptions.
        #[prost(message, tag = "8")]
        Queries(super::queries::ChangeQueries),
    }
}

/// Gives the ledger its origin and the secret of its identities.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Found {
    /// The first line of every checkpoint.
    #[prost(string, tag = "1")]
    pub origin: String,
    /// 32 random bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub secret: Vec<u8>,
}

/// Makes a node's public key known.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RegisterNode {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its Ed25519 public key.
    #[prost(bytes = "vec", tag = "2")]
    pub public_key: Vec<u8>,
    /// When, in milliseconds since 1970-01-01T00:00:00Z.
    #[prost(uint64, tag = "3")]
    pub time_ms: u64,
}

/// Takes events in, all or none.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Capture {
    /// The capture's id, chosen by the proposer; empty for a single event.
    #[prost(string, tag = "1")]
    pub id: String,
    /// When, in milliseconds since 1970-01-01T00:00:00Z.
    #[prost(uint64, tag = "2")]
    pub time_ms: u64,
    /// The sealed events.
    #[prost(message, repeated, tag = "3")]
    pub entries: Vec<Entry>,
    /// The name of the party that captures them.
    #[prost(string, tag = "4")]
    pub owner: String,
    /// The code of who may read them beside their owner.
    #[prost(uint32, tag = "5")]
    pub visibility: u32,
    /// Whether an event that is refused keeps the others from being taken.
    #[prost(bool, tag = "6")]
    pub proceed: bool,
    /// Where each of them stood in the document; empty if none was left out.
    #[prost(uint64, repeated, tag = "7")]
    pub positions: Vec<u64>,
    /// What was wrong with those that were left out.
    #[prost(message, repeated, tag = "8")]
    pub left_out: Vec<LeftOut>,
    /// The version of what is personal that the entries' keys were wrapped by.
    #[prost(uint64, tag = "9")]
    pub personal: u64,
}

/// Why an event of a capture is not in the ledger: where, and which rule, but none of its content.
#[derive(Clone, PartialEq, prost::Message, serde::Serialize, serde::Deserialize)]
pub struct LeftOut {
    /// Its position in the document.
    #[prost(uint64, tag = "1")]
    pub event: u64,
    /// The rule.
    #[prost(string, tag = "2")]
    pub rule: String,
}

/// A sealed event.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Entry {
    /// The encoded leaf.
    #[prost(bytes = "vec", tag = "1")]
    pub leaf: Vec<u8>,
    /// The stored payload.
    #[prost(bytes = "vec", tag = "2")]
    pub payload: Vec<u8>,
    /// The encoded wrapped key.
    #[prost(bytes = "vec", tag = "3")]
    pub key: Vec<u8>,
    /// The keyed hash that makes the event the one it is.
    #[prost(bytes = "vec", tag = "4")]
    pub identity: Vec<u8>,
    /// The keyed hash of its content.
    #[prost(bytes = "vec", tag = "5")]
    pub content: Vec<u8>,
}

/// Seals a block over the entries that are in none yet.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Seal {
    /// The encoded block.
    #[prost(bytes = "vec", tag = "1")]
    pub block: Vec<u8>,
}

/// What a command gave.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Reply {
    /// Which one.
    #[prost(oneof = "reply::Reply", tags = "1, 2, 3, 4, 5, 7")]
    pub reply: Option<reply::Reply>,
}

/// The kinds of reply.
pub mod reply {
    /// One of the replies.
    #[derive(Clone, PartialEq, prost::Oneof)]
    pub enum Reply {
        /// It is done.
        #[prost(message, tag = "1")]
        Done(super::Done),
        /// The events are in the ledger.
        #[prost(message, tag = "2")]
        Accepted(super::Accepted),
        /// Nothing was changed.
        #[prost(message, tag = "3")]
        Refused(super::Refused),
        /// What a change of the directory came to.
        #[prost(message, tag = "4")]
        Access(super::access::AccessChanged),
        /// What a change of subjects came to.
        #[prost(message, tag = "5")]
        Subjects(super::subjects::SubjectsChanged),
        /// What a change of queries came to.
        #[prost(message, tag = "7")]
        Queries(super::queries::QueriesChanged),
    }
}

/// It is done.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Done {}

/// Where the events of a capture are.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Accepted {
    /// The entry of each event, in the order of the capture.
    #[prost(uint64, repeated, tag = "1")]
    pub entries: Vec<u64>,
    /// How many of them were there before.
    #[prost(uint64, tag = "2")]
    pub repeated: u64,
    /// The size of the tree afterwards.
    #[prost(uint64, tag = "3")]
    pub size: u64,
    /// The root of the tree afterwards.
    #[prost(bytes = "vec", tag = "4")]
    pub root: Vec<u8>,
    /// Events whose id is taken, where the others were to be taken without them.
    #[prost(message, repeated, tag = "5")]
    pub conflicts: Vec<Duplicate>,
}

/// Why nothing was changed.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Refused {
    /// A sentence.
    #[prost(string, tag = "1")]
    pub reason: String,
    /// Events whose id is taken.
    #[prost(message, repeated, tag = "2")]
    pub conflicts: Vec<Duplicate>,
    /// Whether what the keys were wrapped by has changed meanwhile: to be sealed and sent again.
    #[prost(bool, tag = "3")]
    pub outdated: bool,
}

/// An event whose id is taken.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Duplicate {
    /// Its position in the capture.
    #[prost(uint64, tag = "1")]
    pub position: u64,
    /// The entry that has the id; absent if it stands in the same capture.
    #[prost(uint64, optional, tag = "2")]
    pub existing: Option<u64>,
    /// Whether it is the very same event, twice in one capture.
    #[prost(bool, tag = "3")]
    pub same_content: bool,
}

impl Command {
    /// A command of one change.
    #[must_use]
    pub fn of(change: change::Change) -> Self {
        Self {
            change: Some(change),
        }
    }
}

impl Reply {
    pub(super) fn of(reply: reply::Reply) -> Self {
        Self { reply: Some(reply) }
    }

    pub(super) fn done() -> Self {
        Self::of(reply::Reply::Done(Done {}))
    }

    pub(super) fn refused(reason: &str) -> Self {
        Self::of(reply::Reply::Refused(Refused {
            reason: reason.to_owned(),
            ..Refused::default()
        }))
    }

    pub(super) fn outdated() -> Self {
        Self::of(reply::Reply::Refused(Refused {
            reason: "what is personal has changed, or a subject was erased: try again".into(),
            outdated: true,
            ..Refused::default()
        }))
    }
}
