//! Who is who: people, machines and parties, as every node knows them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::{PartyId, Role, Viewer};

/// The longest name of a person, a machine or a party, in bytes.
pub const NAME_BYTES_MAX: usize = 128;

/// Checks a name: it is shown, logged and recorded with what its bearer captures.
///
/// # Errors
/// A sentence that says what a name is.
pub fn check_name(what: &str, name: &str) -> Result<(), String> {
    let plain = |c: char| c.is_alphanumeric() || "-_.@:/+".contains(c);
    if !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.chars().all(plain) {
        return Ok(());
    }
    Err(format!(
        "{what} is 1 to {NAME_BYTES_MAX} bytes of letters, digits and - _ . @ : / +"
    ))
}

/// A person, or a machine that has keys only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// What it may do.
    pub role: Role,
    /// The party that it acts for.
    pub party: PartyId,
    /// The PHC string of its password; without one it cannot log in.
    pub password: Option<String>,
    /// Whether it is shut out.
    pub disabled: bool,
    /// Tokens from before are void, in seconds since 1970-01-01T00:00:00Z.
    pub valid_from: u64,
}

/// A key of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// The user that it acts as.
    pub user: String,
    /// SHA-256 of its secret, which has 32 random bytes: nothing slower is needed.
    pub hash: [u8; 32],
    /// What it is for.
    pub label: String,
    /// When it was made, in milliseconds since 1970-01-01T00:00:00Z.
    pub created_ms: u64,
    /// When it ends, in seconds since 1970-01-01T00:00:00Z.
    pub expires: Option<u64>,
}

/// The parties, by number and by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parties {
    names: HashMap<PartyId, String>,
    ids: HashMap<String, PartyId>,
}

impl Parties {
    /// The number of a party, if it has one: if anything is its, or anybody acts for it.
    #[must_use]
    pub fn id(&self, name: &str) -> Option<PartyId> {
        self.ids.get(name).copied()
    }

    /// The name of a party; empty of one that is not known.
    #[must_use]
    pub fn name(&self, id: PartyId) -> &str {
        self.names.get(&id).map_or("", String::as_str)
    }
}

impl FromIterator<(PartyId, String)> for Parties {
    fn from_iter<I: IntoIterator<Item = (PartyId, String)>>(parties: I) -> Self {
        let names: HashMap<_, _> = parties.into_iter().collect();
        let ids = names.iter().map(|(id, name)| (name.clone(), *id)).collect();
        Self { names, ids }
    }
}

/// Everything that decides who somebody is. Read from the replicated state whenever that part of it
/// changes, and never changed otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directory {
    /// By name.
    pub users: BTreeMap<String, User>,
    /// By the public part of the key.
    pub api_keys: BTreeMap<String, ApiKey>,
    /// By number and by name.
    pub parties: Parties,
    /// For each party, those that have named it as their partner.
    pub partner_of: HashMap<PartyId, BTreeSet<PartyId>>,
    /// Ids of tokens that were taken back before their end.
    pub revoked: HashSet<String>,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Its name; recorded with what it captures.
    pub name: String,
    /// What it may do; nothing but what anybody may without one.
    pub role: Option<Role>,
    /// The party that it acts for.
    pub party: String,
    /// What it may read.
    pub viewer: Viewer,
    /// The id of its token, if it has one, and when that ends.
    pub token: Option<(String, u64)>,
}

impl Caller {
    /// Somebody without token and key.
    #[must_use]
    pub fn anybody() -> Self {
        Self {
            name: String::new(),
            role: None,
            party: String::new(),
            viewer: Viewer::anybody(),
            token: None,
        }
    }
}

/// Why somebody is not let in, although the signature or the key is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// There is no such user any more.
    #[error("the user does not exist any more")]
    Unknown,
    /// It was shut out.
    #[error("the user is disabled")]
    Disabled,
    /// The token was taken back.
    #[error("the token was revoked")]
    Revoked,
    /// The user has another role by now.
    #[error("the user's role has changed: log in again")]
    RoleChanged,
    /// The user acts for another party by now.
    #[error("the user acts for another party by now")]
    OtherParty,
    /// The key has ended, was removed, or never was.
    #[error("the API key is not valid")]
    Key,
}

/// A token whose signature is right.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'a> {
    /// Whose it is.
    pub subject: &'a str,
    /// The role in it.
    pub role: Role,
    /// Its id.
    pub id: &'a str,
    /// When it was issued, in seconds since 1970-01-01T00:00:00Z.
    pub issued: u64,
    /// When it ends, likewise.
    pub expires: u64,
    /// Whether a login issued it; else somebody who holds the secret signed it.
    pub by_login: bool,
}

impl Directory {
    fn viewer(&self, role: Role, own: Option<PartyId>) -> Viewer {
        if role.sees_all() {
            return Viewer::All;
        }
        let partner_of = own.and_then(|own| self.partner_of.get(&own));
        Viewer::Party {
            own,
            partner_of: partner_of.cloned().unwrap_or_default(),
        }
    }

    fn known(&self, name: &str, user: &User) -> Caller {
        Caller {
            name: name.to_owned(),
            role: Some(user.role),
            party: self.parties.name(user.party).to_owned(),
            viewer: self.viewer(user.role, Some(user.party)),
            token: None,
        }
    }

    /// Who a token is of. A token that was signed outside, with the secret of the cluster, needs no
    /// user; its subject is its own party then.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn of_token(&self, token: Presented<'_>) -> Result<Caller, Denied> {
        if self.revoked.contains(token.id) {
            return Err(Denied::Revoked);
        }
        let mut caller = match self.users.get(token.subject) {
            Some(user) if user.disabled => return Err(Denied::Disabled),
            Some(user) if token.issued < user.valid_from => return Err(Denied::Revoked),
            Some(user) if user.role != token.role => return Err(Denied::RoleChanged),
            Some(user) => self.known(token.subject, user),
            None if token.by_login => return Err(Denied::Unknown),
            None => Caller {
                name: token.subject.to_owned(),
                role: Some(token.role),
                party: token.subject.to_owned(),
                viewer: self.viewer(token.role, self.parties.id(token.subject)),
                token: None,
            },
        };
        caller.token = Some((token.id.to_owned(), token.expires));
        Ok(caller)
    }

    /// What somebody may read now who subscribed to a query of a party. Somebody who is no user had a
    /// token that was signed outside, with this role.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn subscriber(
        &self,
        name: &str,
        role: Option<Role>,
        party: PartyId,
    ) -> Result<Viewer, Denied> {
        match (self.users.get(name), role) {
            (Some(user), _) if user.disabled => Err(Denied::Disabled),
            (Some(user), _) if user.party != party => Err(Denied::OtherParty),
            (Some(user), _) => Ok(self.viewer(user.role, Some(party))),
            (None, Some(role)) => Ok(self.viewer(role, Some(party))),
            (None, None) => Err(Denied::Unknown),
        }
    }

    /// Who a key is of; `hash` is that of the secret part.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn of_api_key(&self, id: &str, hash: &[u8; 32], now: u64) -> Result<Caller, Denied> {
        let key = self.api_keys.get(id).ok_or(Denied::Key)?;
        // Both are hashes: how far they agree tells nothing of the secret.
        if key.hash != *hash || key.expires.is_some_and(|expires| expires <= now) {
            return Err(Denied::Key);
        }
        let user = self.users.get(&key.user).ok_or(Denied::Unknown)?;
        if user.disabled {
            return Err(Denied::Disabled);
        }
        Ok(self.known(&key.user, user))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> Directory {
        let user = |role, party| User {
            role,
            party,
            password: None,
            disabled: false,
            valid_from: 100,
        };
        let key = ApiKey {
            user: "scanner".into(),
            hash: [9; 32],
            label: String::new(),
            created_ms: 0,
            expires: Some(500),
        };
        Directory {
            users: BTreeMap::from([
                ("ann".into(), user(Role::Farmer, 1)),
                ("bob".into(), user(Role::Auditor, 2)),
                ("scanner".into(), user(Role::Retailer, 2)),
            ]),
            api_keys: BTreeMap::from([("k1".into(), key)]),
            parties: Parties::from_iter([(1, "farm".into()), (2, "shop".into())]),
            partner_of: HashMap::from([(2, BTreeSet::from([1]))]),
            revoked: HashSet::from(["gone".into()]),
        }
    }

    fn token<'a>(subject: &'a str, role: Role, id: &'a str) -> Presented<'a> {
        Presented {
            subject,
            role,
            id,
            issued: 200,
            expires: 1000,
            by_login: true,
        }
    }

    #[test]
    fn a_token_is_its_users_for_as_long_as_nothing_speaks_against_it() {
        let mut directory = directory();
        let ann = directory.of_token(token("ann", Role::Farmer, "t")).unwrap();
        assert_eq!((ann.party.as_str(), ann.role), ("farm", Some(Role::Farmer)));
        let own = Viewer::Party {
            own: Some(1),
            partner_of: BTreeSet::new(),
        };
        assert_eq!(ann.viewer, own);
        let bob = directory
            .of_token(token("bob", Role::Auditor, "t"))
            .unwrap();
        assert_eq!(bob.viewer, Viewer::All);

        let denied = |directory: &Directory, token| directory.of_token(token).unwrap_err();
        let revoked = token("ann", Role::Farmer, "gone");
        assert_eq!(denied(&directory, revoked), Denied::Revoked);
        let old = Presented {
            issued: 99,
            ..token("ann", Role::Farmer, "t")
        };
        assert_eq!(denied(&directory, old), Denied::Revoked);
        let promoted = token("ann", Role::Admin, "t");
        assert_eq!(denied(&directory, promoted), Denied::RoleChanged);
        let stranger = token("eve", Role::Farmer, "t");
        assert_eq!(denied(&directory, stranger), Denied::Unknown);
        directory.users.get_mut("ann").unwrap().disabled = true;
        let disabled = token("ann", Role::Farmer, "t");
        assert_eq!(denied(&directory, disabled), Denied::Disabled);
    }

    #[test]
    fn a_token_of_the_secrets_holder_needs_no_user_and_acts_for_itself() {
        let signed = Presented {
            by_login: false,
            ..token("farm", Role::Processor, "t")
        };
        let caller = directory().of_token(signed).unwrap();
        assert_eq!(caller.party, "farm");
        let own = Viewer::Party {
            own: Some(1),
            partner_of: BTreeSet::new(),
        };
        assert_eq!(caller.viewer, own);
    }

    #[test]
    fn a_key_acts_as_its_user_until_it_ends() {
        let directory = directory();
        let scanner = directory.of_api_key("k1", &[9; 32], 499).unwrap();
        assert_eq!(
            (scanner.name.as_str(), scanner.party.as_str()),
            ("scanner", "shop")
        );
        let partners = Viewer::Party {
            own: Some(2),
            partner_of: BTreeSet::from([1]),
        };
        assert_eq!(scanner.viewer, partners);
        for (id, hash, now) in [("k1", [9; 32], 500), ("k1", [8; 32], 0), ("k2", [9; 32], 0)] {
            assert_eq!(directory.of_api_key(id, &hash, now), Err(Denied::Key));
        }
    }

    #[test]
    fn a_subscriber_sees_what_it_may_see_now() {
        let mut directory = directory();
        let own = |own| Viewer::Party {
            own: Some(own),
            partner_of: BTreeSet::new(),
        };
        assert_eq!(directory.subscriber("ann", None, 1), Ok(own(1)));
        assert_eq!(directory.subscriber("bob", None, 2), Ok(Viewer::All));
        // A user's role is the present one, whatever it was.
        let ann = directory.subscriber("ann", Some(Role::Admin), 1);
        assert_eq!(ann, Ok(own(1)));
        let signed = directory.subscriber("carrier", Some(Role::Transporter), 3);
        assert_eq!(signed, Ok(own(3)));
        assert_eq!(directory.subscriber("eve", None, 1), Err(Denied::Unknown));
        let moved = directory.subscriber("ann", None, 2);
        assert_eq!(moved, Err(Denied::OtherParty));
        directory.users.get_mut("ann").unwrap().disabled = true;
        assert_eq!(directory.subscriber("ann", None, 1), Err(Denied::Disabled));
    }

    #[test]
    fn names_are_short_and_plain() {
        for name in [
            "ann",
            "ann@farm.example",
            "urn:gln:4012345000009",
            "Ärzte/1",
        ] {
            assert_eq!(check_name("a name", name), Ok(()));
        }
        for name in ["", "a b", "a\n", "<b>", &"x".repeat(129)] {
            assert!(check_name("a name", name).is_err(), "{name}");
        }
    }
}
