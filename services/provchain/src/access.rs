//! Who may read an event: what its owner said of it, and whose eyes look.
//!
//! An event belongs to the party (the organisation) of whoever captured it, and is one of three
//! things from then on. Parties are known by a number in the replicated state; a number says nothing
//! to those who may not ask for the name.

pub mod directory;
pub mod password;
mod role;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub use self::directory::{Caller, Directory};
pub use self::role::Role;

/// The number of a party; 0 is nobody: entries from before events had owners.
pub type PartyId = u64;

/// Who may read an event, beside its owner.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Everybody, without a token too.
    Public,
    /// The parties that its owner has named as partners.
    #[default]
    Partner,
    /// Nobody.
    Private,
}

impl Visibility {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Partner => "partner",
            Self::Private => "private",
        }
    }

    /// The number under which it is stored.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Public => 0,
            Self::Partner => 1,
            Self::Private => 2,
        }
    }

    /// The visibility that is stored under `code`.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Public),
            1 => Some(Self::Partner),
            2 => Some(Self::Private),
            _ => None,
        }
    }
}

impl std::str::FromStr for Visibility {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "public" => Ok(Self::Public),
            "partner" => Ok(Self::Partner),
            "private" => Ok(Self::Private),
            _ => Err(format!("{text:?} is not public, partner or private")),
        }
    }
}

/// Whose an event is, and who may read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// The party that captured it.
    pub owner: PartyId,
    /// Who may read it, beside its owner.
    pub visibility: Visibility,
}

/// Whose eyes look. Every answer is given to a viewer, and every cached one kept for that viewer only.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Viewer {
    /// Sees everything: auditors and administrators.
    All,
    /// Sees what is public, what is its own, and what these parties show to their partners.
    Party {
        /// Its own number, if any event is its.
        own: Option<PartyId>,
        /// The parties that have named it as a partner.
        partner_of: BTreeSet<PartyId>,
    },
}

impl Viewer {
    /// Somebody of whom nothing is known.
    #[must_use]
    pub const fn anybody() -> Self {
        Self::Party {
            own: None,
            partner_of: BTreeSet::new(),
        }
    }

    /// Whether this viewer may read what is so.
    #[must_use]
    pub fn sees(&self, access: Access) -> bool {
        match (self, access.visibility) {
            (Self::All, _) | (_, Visibility::Public) => true,
            (Self::Party { own, .. }, _) if *own == Some(access.owner) => true,
            (Self::Party { partner_of, .. }, Visibility::Partner) => {
                partner_of.contains(&access.owner)
            }
            (_, Visibility::Private) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(owner: PartyId, visibility: Visibility) -> Access {
        Access { owner, visibility }
    }

    #[test]
    fn a_party_sees_its_own_what_is_public_and_what_its_partners_show() {
        let viewer = Viewer::Party {
            own: Some(1),
            partner_of: BTreeSet::from([2]),
        };
        for visibility in [Visibility::Public, Visibility::Partner, Visibility::Private] {
            assert!(viewer.sees(access(1, visibility)));
            assert!(Viewer::All.sees(access(3, visibility)));
        }
        assert!(viewer.sees(access(2, Visibility::Partner)));
        assert!(viewer.sees(access(3, Visibility::Public)));
        assert!(!viewer.sees(access(2, Visibility::Private)));
        assert!(!viewer.sees(access(3, Visibility::Partner)));
    }

    #[test]
    fn anybody_sees_what_is_public_and_not_even_what_is_nobodys() {
        let viewer = Viewer::anybody();
        assert!(viewer.sees(access(0, Visibility::Public)));
        assert!(!viewer.sees(access(0, Visibility::Partner)));
        assert!(!viewer.sees(access(0, Visibility::Private)));
    }

    #[test]
    fn a_visibility_is_stored_under_its_own_number() {
        for visibility in [Visibility::Public, Visibility::Partner, Visibility::Private] {
            assert_eq!(Visibility::from_code(visibility.code()), Some(visibility));
        }
        assert_eq!(Visibility::from_code(3), None);
    }
}
