//! Changes of the keys with which nodes sign.

/// A change of the keys of one node.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ChangeKeys {
    /// When, in milliseconds since 1970-01-01T00:00:00Z.
    #[prost(uint64, tag = "1")]
    pub time_ms: u64,
    /// Who asked for it; recorded in the audit log.
    #[prost(string, tag = "2")]
    pub actor: String,
    /// Which one.
    #[prost(oneof = "change::Change", tags = "3, 4")]
    pub change: Option<change::Change>,
}

/// The kinds of change.
pub mod change {
    /// One of the changes.
    #[derive(Clone, PartialEq, prost::Oneof)]
    pub enum Change {
        /// Makes the key known with which a node cosigns.
        #[prost(message, tag = "3")]
        PutCosigner(super::PutCosigner),
        /// A node's key hands over to the next.
        #[prost(message, tag = "4")]
        Succeed(super::Succeed),
    }
}

/// Makes the key known with which a node cosigns.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PutCosigner {
    /// The public key of the node, which is known.
    #[prost(bytes = "vec", tag = "1")]
    pub node: Vec<u8>,
    /// The public key that cosigns.
    #[prost(bytes = "vec", tag = "2")]
    pub cosigner: Vec<u8>,
}

/// A node's key hands over to the next.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Succeed {
    /// The succession: a note that both keys signed.
    #[prost(string, tag = "1")]
    pub note: String,
    /// The public key that cosigns beside the new one.
    #[prost(bytes = "vec", tag = "2")]
    pub cosigner: Vec<u8>,
}
