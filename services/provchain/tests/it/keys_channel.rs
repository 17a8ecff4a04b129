//! What members say to one another about subject keys, and what a hostile one can do by it.

use std::time::Duration;

use bytes::Bytes;
use consensus::{Cluster, NodeConfig, Settings};
use kit::settings::Secret;
use prost::Message as _;
use provchain::keys::{
    Answer, CHANNEL, Destroyed, Keeper, Key, Keys, List, Names, Question, SubjectStore, question,
};
use provchain::ledger::Digest;
use provchain::ledger::key::SubjectKey;
use provchain::machine::Ledger;
use provchain::subject::KeyId;
use tempfile::TempDir;
use tokio::sync::watch;

/// A member whose keys another one asks for.
struct Asked {
    store: SubjectStore,
    keeper: Keeper,
    member: Cluster<Ledger>,
    hostile: Cluster<Ledger>,
    _folder: TempDir,
}

async fn node(folder: &TempDir, name: &str, peers: Vec<String>) -> Cluster<Ledger> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = NodeConfig {
        name: name.into(),
        address: listener.local_addr().unwrap().to_string(),
        peers: Some(peers),
        data_dir: folder.path().join(name),
        network: "channel".into(),
        secret: Secret::new("what all nodes know and nobody else does"),
        tls: None,
        settings: Settings {
            formation_wait_ms: 100,
            ..Settings::default()
        },
    };
    let (cluster, peers) = Cluster::start(config, Ledger::default()).await.unwrap();
    tokio::spawn(async move { axum::serve(listener, peers).await });
    assert!(cluster.ready(Duration::from_secs(60)).await);
    cluster
}

fn id(number: u8) -> KeyId {
    KeyId {
        subject: Digest([number; 32]),
        generation: 0,
        id: [number; 16],
    }
}

fn key(number: u8) -> Key {
    Key {
        name: id(number).to_string(),
        key: vec![number; 32],
    }
}

impl Asked {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let member = node(&folder, "n1", Vec::new()).await;
        let own = member.status().members[0].address.clone();
        let hostile = node(&folder, "n2", vec![own]).await;
        let store = SubjectStore::open(&folder.path().join("subjects.db")).unwrap();
        let forgotten = watch::Sender::new(0).subscribe();
        let keeper = Keeper::new(&member, store.clone(), forgotten);
        Self {
            store,
            keeper,
            member,
            hostile,
            _folder: folder,
        }
    }

    async fn bytes(&self, question: Vec<u8>) -> Result<Answer, String> {
        let asked = self.hostile.ask("n1", CHANNEL, Bytes::from(question));
        let answer = asked.await.map_err(|error| error.to_string())?;
        Answer::decode(answer).map_err(|error| error.to_string())
    }

    async fn ask(&self, kind: question::Kind) -> Result<Answer, String> {
        self.bytes(Question { kind: Some(kind) }.encode_to_vec())
            .await
    }

    async fn keep(&self, keys: Vec<Key>) -> Result<Answer, String> {
        self.ask(question::Kind::Keep(Keys { keys })).await
    }
}

#[tokio::test]
async fn members_keep_and_give_keys_and_refuse_what_is_none() {
    let asked = Asked::start().await;
    let kept = asked.keep(vec![key(1), key(2)]).await.unwrap();
    assert_eq!(kept.names, [id(1).to_string(), id(2).to_string()]);
    let names = |names: &[KeyId]| {
        question::Kind::Give(Names {
            names: names.iter().map(ToString::to_string).collect(),
        })
    };
    let given = asked.ask(names(&[id(2), id(9)])).await.unwrap();
    assert_eq!(given.keys, [key(2)]);

    let before = asked.store.sums();
    let wrong_name = Key {
        name: "Ann".into(),
        ..key(3)
    };
    let wrong_key = Key {
        key: vec![3; 31],
        ..key(3)
    };
    let far = Key {
        name: key(3).name.replace(".0.", ".99999999999999999999."),
        ..key(3)
    };
    let many: Vec<Key> = (0..1_001).map(|_| key(3)).collect();
    for keys in [vec![key(3), wrong_name], vec![wrong_key], vec![far], many] {
        assert!(asked.keep(keys).await.is_err());
    }
    // A name keeps its key.
    let other = Key {
        key: vec![9; 32],
        ..key(1)
    };
    assert_eq!(asked.keep(vec![other]).await.unwrap().names, [""; 0]);
    for question in [
        question::Kind::Give(Names {
            names: vec!["x".into()],
        }),
        question::Kind::Give(Names {
            names: vec![id(1).to_string(); 1_001],
        }),
        question::Kind::List(List {
            part: 256,
            after: String::new(),
        }),
        question::Kind::List(List {
            part: 1,
            after: "x".into(),
        }),
        question::Kind::Destroyed(Destroyed {
            subject: vec![1; 31],
            below: 1,
            erasure: 0,
        }),
    ] {
        assert!(asked.ask(question.clone()).await.is_err(), "{question:?}");
    }
    for bytes in [vec![], vec![0xff; 100], vec![0x0a, 0x7f], vec![0; 1 << 20]] {
        assert!(asked.bytes(bytes).await.is_err());
    }
    assert_eq!(asked.store.sums(), before);
    assert_eq!(asked.store.key(&id(1)).unwrap().unwrap().expose(), &[1; 32]);
    assert_eq!(
        asked.ask(question::Kind::Sums(true)).await.unwrap().sums,
        before
    );
}

#[tokio::test]
async fn a_member_says_that_a_subject_is_erased_only_when_it_is_and_takes_its_keys_no_more() {
    let asked = Asked::start().await;
    asked.keep(vec![key(1)]).await.unwrap();
    let destroyed = question::Kind::Destroyed(Destroyed {
        subject: vec![1; 32],
        below: 1,
        erasure: 0,
    });
    assert!(!asked.ask(destroyed.clone()).await.unwrap().destroyed);
    asked.store.destroy(Digest([1; 32]), 1).unwrap();
    assert!(asked.ask(destroyed).await.unwrap().destroyed);
    assert_eq!(asked.keep(vec![key(1)]).await.unwrap().names, [""; 0]);
    // An erasure that it has not followed yet is none.
    let later = question::Kind::Destroyed(Destroyed {
        subject: vec![1; 32],
        below: 1,
        erasure: 7,
    });
    assert!(!asked.ask(later).await.unwrap().destroyed);
}

#[tokio::test]
async fn a_member_that_gives_what_was_not_asked_for_or_lists_for_ever_is_not_followed() {
    let asked = Asked::start().await;
    let (own, one) = (asked.keeper.clone(), id(5));
    // It claims to have other keys than it has, and gives one that nobody wants.
    asked
        .hostile
        .answer(CHANNEL, move |_, question| async move {
            let question = Question::decode(question).map_err(|error| error.to_string())?;
            let answer = match question.kind {
                Some(question::Kind::Sums(_)) => Answer {
                    sums: vec![vec![7; 24]; 300],
                    ..Answer::default()
                },
                // The same page again and again.
                Some(question::Kind::List(_)) => Answer {
                    names: vec![one.to_string()],
                    ..Answer::default()
                },
                Some(question::Kind::Give(_)) => Answer {
                    keys: vec![key(6), key(5)],
                    ..Answer::default()
                },
                _ => return Err("no".into()),
            };
            Ok(Bytes::from(answer.encode_to_vec()))
        });
    let exchanging = tokio::spawn(async move { own.exchange().await });
    super::cluster::until("it has fetched what it asked for", async || {
        asked.store.key(&id(5)).unwrap().is_some()
    })
    .await;
    exchanging.abort();
    assert!(asked.store.key(&id(6)).unwrap().is_none());
    let key = SubjectKey::from_random([5; 32]);
    assert_eq!(
        asked.store.key(&id(5)).unwrap().unwrap().expose(),
        key.expose()
    );
    assert!(asked.member.unready().is_none());
}
