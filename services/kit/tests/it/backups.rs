//! Backups: whole or absent, verified on the way back.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use jiff::SignedDuration;
use kit::backup::{
    BackupError, BackupSettings, Job, Manifest, Source, SourceError, Target, create, restore,
    run_schedule, verify,
};
use kit::health::{Check, Health, Status};
use kit::shutdown::Shutdown;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, memory::InMemory, path::Path as Key,
};
use serde_json::{Map, Value};

/// A pantry with three files.
struct Pantry;

impl Source for Pantry {
    fn snapshot(&self, into: &Path) -> Result<Map<String, Value>, SourceError> {
        std::fs::create_dir(into.join("shelf"))?;
        std::fs::write(into.join("shelf/flour"), vec![b'f'; 3_000_000])?;
        std::fs::write(into.join("salt"), "salt")?;
        std::fs::write(into.join("nothing"), "")?;
        Ok(Map::from_iter([("applied_index".to_owned(), 7.into())]))
    }

    fn verify(&self, folder: &Path, fields: &Map<String, Value>) -> Result<(), SourceError> {
        assert_eq!(fields["applied_index"], 7, "what the manifest says");
        if folder.join("salt").exists() {
            Ok(())
        } else {
            Err("no salt".into())
        }
    }

    fn complete(&self, folder: &Path, _: &Map<String, Value>) -> Result<(), SourceError> {
        Ok(std::fs::write(folder.join("label"), "restored")?)
    }
}

/// A source that fails in the middle.
struct Burning;

impl Source for Burning {
    fn snapshot(&self, into: &Path) -> Result<Map<String, Value>, SourceError> {
        std::fs::write(into.join("ash"), "ash")?;
        Err("the pantry burns".into())
    }

    fn verify(&self, _: &Path, _: &Map<String, Value>) -> Result<(), SourceError> {
        Err("never good enough".into())
    }
}

struct Place {
    folder: tempfile::TempDir,
    target: Target,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let target = Target::open(&url(&folder.path().join("backups")), []).expect("a target");
        Self { folder, target }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn backup(&self) -> Manifest {
        create(
            &self.target,
            Arc::new(Pantry),
            "pantry",
            "node-1",
            &self.path("scratch"),
        )
        .await
        .expect("a backup")
    }

    /// A file of a backup, as it lies in the target.
    fn stored(&self, backup: &Manifest, file: &str) -> PathBuf {
        self.path("backups").join(&backup.name).join(file)
    }
}

fn url(path: &Path) -> String {
    format!("file://{}", path.display())
}

fn entries(path: &Path) -> usize {
    std::fs::read_dir(path).map_or(0, Iterator::count)
}

#[tokio::test]
async fn what_is_restored_is_what_was_there() {
    let place = Place::new();
    let made = place.backup().await;
    assert_eq!(
        place.target.list().await.expect("listed"),
        std::slice::from_ref(&made)
    );
    assert_eq!(made.fields["applied_index"], 7);
    assert_eq!(made.size_bytes(), 3_000_004);
    let salt = made
        .files
        .iter()
        .find(|file| file.path == "salt")
        .expect("listed");
    // sha256sum of the four bytes.
    assert_eq!(
        salt.sha256,
        "63479ad69a090b258277ec8fba6f99419a2ffb248981510657c944ccd1148e97"
    );
    let into = place.path("restored");
    let restored = restore(&place.target, Arc::new(Pantry), &made.name, &into)
        .await
        .expect("restored");
    assert_eq!(restored, made);
    assert_eq!(
        std::fs::read(into.join("shelf/flour")).expect("there"),
        vec![b'f'; 3_000_000]
    );
    assert_eq!(std::fs::read(into.join("nothing")).expect("there"), b"");
    assert_eq!(
        std::fs::read(into.join("label")).expect("there"),
        b"restored"
    );
    let scratch = place.path("scratch");
    let checked = verify(&place.target, Arc::new(Pantry), &made.name, &scratch);
    assert_eq!(checked.await.expect("verified"), made);
    assert_eq!(
        entries(&place.path("scratch")),
        0,
        "nothing is left in the scratch folder"
    );
}

#[tokio::test]
async fn damage_is_found_and_named_and_restores_nothing() {
    let place = Place::new();
    let damages = [
        ("its SHA-256", Some("sald")),
        ("bytes", Some("salt and pepper")),
        ("missing", None),
    ];
    for (expected, damaged) in damages {
        let made = place.backup().await;
        let path = place.stored(&made, "salt");
        let damage = damaged.map_or_else(
            || std::fs::remove_file(&path),
            |text| std::fs::write(&path, text),
        );
        damage.expect("damaged");
        let into = place.path("restored");
        let error = place
            .target
            .fetch_verified(&made.name, &into)
            .await
            .expect_err("damaged");
        assert!(
            matches!(&error, BackupError::Damaged { file, .. } if file == "salt"),
            "{error}"
        );
        assert!(error.to_string().contains(expected), "{error}");
        assert!(!into.exists());
    }
    assert_eq!(
        entries(place.folder.path()),
        2,
        "the target and the scratch folder, and nothing half-restored"
    );
}

#[tokio::test]
async fn a_manifest_that_points_elsewhere_is_refused() {
    let place = Place::new();
    let made = place.backup().await;
    let path = place.stored(&made, "manifest.json");
    let text = std::fs::read_to_string(&path).expect("there");
    std::fs::write(&path, text.replace("\"salt\"", "\"../../escaped\"")).expect("written");
    let error = place
        .target
        .fetch_verified(&made.name, &place.path("restored"))
        .await
        .expect_err("refused");
    assert!(
        error.to_string().contains("is not a path inside a backup"),
        "{error}"
    );
    for name in ["../backups", "", ".", "a/b", "no-such-backup"] {
        let error = place
            .target
            .fetch_verified(name, &place.path("restored"))
            .await
            .expect_err("no such backup");
        assert!(matches!(error, BackupError::NotFound(_)), "{name}: {error}");
    }
}

#[tokio::test]
async fn restoring_overwrites_nothing_and_asks_the_service() {
    let place = Place::new();
    let made = place.backup().await;
    let into = place.path("restored");
    std::fs::create_dir(&into).expect("made");
    std::fs::write(into.join("precious"), "do not lose").expect("written");
    let error = restore(&place.target, Arc::new(Pantry), &made.name, &into)
        .await
        .expect_err("not empty");
    assert!(matches!(error, BackupError::NotEmpty(_)));
    std::fs::remove_file(into.join("precious")).expect("removed");
    let error = restore(&place.target, Arc::new(Burning), &made.name, &into)
        .await
        .expect_err("refused");
    assert!(matches!(error, BackupError::Refused(_)));
    assert_eq!(entries(&into), 0);
    restore(&place.target, Arc::new(Pantry), &made.name, &into)
        .await
        .expect("an empty folder will do");
    let mut left: Vec<_> = std::fs::read_dir(&into)
        .expect("there")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["label", "nothing", "salt", "shelf"]);
    assert_eq!(entries(place.folder.path()), 3, "and nothing beside it");
}

#[tokio::test]
async fn a_snapshot_that_fails_leaves_nothing() {
    let place = Place::new();
    let made = create(
        &place.target,
        Arc::new(Burning),
        "pantry",
        "node-1",
        &place.path("scratch"),
    )
    .await;
    assert_eq!(
        made.expect_err("it burns").to_string(),
        "the service could not write its snapshot: the pantry burns"
    );
    assert_eq!(
        (
            entries(&place.path("backups")),
            entries(&place.path("scratch"))
        ),
        (0, 0)
    );
}

#[tokio::test]
async fn a_target_that_cannot_be_used_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    std::fs::write(&file, "").expect("written");
    let error = Target::open(&url(&file.join("backups")), [])
        .expect_err("not a folder")
        .to_string();
    assert!(
        error.contains("creating") && error.contains("file/backups"),
        "{error}"
    );
    for text in ["backups", "ftp://host/backups", "file://host/backups"] {
        let error = Target::open(text, [])
            .expect_err("not a target")
            .to_string();
        assert!(error.contains("use file:///folder"), "{error}");
    }
    let error =
        Target::open("ftp://user:hunter2@host/backups?key=hunter2", []).expect_err("not a target");
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

#[tokio::test]
async fn object_stores_are_opened_with_the_names_of_their_variables() {
    let options = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    };
    let aws = options(&[
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "hunter2"),
        ("PATH", "/bin"),
    ]);
    Target::open("s3://bucket/prefix", aws).expect("an S3 bucket");
    let azure = options(&[
        ("AZURE_STORAGE_ACCOUNT_NAME", "account"),
        ("AZURE_STORAGE_ACCOUNT_KEY", "aHVudGVyMg=="),
    ]);
    Target::open("az://container/prefix", azure).expect("an Azure container");
    let google = options(&[("GOOGLE_SKIP_SIGNATURE", "true")]);
    Target::open("gs://bucket/prefix", google).expect("a Google bucket");
}

#[tokio::test]
async fn a_full_store_leaves_no_half_backup() {
    let folder = tempfile::tempdir().expect("a folder");
    // A backup is three files and a manifest: the store fills up at each of them in turn.
    for room in 0..4 {
        let store = Arc::new(Filling {
            store: InMemory::new(),
            room: AtomicUsize::new(room),
        });
        let target = Target::over(store.clone(), Key::from("prefix"), "memory:///");
        let error = create(&target, Arc::new(Pantry), "pantry", "node-1", folder.path())
            .await
            .expect_err("full");
        assert!(error.to_string().contains("no space left"), "{error}");
        assert!(target.list().await.expect("listed").is_empty());
        let left: Vec<_> = futures_util::StreamExt::collect(store.store.list(None)).await;
        assert!(
            left.is_empty(),
            "with room for {room} files {left:?} is left"
        );
    }
}

#[tokio::test]
async fn an_upload_that_breaks_off_is_no_backup_and_is_cleared_away_a_day_later() {
    let place = Place::new();
    let made = place.backup().await;
    // As a process that died just before the manifest would leave it.
    std::fs::remove_file(place.stored(&made, "manifest.json")).expect("removed");
    assert!(place.target.list().await.expect("listed").is_empty());
    let error = place
        .target
        .fetch_verified(&made.name, &place.path("restored"))
        .await
        .expect_err("no backup");
    assert!(matches!(error, BackupError::NotFound(_)), "{error}");
    place.target.prune("pantry", 1, 1).await.expect("pruned");
    assert_eq!(
        entries(&place.path("backups")),
        1,
        "it could still be under way"
    );
    let later = kit::clock::now() + SignedDuration::from_hours(25);
    std::fs::create_dir(place.path("backups/somebody-elses")).expect("made");
    std::fs::write(place.path("backups/somebody-elses/file"), "").expect("written");
    let pruned = place.target.prune_at("pantry", 1, 1, later).await;
    pruned.expect("pruned");
    assert_eq!(
        entries(&place.path("backups")),
        1,
        "what is not a backup's is left alone"
    );
    assert!(place.path("backups/somebody-elses/file").exists());
}

#[tokio::test]
async fn pruning_keeps_the_young_and_the_newest_of_every_node() {
    let place = Place::new();
    let mut names = Vec::new();
    for (node, days) in [
        ("node-1", 40),
        ("node-1", 35),
        ("node-1", 32),
        ("node-1", 2),
        ("node-2", 50),
        ("node-2", 45),
    ] {
        let mut made = place.backup().await;
        let path = place.stored(&made, "manifest.json");
        made.node = node.to_owned();
        made.created_at = kit::clock::now() - SignedDuration::from_hours(24 * days);
        std::fs::write(path, serde_json::to_vec(&made).expect("JSON")).expect("written");
        names.push(made.name);
    }
    let others = place.target.prune("cellar", 0, 1).await.expect("pruned");
    assert!(others.is_empty(), "those of another service");
    let removed = place.target.prune("pantry", 30, 2).await.expect("pruned");
    assert_eq!(removed, [names[1].clone(), names[0].clone()]);
    let left: Vec<String> = place
        .target
        .list()
        .await
        .expect("listed")
        .into_iter()
        .map(|made| made.name)
        .collect();
    assert_eq!(
        left,
        [&names[4], &names[5], &names[2], &names[3]].map(Clone::clone)
    );
}

#[tokio::test]
async fn pruning_never_removes_the_last_good_one() {
    let place = Place::new();
    let mut made = Vec::new();
    for (days, damage) in [
        (60, None),
        (50, None),
        (40, Some("salt")),
        (35, Some("salt")),
    ] {
        let mut backup = place.backup().await;
        backup.created_at = kit::clock::now() - SignedDuration::from_hours(24 * days);
        let manifest = serde_json::to_vec(&backup).expect("JSON");
        std::fs::write(place.stored(&backup, "manifest.json"), manifest).expect("written");
        if let Some(file) = damage {
            std::fs::write(place.stored(&backup, file), "s").expect("truncated");
        }
        made.push(backup);
    }
    let removed = place.target.prune("pantry", 1, 0).await.expect("pruned");
    let expected = [&made[3], &made[2], &made[0]].map(|backup| backup.name.clone());
    assert_eq!(removed, expected);
    let last = place.target.list().await.expect("listed");
    assert_eq!(last, [made[1].clone()]);
    let into = place.path("restored");
    let fetched = place.target.fetch_verified(&last[0].name, &into).await;
    fetched.expect("whole");
}

#[test]
fn targets_overlap_when_one_is_or_lies_in_the_other() {
    for (one, other) in [
        ("/backups", "file:///backups/"),
        ("/backups/keys", "/backups"),
        ("s3://bucket", "s3://bucket/ledger"),
        ("s3://bucket/a?x=1", "s3://bucket/a"),
    ] {
        assert!(Target::overlap(one, other), "{one} {other}");
        assert!(Target::overlap(other, one), "{other} {one}");
    }
    for (one, other) in [
        ("/backups", "/backups-of-keys"),
        ("s3://bucket/ledger", "s3://bucket/keys"),
        ("s3://bucket/a", "gs://bucket/a"),
        ("s3://one/a", "s3://two/a"),
    ] {
        assert!(!Target::overlap(one, other), "{one} {other}");
    }
}

/// A job that backs the pantry up every second.
fn job(target: &Path, scratch: &Path, turn: &Arc<AtomicBool>) -> Job {
    let turn = Arc::clone(turn);
    Job {
        settings: BackupSettings {
            target: Some(target.display().to_string()),
            schedule: "* * * * * *".to_owned(),
            ..BackupSettings::default()
        },
        environment: Vec::new(),
        source: Arc::new(Pantry),
        service: "pantry".to_owned(),
        node: "node-1".to_owned(),
        scratch: scratch.to_owned(),
        turn: Arc::new(move || {
            let turn = turn.load(Ordering::SeqCst);
            Box::pin(async move { turn })
        }),
    }
}

/// What the health says of the backups.
fn health(health: &Health) -> Check {
    let checks = health.checks();
    let found = checks.into_iter().find(|(name, _)| name == "pantry-backup");
    found.map_or_else(|| Check::pass("not yet"), |(_, check)| check)
}

async fn until(mut reached: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !reached().await {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    let limit = std::time::Duration::from_secs(60);
    tokio::time::timeout(limit, waiting).await.expect("in time");
}

#[tokio::test]
async fn a_schedule_makes_backups_while_it_is_this_nodes_turn_until_the_shutdown() {
    let place = Place::new();
    let shutdown = Shutdown::new(std::time::Duration::ZERO);
    let turn = Arc::new(AtomicBool::new(false));
    let job = job(&place.path("backups"), &place.path("scratch"), &turn);
    let told = Health::new("pantry", "node-1", "1");
    let running = {
        let (told, shutdown) = (told.clone(), shutdown.clone());
        tokio::spawn(async move { run_schedule(job, &told, shutdown).await })
    };
    until(async || health(&told).detail.contains("another node")).await;
    assert!(place.target.list().await.expect("listed").is_empty());
    turn.store(true, Ordering::SeqCst);
    until(async || place.target.list().await.expect("listed").len() > 1).await;
    assert!(health(&told).detail.contains("the newest"));
    shutdown.request("a test");
    running.await.expect("not panicked").expect("ended");
}

#[tokio::test]
async fn a_dead_target_is_a_warning_and_is_tried_again() {
    let place = Place::new();
    let shutdown = Shutdown::new(std::time::Duration::ZERO);
    let dead = place.path("mounted-later");
    std::fs::write(&dead, "no folder").expect("written");
    let left = place.path("scratch/backup-of-a-process-that-was-killed");
    std::fs::create_dir_all(&left).expect("made");
    let turn = Arc::new(AtomicBool::new(true));
    let job = job(&dead.join("backups"), &place.path("scratch"), &turn);
    let told = Health::new("pantry", "node-1", "1");
    let running = {
        let (told, shutdown) = (told.clone(), shutdown.clone());
        tokio::spawn(async move { run_schedule(job, &told, shutdown).await })
    };
    until(async || health(&told).status == Status::Warn).await;
    let detail = health(&told).detail;
    assert!(!detail.contains("mounted-later"), "{detail}");
    assert!(!left.exists(), "what was left behind is cleared away");
    std::fs::remove_file(&dead).expect("removed");
    until(async || health(&told).status == Status::Pass).await;
    let target = Target::open(&url(&dead.join("backups")), []).expect("a target");
    assert!(!target.list().await.expect("listed").is_empty());
    shutdown.request("a test");
    running.await.expect("not panicked").expect("ended");
}

/// A store with room for so many files.
#[derive(Debug)]
struct Filling {
    store: InMemory,
    room: AtomicUsize,
}

impl Filling {
    fn take_place(&self) -> object_store::Result<()> {
        let taken = self
            .room
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |room| {
                room.checked_sub(1)
            });
        let full = |_| object_store::Error::Generic {
            store: "memory",
            source: "no space left".into(),
        };
        taken.map(|_| ()).map_err(full)
    }
}

impl fmt::Display for Filling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a store that fills up")
    }
}

#[async_trait]
impl ObjectStore for Filling {
    async fn put_opts(
        &self,
        key: &Key,
        payload: PutPayload,
        options: PutOptions,
    ) -> object_store::Result<PutResult> {
        self.take_place()?;
        self.store.put_opts(key, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        key: &Key,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.take_place()?;
        self.store.put_multipart_opts(key, options).await
    }

    async fn get_opts(&self, key: &Key, options: GetOptions) -> object_store::Result<GetResult> {
        self.store.get_opts(key, options).await
    }

    fn delete_stream(
        &self,
        keys: BoxStream<'static, object_store::Result<Key>>,
    ) -> BoxStream<'static, object_store::Result<Key>> {
        self.store.delete_stream(keys)
    }

    fn list(&self, prefix: Option<&Key>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.store.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Key>) -> object_store::Result<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(
        &self,
        from: &Key,
        to: &Key,
        options: CopyOptions,
    ) -> object_store::Result<()> {
        self.store.copy_opts(from, to, options).await
    }
}
