//! Changes of what is personal, and the erasure of subjects.

/// A change of what is personal or of whose content is there, and who made it.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ChangeSubjects {
    /// When, in milliseconds since 1970-01-01T00:00:00Z.
    #[prost(uint64, tag = "1")]
    pub time_ms: u64,
    /// Who made it; recorded in the audit log.
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
        /// Says what is personal.
        #[prost(message, tag = "3")]
        SetPersonal(super::SetPersonal),
        /// Erases a subject.
        #[prost(message, tag = "4")]
        Erase(super::Erase),
    }
}

/// Says what is personal, from now on.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SetPersonal {
    /// All of the fields, by their full names.
    #[prost(string, repeated, tag = "1")]
    pub fields: Vec<String>,
    /// All of the parties, by their pseudonyms.
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub parties: Vec<Vec<u8>>,
}

/// Erases the content of all entries that are about a subject.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Erase {
    /// The pseudonym of the subject.
    #[prost(bytes = "vec", tag = "1")]
    pub subject: Vec<u8>,
}

/// What it came to.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SubjectsChanged {
    /// Why nothing was changed; empty if it was.
    #[prost(string, tag = "1")]
    pub refused: String,
    /// Whether there is such a subject: else nothing was changed.
    #[prost(bool, tag = "2")]
    pub known: bool,
    /// The generation of keys that its entries are captured under from now on.
    #[prost(uint64, tag = "3")]
    pub generation: u64,
    /// Entries whose content was erased.
    #[prost(uint64, tag = "4")]
    pub entries: u64,
}
