//! Changes of who is who, and of what they may read.

/// A change of the directory, and who made it.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ChangeAccess {
    /// When, in milliseconds since 1970-01-01T00:00:00Z.
    #[prost(uint64, tag = "1")]
    pub time_ms: u64,
    /// Who made it; recorded in the audit log.
    #[prost(string, tag = "2")]
    pub actor: String,
    /// Which one.
    #[prost(oneof = "change::Change", tags = "3, 4, 5, 6, 7, 8, 9, 10, 11, 12")]
    pub change: Option<change::Change>,
}

/// The kinds of change.
pub mod change {
    /// One of the changes.
    #[derive(Clone, PartialEq, prost::Oneof)]
    pub enum Change {
        /// Makes a user, or changes one.
        #[prost(message, tag = "3")]
        PutUser(super::PutUser),
        /// Removes a user with its keys and sessions.
        #[prost(string, tag = "4")]
        RemoveUser(String),
        /// Sets a password.
        #[prost(message, tag = "5")]
        SetPassword(super::SetPassword),
        /// Makes a key.
        #[prost(message, tag = "6")]
        PutApiKey(super::PutApiKey),
        /// Removes a key.
        #[prost(string, tag = "7")]
        RemoveApiKey(String),
        /// Says who a party's partners are.
        #[prost(message, tag = "8")]
        SetPartners(super::SetPartners),
        /// Somebody logged in.
        #[prost(message, tag = "9")]
        OpenSession(super::OpenSession),
        /// Somebody refreshed its session.
        #[prost(message, tag = "10")]
        RefreshSession(super::RefreshSession),
        /// Ends a session.
        #[prost(message, tag = "11")]
        EndSession(super::EndSession),
        /// Takes a token back.
        #[prost(message, tag = "12")]
        RevokeToken(super::RevokeToken),
    }
}

/// Makes a user, or changes one; what is absent stays.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PutUser {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its role.
    #[prost(string, optional, tag = "2")]
    pub role: Option<String>,
    /// The party that it acts for; a new user's is its own name.
    #[prost(string, optional, tag = "3")]
    pub party: Option<String>,
    /// The PHC string of its password.
    #[prost(string, optional, tag = "4")]
    pub password: Option<String>,
    /// Whether it is shut out.
    #[prost(bool, optional, tag = "5")]
    pub disabled: Option<bool>,
    /// Whether it must not exist yet.
    #[prost(bool, tag = "6")]
    pub new: bool,
    /// Whether no user at all may exist yet: the first administrator.
    #[prost(bool, tag = "7")]
    pub first: bool,
}

/// Sets a password; all sessions and tokens of its user end.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SetPassword {
    /// Whose.
    #[prost(string, tag = "1")]
    pub user: String,
    /// The PHC string.
    #[prost(string, tag = "2")]
    pub password: String,
}

/// Makes a key of a machine.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PutApiKey {
    /// Its public part.
    #[prost(string, tag = "1")]
    pub id: String,
    /// The user that it acts as.
    #[prost(string, tag = "2")]
    pub user: String,
    /// SHA-256 of its secret part.
    #[prost(bytes = "vec", tag = "3")]
    pub hash: Vec<u8>,
    /// What it is for.
    #[prost(string, tag = "4")]
    pub label: String,
    /// When it ends, in seconds since 1970-01-01T00:00:00Z.
    #[prost(uint64, optional, tag = "5")]
    pub expires: Option<u64>,
}

/// Says who a party's partners are: they read what it shows to partners.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SetPartners {
    /// Whose.
    #[prost(string, tag = "1")]
    pub party: String,
    /// All of them.
    #[prost(string, repeated, tag = "2")]
    pub partners: Vec<String>,
}

/// Begins a session: a chain of refresh tokens, each used once.
#[derive(Clone, PartialEq, prost::Message)]
pub struct OpenSession {
    /// Whose.
    #[prost(string, tag = "1")]
    pub user: String,
    /// The chain's id, chosen at random.
    #[prost(string, tag = "2")]
    pub family: String,
    /// SHA-256 of the first refresh token.
    #[prost(bytes = "vec", tag = "3")]
    pub hash: Vec<u8>,
    /// When it ends, in seconds since 1970-01-01T00:00:00Z.
    #[prost(uint64, tag = "4")]
    pub expires: u64,
}

/// Uses a refresh token up, and gives the next one.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RefreshSession {
    /// SHA-256 of the one that is used up.
    #[prost(bytes = "vec", tag = "1")]
    pub hash: Vec<u8>,
    /// SHA-256 of the next.
    #[prost(bytes = "vec", tag = "2")]
    pub next: Vec<u8>,
    /// When that ends, in seconds since 1970-01-01T00:00:00Z.
    #[prost(uint64, tag = "3")]
    pub expires: u64,
}

/// Ends a session with all of its refresh tokens.
#[derive(Clone, PartialEq, prost::Message)]
pub struct EndSession {
    /// SHA-256 of one of them.
    #[prost(bytes = "vec", tag = "1")]
    pub hash: Vec<u8>,
}

/// Takes a token back before its end.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RevokeToken {
    /// Its id.
    #[prost(string, tag = "1")]
    pub id: String,
    /// When it ends anyway, in seconds since 1970-01-01T00:00:00Z.
    #[prost(uint64, tag = "2")]
    pub expires: u64,
    /// Whose it is, for the audit log.
    #[prost(string, tag = "3")]
    pub user: String,
}

/// What a change of the directory came to.
#[derive(Clone, PartialEq, prost::Message)]
pub struct AccessChanged {
    /// Why nothing was changed; empty if it was.
    #[prost(string, tag = "1")]
    pub refused: String,
    /// Of which kind the refusal is.
    #[prost(enumeration = "Refusal", tag = "2")]
    pub refusal: i32,
    /// Whose session was refreshed.
    #[prost(string, tag = "3")]
    pub user: String,
}

/// The kinds of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Refusal {
    /// It was not refused.
    None = 0,
    /// There is no such thing.
    NotFound = 1,
    /// It is there already.
    Exists = 2,
    /// It cannot be.
    Invalid = 3,
}
