//! Changes of named queries and of the subscriptions to them.

/// A change of queries or subscriptions, and who made it.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ChangeQueries {
    /// When, in milliseconds since 1970-01-01T00:00:00Z.
    #[prost(uint64, tag = "1")]
    pub time_ms: u64,
    /// Who made it; recorded in the audit log.
    #[prost(string, tag = "2")]
    pub actor: String,
    /// Which one.
    #[prost(oneof = "change::Change", tags = "3, 4, 5, 6, 7")]
    pub change: Option<change::Change>,
}

/// The kinds of change.
pub mod change {
    /// One of the changes.
    #[derive(Clone, PartialEq, prost::Oneof)]
    pub enum Change {
        /// Gives a query a name.
        #[prost(message, tag = "3")]
        PutQuery(super::PutQuery),
        /// Removes a query with its subscriptions.
        #[prost(message, tag = "4")]
        RemoveQuery(super::QueryName),
        /// Subscribes to a query.
        #[prost(message, tag = "5")]
        Subscribe(super::Subscribe),
        /// Ends a subscription.
        #[prost(message, tag = "6")]
        Unsubscribe(super::Unsubscribe),
        /// Says how far subscriptions have come.
        #[prost(message, tag = "7")]
        Progress(super::Progress),
    }
}

/// Which query.
#[derive(Clone, PartialEq, prost::Message)]
pub struct QueryName {
    /// Whose.
    #[prost(string, tag = "1")]
    pub party: String,
    /// Its name, of which each party has one.
    #[prost(string, tag = "2")]
    pub name: String,
}

/// Gives a query a name.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PutQuery {
    /// Which.
    #[prost(message, required, tag = "1")]
    pub query: QueryName,
    /// Its parameters: a JSON object in canonical form.
    #[prost(string, tag = "2")]
    pub definition: String,
    /// The header with its prefixes.
    #[prost(string, tag = "3")]
    pub extensions: String,
}

/// Subscribes to a query by webhook.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Subscribe {
    /// To which query.
    #[prost(message, required, tag = "1")]
    pub query: QueryName,
    /// Its id, chosen by the proposer.
    #[prost(string, tag = "2")]
    pub id: String,
    /// Whose eyes look.
    #[prost(string, tag = "3")]
    pub user: String,
    /// The role of somebody who is no user, but has a token that was signed with the secret; empty of
    /// users, whose roles are known.
    #[prost(string, tag = "4")]
    pub role: String,
    /// Where its events go.
    #[prost(string, tag = "5")]
    pub dest: String,
    /// What they are signed with; empty if they are not.
    #[prost(string, tag = "6")]
    pub signature_token: String,
    /// When: the schedule as JSON; empty if as they come.
    #[prost(string, tag = "7")]
    pub schedule: String,
    /// Whether a time without events is told, too.
    #[prost(bool, tag = "8")]
    pub report_if_empty: bool,
    /// Events that were recorded before are left out, in microseconds since 1970.
    #[prost(int64, optional, tag = "9")]
    pub initial_record_micros: Option<i64>,
    /// The first entry that may be so recent; without it, what comes from now on.
    #[prost(uint64, optional, tag = "10")]
    pub from_entry: Option<u64>,
}

/// Ends a subscription.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Unsubscribe {
    /// To which query.
    #[prost(message, required, tag = "1")]
    pub query: QueryName,
    /// Its id.
    #[prost(string, tag = "2")]
    pub id: String,
}

/// How far some subscriptions have come.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Progress {
    /// One mark for each of them.
    #[prost(message, repeated, tag = "1")]
    pub marks: Vec<Mark>,
}

/// How far a subscription has come.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Mark {
    /// Which.
    #[prost(string, tag = "1")]
    pub id: String,
    /// Every entry below was looked at, and what was to be delivered of them has been.
    #[prost(uint64, tag = "2")]
    pub next: u64,
    /// When its query was run last, in milliseconds since 1970-01-01T00:00:00Z.
    #[prost(uint64, tag = "3")]
    pub run_ms: u64,
    /// When its receiver last took something; absent if it did not this time.
    #[prost(uint64, optional, tag = "4")]
    pub notified_ms: Option<u64>,
    /// Deliveries that failed since then.
    #[prost(uint32, tag = "5")]
    pub failures: u32,
    /// Why the last one failed; empty if it did not.
    #[prost(string, tag = "6")]
    pub error: String,
    /// Whether nothing more is tried.
    #[prost(bool, tag = "7")]
    pub disabled: bool,
}

/// What a change of queries came to.
#[derive(Clone, PartialEq, prost::Message)]
pub struct QueriesChanged {
    /// Why nothing was changed; empty if it was.
    #[prost(string, tag = "1")]
    pub refused: String,
    /// Of which kind the refusal is.
    #[prost(enumeration = "Refusal", tag = "2")]
    pub refusal: i32,
}

/// The kinds of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Refusal {
    /// It was not refused.
    None = 0,
    /// There is no such query, or no such subscription.
    NoSuchName = 1,
    /// The name is taken.
    NameTaken = 2,
    /// There are too many already.
    TooMany = 3,
    /// It cannot be.
    Invalid = 4,
}
