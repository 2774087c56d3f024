//! What opens and lists objects.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use burn_npy_core::file::OpenOptions;
use burn_npy_core::internal::{listed, quoted, sort_naturally};
use burn_npy_core::remote::{OpenUrl, ReadAt, RemoteOptions};
use burn_npy_core::{Error, ErrorKind, Result};
use glob::{MatchOptions, Pattern};
use object_store::path::Path;

use crate::connect::{connect, environment};
use crate::fetch::Store;
use crate::location::Location;
use crate::object::{Object, explain};
use crate::runtime::Threads;

/// As the patterns for files on this machine.
const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};
const WILDCARDS: [char; 3] = ['*', '?', '['];

/// Opens objects of S3, Google Cloud Storage and Azure by their URL.
///
/// Clones share connections and two threads, which start with the first request and end with the
/// last clone and the last object that is open.
#[derive(Clone)]
pub struct Cloud {
    options: Vec<(String, String)>,
    patience: Duration,
    shared: Arc<Shared>,
}

/// What clones share, until one gets other options.
#[derive(Default)]
struct Shared {
    threads: Arc<Threads>,
    /// By the URL of the bucket.
    stores: Mutex<HashMap<String, Arc<Store>>>,
}

// Options are secret.
impl fmt::Debug for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.options.iter().map(|(name, _)| name);
        let options = names.collect::<Vec<_>>();
        f.debug_struct("Cloud")
            .field("options", &options)
            .finish_non_exhaustive()
    }
}

impl Default for Cloud {
    fn default() -> Self {
        Self::new()
    }
}

impl Cloud {
    /// Without options: they are not taken from the environment.
    pub fn new() -> Self {
        Self {
            options: Vec::new(),
            patience: Duration::from_secs(60),
            shared: Arc::default(),
        }
    }

    /// With the options that are set in the environment, as the tools of the clouds know them. This
    /// is what most programs need.
    ///
    /// | URL | credentials | also |
    /// |---|---|---|
    /// | `s3://BUCKET/KEY` | `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN` | `AWS_REGION`, `AWS_ENDPOINT`, `AWS_SKIP_SIGNATURE` |
    /// | `gs://BUCKET/KEY` | `GOOGLE_APPLICATION_CREDENTIALS` | `GOOGLE_BASE_URL`, `GOOGLE_SKIP_SIGNATURE` |
    /// | `az://CONTAINER/KEY` | `AZURE_STORAGE_ACCOUNT_NAME`, `AZURE_STORAGE_ACCOUNT_KEY` | `AZURE_STORAGE_ENDPOINT`, `AZURE_SKIP_SIGNATURE` |
    ///
    /// A server of your own, as MinIO, needs `AWS_ENDPOINT`, such as `http://localhost:9000`. A
    /// public bucket needs `AWS_SKIP_SIGNATURE=true`. Without keys, the machine is asked for its
    /// role, if it is one of the cloud. The files of the AWS command line are not read; `eval $(aws
    /// configure export-credentials --format env)` puts what they say into the environment.
    pub fn from_env() -> Self {
        Self {
            options: environment(),
            ..Self::new()
        }
    }

    /// Sets an option of the stores, such as `aws_endpoint`: a name of the environment in small
    /// letters, or another key of the crate `object_store`. The last value counts.
    pub fn option(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.options
            .push((name.into().to_ascii_lowercase(), value.into()));
        self.shared = Arc::default();
        self
    }

    /// Sets how long a request is repeated that fails because the store cannot be reached, or says
    /// that it is busy: one minute by default. Only the first to a bucket gives up sooner, since
    /// then an option is likely to be wrong.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self.shared = Arc::default();
        self
    }

    /// The options for [`Array::open_with`](burn_npy_core::Array::open_with) and all else that
    /// takes [`OpenOptions`].
    pub fn open_options(&self) -> OpenOptions {
        OpenOptions::new().remote(self.remote_options())
    }

    /// The same for more options of remote files, such as [`RemoteOptions::cache`].
    pub fn remote_options(&self) -> RemoteOptions {
        RemoteOptions::new().opener(self.clone())
    }

    /// The URLs of all objects in a folder, such as `s3://bucket/train/`, or of all that match a
    /// pattern, such as `s3://bucket/train/*.npz`. Their order is the natural one: `shard_2.npz`
    /// comes before `shard_10.npz`.
    ///
    /// In a pattern, `*` is any part of a name, `?` is one character, `[0-9a]` and `[!0-9a]` are
    /// one character that is in the list or not, and `**` is any number of folders.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] if there are none, or the pattern is malformed; [`ErrorKind::Io`] if
    /// the store cannot be listed.
    pub fn list(&self, url: &str) -> Result<Vec<String>> {
        let list = || {
            let location = Location::parse(url)?;
            let wild = location.key.find(WILDCARDS);
            let fixed = &location.key[..wild.unwrap_or(location.key.len())];
            let folder = match wild {
                Some(_) => fixed.rfind('/').map_or("", |end| &fixed[..end]),
                None => fixed.trim_end_matches('/'),
            };
            let pattern = wild.map(|_| Pattern::new(location.key)).transpose();
            let pattern = pattern.map_err(|error| {
                let message = format!("the pattern is malformed: {error}");
                Error::new(ErrorKind::Usage, message)
            })?;
            let deep = wild.is_some_and(|wild| location.key[wild..].contains('/'));
            let found = self.found(location, folder, deep)?;
            // A folder may have an object for itself, which has its name.
            let is_inside = |path: &&Path| path.as_ref().len() > folder.len();
            let matches = |path: &&Path| {
                let pattern = pattern.as_ref();
                pattern.is_none_or(|pattern| pattern.matches_with(path.as_ref(), OPTIONS))
            };
            let names = found.iter().filter(is_inside).filter(matches);
            let mut names: Vec<PathBuf> = names.map(|path| path.as_ref().into()).collect();
            if names.is_empty() {
                let message = if found.is_empty() {
                    format!("there is nothing in the folder {}", quoted(folder))
                } else {
                    let others = listed(&found, |path| quoted(path.as_ref()));
                    format!("no object matches; there are {others}")
                };
                return Err(Error::new(ErrorKind::Usage, message));
            }
            sort_naturally(&mut names);
            let url = |name: PathBuf| format!("{}/{}", location.root, name.display());
            Ok(names.into_iter().map(url).collect())
        };
        list().map_err(|error| error.in_file(url))
    }

    /// The objects in a folder.
    fn found(&self, location: Location<'_>, folder: &str, deep: bool) -> Result<Vec<Path>> {
        let folder = Path::parse(folder).map_err(|error| {
            Error::new(ErrorKind::Usage, "no folder can have this name").with_source(error)
        })?;
        let store = self.store(location)?;
        let asked = store.clone();
        let found = self
            .shared
            .threads
            .run(async move { asked.list(&folder, deep).await })?;
        found.map_err(|given_up| explain(given_up, &store, "it could not be listed"))
    }

    fn store(&self, location: Location<'_>) -> Result<Arc<Store>> {
        let stores = &self.shared.stores;
        let mut stores = stores.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = stores.get(location.root) {
            return Ok(store.clone());
        }
        let objects = connect(location, &self.options)?;
        let store = Store::new(objects, location.service, location.bucket, self.patience);
        let store = Arc::new(store);
        stores.insert(location.root.to_owned(), store.clone());
        Ok(store)
    }
}

impl OpenUrl for Cloud {
    fn open_url(&self, url: &str) -> Result<Arc<dyn ReadAt>> {
        let open = || {
            let location = Location::parse(url)?;
            let store = self.store(location)?;
            Object::open(url, location, store, self.shared.threads.clone())
        };
        let object = open().map_err(|error| error.in_file(url))?;
        Ok(Arc::new(object))
    }
}
