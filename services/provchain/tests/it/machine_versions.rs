//! While a cluster is being upgraded, nothing is taken that the nodes of the build before would apply
//! in another way.

use consensus::{EntryInfo, Machine as _};
use ed25519_dalek::SigningKey;
use provchain::access::Visibility;
use provchain::machine::command::access::change::Change as AccessChange;
use provchain::machine::command::access::{ChangeAccess, PutUser};
use provchain::machine::command::keys::change::Change as KeysChange;
use provchain::machine::command::keys::{ChangeKeys, PutCosigner, Succeed};
use provchain::machine::command::queries::change::Change as QueriesChange;
use provchain::machine::command::queries::{ChangeQueries, PutQuery, QueryName};
use provchain::machine::command::{
    Capture, Command, Entry, Found, RegisterNode, Reply, Seal, change, reply,
};
use provchain::machine::keys::{self, RetiredKeys};
use provchain::machine::queries;
use provchain::machine::read;
use provchain::machine::{Ledger, SharedDirectory};
use rusqlite::Connection;

use super::ledger_fixture::{entry_key, new_entry};
use provchain::ledger::block::Tip;
use provchain::ledger::key::Custody;
use provchain::ledger::note::{SignatureType, SignerKey};
use provchain::ledger::succession::Succession;

/// A founded ledger whose machine is of this version.
pub struct State {
    pub connection: Connection,
    machine: Ledger,
    directory: SharedDirectory,
    version: u32,
}

impl State {
    pub fn of(version: u32) -> Self {
        let connection = Connection::open_in_memory().unwrap();
        let directory = SharedDirectory::default();
        let machine = Ledger::with_directory(directory.clone());
        let mut state = Self {
            connection,
            machine,
            directory,
            version: 0,
        };
        state.upgrade(version);
        let found = Found {
            origin: "ledger.example/versions".into(),
            secret: vec![7; 32],
        };
        state.apply(change::Change::Found(found));
        state
    }

    pub fn upgrade(&mut self, version: u32) {
        for migration in &Ledger::MIGRATIONS[self.version as usize..version as usize] {
            self.connection.execute_batch(migration).unwrap();
        }
        self.version = version;
        self.machine.load(&self.connection).unwrap();
    }

    pub fn apply(&mut self, change: change::Change) -> Reply {
        let entry = EntryInfo {
            index: 1,
            term: 1,
            version: self.version,
        };
        let transaction = self.connection.transaction().unwrap();
        let reply = self.machine.apply(&transaction, entry, Command::of(change));
        transaction.commit().unwrap();
        reply.unwrap()
    }

    fn capture(&mut self, number: u64, visibility: Visibility) -> Reply {
        let sealed = new_entry(number)
            .seal(entry_key(number), Custody::Plain)
            .unwrap();
        let entry = Entry {
            leaf: sealed.leaf.encode().to_vec(),
            payload: sealed.payload.as_bytes().to_vec(),
            key: sealed.key.encode(),
            identity: vec![number as u8; 32],
            content: vec![number as u8; 32],
        };
        self.apply(change::Change::Capture(Capture {
            id: format!("capture {number}"),
            entries: vec![entry],
            owner: "farm".into(),
            visibility: visibility.code().into(),
            ..Capture::default()
        }))
    }

    fn make_user(&mut self) -> Reply {
        self.apply(change::Change::Access(ChangeAccess {
            change: Some(AccessChange::PutUser(PutUser {
                name: "ann".into(),
                role: Some("farmer".into()),
                ..PutUser::default()
            })),
            ..ChangeAccess::default()
        }))
    }

    fn keys(&mut self, change: KeysChange) -> Reply {
        self.apply(change::Change::Keys(ChangeKeys {
            time_ms: 5,
            actor: "ann".into(),
            change: Some(change),
        }))
    }

    fn register(&mut self, seed: u8) -> Reply {
        self.apply(change::Change::RegisterNode(RegisterNode {
            name: "node1".into(),
            public_key: public(seed).to_vec(),
            time_ms: 1,
        }))
    }

    fn seal(&mut self, seed: u8, first: bool) -> Reply {
        let tip = match read::last_block(&self.connection).unwrap() {
            Some(block) if !first => Tip::after(&block.header),
            _ => Tip::of_new_ledger(ORIGIN),
        };
        let size = read::founded(&self.connection).unwrap().unwrap().size;
        let root = read::root(&self.connection, size).unwrap();
        let key = SigningKey::from_bytes(&[seed; 32]);
        let header = tip.next(size, root, 1, &key.verifying_key()).unwrap();
        let block = header.sign(&key).encode().to_vec();
        self.apply(change::Change::Seal(Seal { block }))
    }
}

const ORIGIN: &str = "ledger.example/versions";

fn public(seed: u8) -> [u8; 32] {
    SigningKey::from_bytes(&[seed; 32])
        .verifying_key()
        .to_bytes()
}

fn succeed(origin: &str, old: u8, new: u8) -> KeysChange {
    let key = |seed: u8| {
        let key = SigningKey::from_bytes(&[seed; 32]);
        SignerKey::new(origin, SignatureType::Ed25519, key).unwrap()
    };
    KeysChange::Succeed(Succeed {
        note: Succession::sign(4, &key(old), &key(new)).unwrap(),
        cosigner: public(new + 100).to_vec(),
    })
}

impl State {
    fn name_a_query(&mut self) -> Reply {
        self.apply(change::Change::Queries(ChangeQueries {
            change: Some(QueriesChange::PutQuery(PutQuery {
                query: QueryName {
                    party: "farm".into(),
                    name: "all".into(),
                },
                definition: "{}".into(),
                ..PutQuery::default()
            })),
            ..ChangeQueries::default()
        }))
    }
}

pub fn is_refused(reply: &Reply) -> bool {
    matches!(reply.reply, Some(reply::Reply::Refused(_)))
}

#[test]
fn before_all_nodes_know_of_owners_nothing_is_taken_that_is_not_for_everybody() {
    let mut state = State::of(1);
    for visibility in [Visibility::Partner, Visibility::Private] {
        assert!(is_refused(&state.capture(1, visibility)));
    }
    assert!(is_refused(&state.make_user()));
    assert!(!is_refused(&state.capture(2, Visibility::Public)));
    // The rows are those that a node of the build before has.
    let entry = read::entry(&state.connection, 0).unwrap().unwrap();
    assert_eq!(
        (entry.access.owner, entry.access.visibility),
        (0, Visibility::Public)
    );
    assert!(read::entry(&state.connection, 1).unwrap().is_none());
    let capture = read::capture(&state.connection, "capture 2")
        .unwrap()
        .unwrap();
    assert_eq!((capture.events, capture.owner), (1, 0));
}

#[test]
fn afterwards_what_was_there_is_nobodys_and_public_and_what_comes_has_an_owner() {
    let mut state = State::of(1);
    state.capture(1, Visibility::Public);
    state.upgrade(2);
    assert!(!is_refused(&state.capture(2, Visibility::Private)));
    assert!(!is_refused(&state.make_user()));
    let access = |index| {
        read::entry(&state.connection, index)
            .unwrap()
            .unwrap()
            .access
    };
    assert_eq!(
        (access(0).owner, access(0).visibility),
        (0, Visibility::Public)
    );
    assert_eq!(
        (access(1).owner, access(1).visibility),
        (1, Visibility::Private)
    );
    // What requests see is what a node reads that starts on these rows.
    let fresh = SharedDirectory::default();
    Ledger::with_directory(fresh.clone())
        .load(&state.connection)
        .unwrap();
    assert_eq!(fresh.now(), state.directory.now());
    assert!(fresh.now().users.contains_key("ann"));
    assert_eq!(fresh.now().parties.id("farm"), Some(1));
}

#[test]
fn before_all_nodes_know_of_named_queries_none_is_made() {
    let mut state = State::of(2);
    assert!(is_refused(&state.name_a_query()));
    assert_eq!(state.directory.now().parties.id("farm"), None);
    assert_eq!(queries::query(&state.connection, 1, "all").unwrap(), None);
    assert!(
        queries::subscriptions(&state.connection)
            .unwrap()
            .is_empty()
    );
    state.upgrade(3);
    assert!(!is_refused(&state.name_a_query()));
    // The party has its number on every node, and in what requests see.
    let party = state.directory.now().parties.id("farm").unwrap();
    let made = queries::query(&state.connection, party, "all").unwrap();
    assert_eq!(made.unwrap().definition, "{}");
}

#[test]
fn before_all_nodes_know_of_successions_no_key_hands_over() {
    let mut state = State::of(2);
    state.register(1);
    let put = KeysChange::PutCosigner(PutCosigner {
        node: public(1).to_vec(),
        cosigner: public(101).to_vec(),
    });
    assert!(is_refused(&state.keys(put.clone())));
    assert!(is_refused(&state.keys(succeed(ORIGIN, 1, 2))));
    let known = keys::node_keys(&state.connection).unwrap();
    assert_eq!((known.len(), known[0].cosigner), (1, None));
    state.upgrade(3);
    assert!(!is_refused(&state.keys(put)));
    assert!(!is_refused(&state.keys(succeed(ORIGIN, 1, 2))));
}

#[test]
fn a_key_hands_over_once_by_a_note_of_its_ledger_and_seals_nothing_afterwards() {
    let mut state = State::of(3);
    state.register(1);
    state.register(7);
    state.capture(1, Visibility::Public);
    assert!(!is_refused(&state.seal(1, true)));
    let forged = match succeed(ORIGIN, 1, 2) {
        KeysChange::Succeed(succeed) => KeysChange::Succeed(Succeed {
            note: succeed.note.replace("\n4\n", "\n5\n"),
            ..succeed
        }),
        other @ KeysChange::PutCosigner(_) => other,
    };
    for refused in [
        forged,
        succeed("ledger.example/other", 1, 2),
        succeed(ORIGIN, 3, 2),
        succeed(ORIGIN, 1, 7),
    ] {
        assert!(is_refused(&state.keys(refused.clone())), "{refused:?}");
    }
    assert!(!is_refused(&state.keys(succeed(ORIGIN, 1, 2))));
    // A retry has one effect, and a second successor none.
    assert!(!is_refused(&state.keys(succeed(ORIGIN, 1, 2))));
    assert!(is_refused(&state.keys(succeed(ORIGIN, 1, 3))));
    let known = keys::node_keys(&state.connection).unwrap();
    let shown: Vec<_> = known
        .iter()
        .map(|key| {
            (
                key.public_key,
                &*key.node,
                key.cosigner,
                key.succession.is_some(),
            )
        })
        .collect();
    let new = (public(2), "node1", Some(public(102)), false);
    assert_eq!(shown.len(), 3);
    assert!(
        shown.contains(&(public(1), "node1", None, true)) && shown.contains(&new),
        "{shown:?}"
    );

    state.capture(2, Visibility::Public);
    assert!(is_refused(&state.seal(1, false)));
    assert!(!is_refused(&state.seal(2, false)));
    // What requests see is what a node reads that starts on these rows.
    let retired = RetiredKeys::default();
    Ledger::default()
        .with_retired(retired.clone())
        .load(&state.connection)
        .unwrap();
    assert!(retired.contains(&public(1)) && !retired.contains(&public(2)));
}
