//! Backups that somebody who can write to the target has changed.

use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use provchain::backup::statement;
use provchain::ledger::Digest;
use provchain::ledger::note::{SignatureType, SignerKey};
use rusqlite::{Connection, OpenFlags, params};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::cluster::{Ledger, copy};
use super::cluster_backup::{done, keys, refused, text};
use super::cluster_verify::verify;

/// A target with one backup of a ledger, and the folder of that backup.
struct Forged {
    target: PathBuf,
    folder: PathBuf,
}

impl Forged {
    /// A copy to be changed.
    fn of(ledger: &Ledger, original: &Path, name: &str) -> Self {
        let target = ledger.scratch("forged");
        std::fs::remove_dir_all(&target).expect("removed");
        copy(original, &target);
        let folder = target.join(name);
        Self { target, folder }
    }

    #[expect(clippy::disallowed_methods, reason = "a copy, to be forged")]
    fn state(&self) -> Connection {
        let path = self.folder.join("state/state-000001.db");
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).expect("a database")
    }

    fn change(&self, sql: &str) {
        let changed = self.state().execute(sql, []).expect(sql);
        assert_eq!(changed, 1, "{sql}");
    }

    /// Lets the manifest fit to what is there now.
    fn mend(&self) {
        let digest = consensus::digest(&self.state()).expect("a digest");
        self.mend_files(Some(&hex::encode(digest)));
    }

    /// The same, with this digest of all rows, or with the one that it has.
    fn mend_files(&self, digest: Option<&str>) {
        let path = self.folder.join("manifest.json");
        let text = std::fs::read_to_string(&path).expect("a manifest");
        let mut manifest: Value = serde_json::from_str(&text).expect("JSON");
        if let Some(digest) = digest {
            manifest["fields"]["digest"] = digest.into();
        }
        let files = manifest["files"].as_array_mut().expect("files");
        files.retain_mut(|file| {
            let path = self.folder.join(file["path"].as_str().expect("a path"));
            let Ok(bytes) = std::fs::read(path) else {
                return false;
            };
            file["size"] = bytes.len().into();
            file["sha256"] = hex::encode(Sha256::digest(&bytes)).into();
            true
        });
        std::fs::write(path, json!(manifest).to_string()).expect("written");
    }

    /// Makes the forger a node of the ledger, and lets him sign for all rows.
    fn sign(&self) {
        let key = SigningKey::from_bytes(&[66; 32]);
        let state = self.state();
        let public_key = key.verifying_key().to_bytes();
        state
            .execute(
                "INSERT INTO node VALUES (?1, 'forger', 0)",
                params![public_key],
            )
            .expect("written");
        let origin: String = state
            .query_row("SELECT origin FROM ledger", [], |row| row.get(0))
            .expect("an origin");
        let digest = Digest(consensus::digest(&state).expect("a digest"));
        let key = SignerKey::new(&origin, SignatureType::Ed25519, key).expect("a key");
        let note = statement(&origin, digest).sign(&key).expect("signed");
        std::fs::write(self.folder.join("backup.note"), note).expect("written");
    }
}

#[tokio::test]
async fn what_was_changed_is_refused_whatever_was_mended_and_nothing_is_restored() {
    let ledger = Ledger::start(1).await;
    let (node, keys) = (ledger.first(), keys(&ledger).await);
    ledger.capture_sample(40, 85).await;
    let early = ledger.get(node, "/checkpoint?fresh=true").await.text();
    ledger.capture_sample(60, 86).await;
    let original = ledger.scratch("backups");
    let made = done(&ledger, node, &["now", "--target", text(&original)]);
    let name = made["name"].as_str().expect("a name");
    let into = ledger.scratch("place").join("restored");
    let forged = || Forged::of(&ledger, &original, name);
    let expect = |forged: &Forged, trusted: &[&str], part: &str| {
        for command in [&["verify"][..], &["restore", "--into", text(&into)]] {
            let target = ["--target", text(&forged.target), "--name", name];
            let complaint = refused(&ledger, node, &[command, &target, trusted].concat());
            assert!(complaint.contains(part), "{part}: {complaint}");
            assert!(!into.exists(), "{part}");
        }
    };
    let trusted = ["--keys-file", text(&keys)];
    let payload = "UPDATE entry SET payload = zeroblob(length(payload)) WHERE idx = 7";
    let user = "INSERT INTO user VALUES ('forger', 'admin', 0, 'x', 0, 0)";

    // Rows that no proof covers are the node's word, which a mended digest does not have.
    for sql in [payload, user] {
        let forged = forged();
        forged.change(sql);
        // The digest that the node signed is that of other rows.
        forged.mend_files(None);
        expect(&forged, &trusted, "its digest is");
        forged.mend();
        expect(&forged, &[], "other rows");
        expect(&forged, &trusted, "other rows");
        let (status, report) = verify(&forged.folder, Some(&keys));
        assert_eq!((status, &report["good"]), (1, &false.into()), "{report}");
    }
    // Who makes himself a node of it convinces those who ask for no key; the entries do not lie.
    let own = forged();
    own.change(payload);
    own.sign();
    own.mend();
    expect(&own, &[], "entry 7");
    let own = forged();
    own.change(user);
    own.sign();
    own.mend();
    expect(&own, &trusted, "no signature by a known key");
    let (status, _) = verify(&own.folder, Some(&keys));
    assert_eq!(status, 1);

    for (file, part) in [
        ("checkpoint", "nothing vouches"),
        ("backup.note", "backup.note"),
    ] {
        let forged = forged();
        std::fs::remove_file(forged.folder.join(file)).expect("removed");
        expect(&forged, &[], "missing");
        forged.mend();
        expect(&forged, &[], part);
        expect(&forged, &trusted, part);
    }
    let older = forged();
    let note = std::fs::read_to_string(older.folder.join("checkpoint")).expect("a note");
    let note = note.replacen("\n100\n", "\n99\n", 1);
    std::fs::write(older.folder.join("checkpoint"), note).expect("written");
    older.mend();
    expect(&older, &trusted, "checkpoint");
    // One that the node did sign, over fewer entries, vouches for no more than these.
    let older = forged();
    std::fs::write(older.folder.join("checkpoint"), early).expect("written");
    older.mend();
    expect(&older, &[], "it is of 40 entries");
    expect(&older, &trusted, "it is of 40 entries");

    // What is merely damaged never gets that far.
    let state = "state/state-000001.db";
    let cut = forged();
    let bytes = std::fs::read(cut.folder.join(state)).expect("a state");
    std::fs::write(cut.folder.join(state), &bytes[..bytes.len() / 2]).expect("written");
    expect(&cut, &[], "bytes instead of");
    let missing = forged();
    std::fs::remove_file(missing.folder.join(state)).expect("removed");
    expect(&missing, &[], "it is missing");
    let unmade = forged();
    std::fs::remove_file(unmade.folder.join("manifest.json")).expect("removed");
    expect(&unmade, &[], "no backup");
}
