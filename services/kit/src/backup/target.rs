//! Where backups lie: a folder or an object store.

use std::{
    collections::HashMap,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use object_store::{
    ObjectStore, ObjectStoreExt as _, ObjectStoreScheme, PutPayload, local::LocalFileSystem,
    path::Path as Key,
};
use url::Url;

use super::{
    BackupError, FileEntry, Manifest, Scratch,
    manifest::{MANIFEST, is_name},
};
use crate::{clock, fsync};

/// Manifests that are read at a time.
const READS_MAX: usize = 8;

/// The longest manifest that is read.
const MANIFEST_BYTES_MAX: u64 = 1 << 20;

/// Age at which a folder without manifest counts as broken off rather than under way.
const REMNANT_AGE: SignedDuration = SignedDuration::from_hours(24);

/// Is told the file that is on its way, and how many of its bytes have come through.
pub type Watch = Arc<dyn Fn(&str, u64) + Send + Sync>;

/// A folder or a prefix of a bucket that holds backups.
#[derive(Clone)]
pub struct Target {
    pub(super) store: Arc<dyn ObjectStore>,
    prefix: Key,
    /// For messages: without credentials.
    pub(super) url: String,
    pub(super) watch: Option<Watch>,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Target").field(&self.url).finish()
    }
}

impl Target {
    /// Opens `file:///folder` or `/folder`, which is created if need be, or `s3://bucket/prefix`,
    /// `gs://bucket/prefix`, `az://container/prefix`. `options` are the store's own, under the
    /// names of its environment variables (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT`,
    /// `GOOGLE_SERVICE_ACCOUNT`, `AZURE_STORAGE_ACCOUNT_NAME`, …); others are ignored.
    ///
    /// # Errors
    /// A URL that is not supported, or a folder that cannot be made.
    pub fn open(
        url: &str,
        options: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, BackupError> {
        // What libraries say of a URL repeats it, with the credentials that may be in it.
        let refused = |reason: String| BackupError::Url {
            reason: reason.replace(url, &shown(url)),
            url: shown(url),
        };
        let parsed = parse(url).map_err(&refused)?;
        let (scheme, prefix) =
            ObjectStoreScheme::parse(&parsed).map_err(|error| refused(error.to_string()))?;
        if scheme == ObjectStoreScheme::Local {
            let folder = parsed
                .to_file_path()
                .map_err(|()| refused("it names no folder".to_owned()))?;
            std::fs::create_dir_all(&folder)
                .map_err(|error| BackupError::local("creating", &folder, error))?;
            let store = LocalFileSystem::new_with_prefix(&folder)
                .map_err(|error| refused(error.to_string()))?;
            let store = store.with_fsync(true).with_automatic_cleanup(true);
            return Ok(Self::over(Arc::new(store), Key::default(), &shown(url)));
        }
        // The stores' client asks the process for its cryptography.
        crate::tls::install_provider();
        let (store, _) = object_store::parse_url_opts(&parsed, options)
            .map_err(|error| refused(error.to_string()))?;
        Ok(Self::over(Arc::from(store), prefix, &shown(url)))
    }

    /// A target over any store; `url` appears in messages.
    #[must_use]
    pub fn over(store: Arc<dyn ObjectStore>, prefix: Key, url: &str) -> Self {
        Self {
            store,
            prefix,
            url: url.to_owned(),
            watch: None,
        }
    }

    /// Lets `watch` follow every transfer.
    #[must_use]
    pub fn watched(self, watch: Watch) -> Self {
        Self {
            watch: Some(watch),
            ..self
        }
    }

    /// Whether one of two targets is the other or lies in it, as far as their URLs tell.
    #[must_use]
    pub fn overlap(one: &str, other: &str) -> bool {
        let place = |url: &str| {
            let path = |url: Url| {
                let host = url.host_str().unwrap_or_default().to_owned();
                let scheme = url.scheme().to_owned();
                format!("{scheme}://{host}{}/", url.path().trim_end_matches('/'))
            };
            parse(url).map(path)
        };
        match (place(one), place(other)) {
            (Ok(one), Ok(other)) => one.starts_with(&other) || other.starts_with(&one),
            _ => one == other,
        }
    }

    /// The backups of this target, the oldest first. A manifest that cannot be read is reported
    /// in the log and left out.
    ///
    /// # Errors
    /// When the target cannot be read.
    pub async fn list(&self) -> Result<Vec<Manifest>, BackupError> {
        let names = self.folders().await?;
        let read = stream::iter(names)
            .map(|name| async move { self.manifest(&name).await })
            .buffer_unordered(READS_MAX);
        let mut manifests = Vec::new();
        for manifest in read.collect::<Vec<_>>().await {
            match manifest {
                Ok(manifest) => manifests.push(manifest),
                Err(BackupError::NotFound(_)) => {}
                Err(error @ BackupError::Damaged { .. }) => {
                    tracing::warn!(%error, "a backup is left out");
                }
                Err(error) => return Err(error),
            }
        }
        manifests.sort_by(|one, other| {
            (one.created_at, &one.name).cmp(&(other.created_at, &other.name))
        });
        Ok(manifests)
    }

    /// Removes the backups of `service` that are older than `keep_days`, but leaves the newest
    /// `keep_at_least` of every node, and one always; one whose files are not all there does not
    /// count. Removes also what was left of uploads that broke off more than a day ago. Returns the
    /// names of the backups that were removed.
    ///
    /// # Errors
    /// When the target cannot be read or written.
    pub async fn prune(
        &self,
        service: &str,
        keep_days: u32,
        keep_at_least: usize,
    ) -> Result<Vec<String>, BackupError> {
        self.prune_at(service, keep_days, keep_at_least, clock::now())
            .await
    }

    /// As [`Self::prune`], at the time `now`.
    ///
    /// # Errors
    /// When the target cannot be read or written.
    pub async fn prune_at(
        &self,
        service: &str,
        keep_days: u32,
        keep_at_least: usize,
        now: Timestamp,
    ) -> Result<Vec<String>, BackupError> {
        let oldest = now.saturating_sub(SignedDuration::from_hours(24 * i64::from(keep_days)));
        let oldest = oldest.unwrap_or(Timestamp::MIN);
        let mut newer: HashMap<String, usize> = HashMap::new();
        let mut removed = Vec::new();
        let mut own = self.list().await?;
        own.retain(|manifest| manifest.service == service);
        for manifest in own.into_iter().rev() {
            let whole = self.is_whole(&manifest).await?;
            let kept = newer.entry(manifest.node).or_default();
            if whole && *kept < keep_at_least.max(1) {
                *kept += 1;
            } else if manifest.created_at < oldest {
                self.remove(&manifest.name).await?;
                removed.push(manifest.name);
            }
        }
        self.clear_remnants(now).await?;
        Ok(removed)
    }

    /// Fetches the backup `name` into the folder `into`, which must be empty or absent, and checks
    /// the length and hash of every file.
    ///
    /// # Errors
    /// `into` is as it was before.
    pub async fn fetch_verified(&self, name: &str, into: &Path) -> Result<Manifest, BackupError> {
        self.fetch(name, into, |_, _| Ok(())).await
    }

    pub(super) async fn fetch(
        &self,
        name: &str,
        into: &Path,
        check: impl FnOnce(&Path, &Manifest) -> Result<(), BackupError> + Send + 'static,
    ) -> Result<Manifest, BackupError> {
        let manifest = self.manifest(name).await?;
        require_empty(into)?;
        let partial = Scratch::create(partial(into))?;
        for file in &manifest.files {
            self.download(name, file, &partial.0).await?;
        }
        let folder = partial.0.clone();
        let checked = move || check(&folder, &manifest).map(|()| manifest);
        let manifest = tokio::task::spawn_blocking(checked).await??;
        settle(&partial.0, into).map_err(|error| BackupError::local("moving to", into, error))?;
        Ok(manifest)
    }

    /// Whether every file is there, with the length that it has to have.
    async fn is_whole(&self, manifest: &Manifest) -> Result<bool, BackupError> {
        let folder = self.prefix.clone().join(manifest.name.as_str());
        let stored: Vec<_> = self
            .store
            .list(Some(&folder))
            .try_collect()
            .await
            .map_err(|error| self.failed(&format!("listing {}", manifest.name), &error))?;
        let sizes: HashMap<Key, u64> = stored
            .into_iter()
            .map(|object| (object.location, object.size))
            .collect();
        let is_there =
            |file: &FileEntry| sizes.get(&self.key(&manifest.name, &file.path)) == Some(&file.size);
        Ok(manifest.files.iter().all(is_there))
    }

    /// Uploads the files of `folder`, then the manifest; takes back what it has uploaded when it
    /// fails.
    pub(super) async fn upload(
        &self,
        mut manifest: Manifest,
        folder: &Path,
    ) -> Result<Manifest, BackupError> {
        let uploaded = async {
            for path in
                files(folder).map_err(|error| BackupError::local("reading", folder, error))?
            {
                let file = self.upload_file(&manifest.name, folder, &path).await?;
                manifest.files.push(file);
            }
            let bytes = serde_json::to_vec_pretty(&manifest).expect("a manifest is JSON");
            let put = self
                .store
                .put(&self.key(&manifest.name, MANIFEST), PutPayload::from(bytes))
                .await;
            put.map_err(|error| self.failed("writing the manifest", &error))
        };
        match uploaded.await {
            Ok(_) => Ok(manifest),
            Err(error) => {
                if let Err(error) = self.remove(&manifest.name).await {
                    tracing::warn!(%error, backup = manifest.name, "what was uploaded is left to the next pruning");
                }
                Err(error)
            }
        }
    }

    async fn manifest(&self, name: &str) -> Result<Manifest, BackupError> {
        if name.is_empty() || name.contains(['/', '\\']) || name.starts_with('.') {
            return Err(BackupError::NotFound(name.to_owned()));
        }
        let failed = |error: object_store::Error| match error {
            object_store::Error::NotFound { .. } => BackupError::NotFound(name.to_owned()),
            error => self.failed(&format!("reading the manifest of {name}"), &error),
        };
        let got = self
            .store
            .get(&self.key(name, MANIFEST))
            .await
            .map_err(failed)?;
        if got.meta.size > MANIFEST_BYTES_MAX {
            return Err(BackupError::Damaged {
                file: format!("{name}/{MANIFEST}"),
                reason: format!("it has more than {MANIFEST_BYTES_MAX} bytes"),
            });
        }
        Manifest::read(name, &got.bytes().await.map_err(failed)?)
    }

    /// The names of all folders, with or without manifest.
    async fn folders(&self) -> Result<Vec<String>, BackupError> {
        let listed = self.store.list_with_delimiter(Some(&self.prefix)).await;
        let listed = listed.map_err(|error| self.failed("listing", &error))?;
        Ok(listed
            .common_prefixes
            .iter()
            .filter_map(|key| key.filename().map(str::to_owned))
            .collect())
    }

    /// Removes a folder, the manifest first: from then on it is no backup.
    async fn remove(&self, name: &str) -> Result<(), BackupError> {
        let removing = format!("removing {name}");
        let keys = self.store.list(Some(&self.prefix.clone().join(name)));
        let mut keys: Vec<Key> = keys
            .map_ok(|meta| meta.location)
            .try_collect()
            .await
            .map_err(|error| self.failed(&removing, &error))?;
        keys.sort_by_key(|key| key.filename() != Some(MANIFEST));
        for key in keys {
            match self.store.delete(&key).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(self.failed(&removing, &error)),
            }
        }
        Ok(())
    }

    async fn clear_remnants(&self, now: Timestamp) -> Result<(), BackupError> {
        for name in self.folders().await? {
            if !is_name(&name)
                || !matches!(self.manifest(&name).await, Err(BackupError::NotFound(_)))
            {
                continue;
            }
            let objects = self
                .store
                .list(Some(&self.prefix.clone().join(name.as_str())));
            let objects: Vec<_> = objects
                .try_collect()
                .await
                .map_err(|error| self.failed("listing", &error))?;
            let newest = objects
                .iter()
                .map(|object| object.last_modified.timestamp())
                .max();
            if newest.is_some_and(|newest| now.as_second() - newest > REMNANT_AGE.as_secs()) {
                tracing::info!(
                    backup = name,
                    "removing what is left of an upload that broke off"
                );
                self.remove(&name).await?;
            }
        }
        Ok(())
    }

    pub(super) fn key(&self, name: &str, path: &str) -> Key {
        let mut key = self.prefix.clone().join(name);
        for part in path.split('/') {
            key = key.join(part);
        }
        key
    }

    pub(super) fn failed(&self, action: &str, error: &object_store::Error) -> BackupError {
        BackupError::Store {
            action: action.to_owned(),
            url: self.url.clone(),
            reason: error.to_string(),
        }
    }
}

/// Refuses what is no URL of a store that is supported; opens nothing.
pub(super) fn check(url: &str) -> Result<(), BackupError> {
    let parsed = parse(url).and_then(|parsed| {
        ObjectStoreScheme::parse(&parsed).map_err(|error| error.to_string())?;
        Ok(())
    });
    parsed.map_err(|reason| BackupError::Url {
        reason: reason.replace(url, &shown(url)),
        url: shown(url),
    })
}

/// Reads the URL of a store, or the path of a folder.
fn parse(url: &str) -> Result<Url, String> {
    if url.starts_with('/') {
        return Url::from_file_path(url).map_err(|()| "it is no path".to_owned());
    }
    Url::parse(url).map_err(|error| error.to_string())
}

/// A URL without user, password and query.
fn shown(url: &str) -> String {
    let Ok(mut url) = parse(url) else {
        return "the URL".to_owned();
    };
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.to_string()
}

/// The paths of all files in `folder`, with `/` between their parts, in order.
fn files(folder: &Path) -> std::io::Result<Vec<String>> {
    let mut found = Vec::new();
    let mut folders = vec![(folder.to_owned(), String::new())];
    while let Some((folder, above)) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let path = format!("{above}{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() {
                folders.push((entry.path(), format!("{path}/")));
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn require_empty(into: &Path) -> Result<(), BackupError> {
    let first = match std::fs::read_dir(into) {
        Ok(mut entries) => entries.next(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(BackupError::local("reading", into, error)),
    };
    match first {
        Some(_) => Err(BackupError::NotEmpty(into.to_owned())),
        None => Ok(()),
    }
}

/// A folder on the same file system as `into`: beside it, or inside when it exists, since it may be
/// a file system of its own.
fn partial(into: &Path) -> PathBuf {
    let name = into.file_name().unwrap_or_default().to_string_lossy();
    let partial = format!(".{name}.{}.partial", uuid::Uuid::new_v4().simple());
    if into.exists() {
        into.join(partial)
    } else {
        into.with_file_name(partial)
    }
}

/// Gives what is in the folder `partial` its place. Into a folder that exists, file by file in the
/// order of their names: a service must not take the first of them for all.
fn settle(partial: &Path, into: &Path) -> std::io::Result<()> {
    if !into.exists() {
        return fsync::rename(partial, into);
    }
    let mut names = Vec::new();
    for entry in std::fs::read_dir(partial)? {
        names.push(entry?.file_name());
    }
    names.sort();
    names
        .iter()
        .try_for_each(|name| fsync::rename(&partial.join(name), &into.join(name)))
}
