//! What a node says when it is asked to cosign: protobuf, so that fields can be added. The question is
//! the signed checkpoint itself.

/// The answer.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Answer {
    /// Which one.
    #[prost(oneof = "answer::Outcome", tags = "1, 2, 3, 4")]
    pub outcome: Option<answer::Outcome>,
}

/// The kinds of answer.
pub(super) mod answer {
    /// One of the answers.
    #[derive(Clone, PartialEq, prost::Oneof)]
    pub(in crate::server::cosigning) enum Outcome {
        /// The signature line.
        #[prost(string, tag = "1")]
        Cosigned(String),
        /// It has no more entries than these yet.
        #[prost(uint64, tag = "2")]
        Behind(u64),
        /// It has cosigned a tree of this size, and goes not back.
        #[prost(uint64, tag = "3")]
        Newer(u64),
        /// It has another root over as many entries: its own checkpoint, signed.
        #[prost(string, tag = "4")]
        Contradicts(String),
    }
}
