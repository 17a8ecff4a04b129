//! Typed settings in four layers: defaults, a TOML file, the environment, flags.
//!
//! A service writes one struct with doc comments and a [`Default`]; the doc comments become the
//! annotated [`example`] file. A key that nobody knows is refused with the nearest one that
//! exists, in the file as in the environment, because a setting with a spelling mistake is a
//! setting that silently is not in force.
//!
//! # The environment
//! - The names in [`Settings::ENV`] come first, in the order listed: `("PROVIDER_PEERS", "peers")`
//!   before `("PEERS", "peers")` makes the second an alias that counts when the first is not set.
//! - `<SERVICE>_<KEY>__<SUBKEY>` in upper case sets any key. Any other `<SERVICE>_…` is refused.
//! - `<SERVICE>_CONFIG` names the TOML file when no flag does.
//! - Any name of a secret with `_FILE` appended names a file that holds the secret, without its
//!   trailing newline. Setting both is an error.
//! - Lists are separated by commas, or written as TOML (`["a", "b"]`). An empty variable is an
//!   explicitly empty list for a list, and otherwise the same as no variable at all, because that
//!   is how Compose and systemd pass on what was not set.

mod assign;
mod example;
mod keys;
mod load;
mod secret;

pub use example::{effective, example};
pub use load::{Sources, load};
pub use secret::Secret;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

/// Environment names, each with the dotted key that it sets.
pub type Names = &'static [(&'static str, &'static str)];

/// The settings of one service. Derive `Serialize`, `Deserialize` with `#[serde(default)]`, and
/// `JsonSchema`; the doc comments are the reference documentation.
pub trait Settings: Serialize + DeserializeOwned + JsonSchema + Default {
    /// The service's name in lower case; it prefixes the generic environment names.
    const SERVICE: &'static str;

    /// Environment names and the dotted key that each sets, the preferred name of a key first: lists,
    /// such as that of [`crate::telemetry::ENV`].
    const ENV: &'static [Names];

    /// What types cannot say: ranges, keys that need one another, the strength of a secret.
    ///
    /// # Errors
    /// Every problem found, not only the first.
    fn validate(&self) -> Result<(), Vec<Invalid>> {
        Ok(())
    }
}

/// A setting that cannot be used, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct Invalid {
    /// The dotted key, or the environment variable when no key belongs to it.
    pub key: String,
    /// What is wrong and what would be right.
    pub reason: String,
}

impl Invalid {
    /// A problem with `key`.
    pub fn new(key: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            reason: reason.into(),
        }
    }
}

/// Why settings could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A settings or secret file that cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A settings file that is not TOML.
    #[error("{path} is not valid TOML: {reason}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, column and what was expected.
        reason: String,
    },
    /// Values of the wrong type, keys that do not exist, and what `validate` refused.
    #[error("{}", lines(.0))]
    Refused(Vec<Invalid>),
}

fn lines(problems: &[Invalid]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}
