use std::path::{Path, PathBuf};

use figment::{
    Figment, Metadata, Profile, Provider,
    providers::Serialized,
    value::{Dict, Map, Value},
};

use super::{
    Invalid, Settings, SettingsError,
    assign::{Assignment, from_environment, from_flags, keys, unknown},
    keys::{Kind, Section, prefix, sections},
};

/// Where settings come from. The environment is a value, so that a test needs no process.
#[derive(Clone, Default)]
pub struct Sources {
    /// The TOML file; it must exist when it is named.
    pub file: Option<PathBuf>,
    /// Environment variables.
    pub environment: Vec<(String, String)>,
    /// Dotted keys and values that win over everything else, as with `--set key=value`.
    pub flags: Vec<(String, String)>,
}

impl Sources {
    /// The environment of this process, with a file and flags from its command line.
    #[must_use]
    pub fn of_process(file: Option<PathBuf>, flags: Vec<(String, String)>) -> Self {
        let text = |value: std::ffi::OsString| value.to_string_lossy().into_owned();
        let environment = std::env::vars_os()
            .map(|(name, value)| (text(name), text(value)))
            .collect();
        Self {
            file,
            environment,
            flags,
        }
    }

    /// Sources with only an environment.
    pub fn environment<N: Into<String>, V: Into<String>>(
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let environment = variables
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        Self {
            environment,
            ..Self::default()
        }
    }
}

/// Loads and validates settings: defaults, then the file, then the environment, then flags.
///
/// # Errors
/// A file that cannot be read or parsed; else every unknown key, every value of a wrong type and
/// everything that [`Settings::validate`] refuses, each with its key.
pub fn load<S: Settings>(sources: &Sources) -> Result<S, SettingsError> {
    let sections = sections::<S>();
    check_table::<S>(&sections)?;
    let mut figment = Figment::from(Serialized::defaults(S::default()));
    if let Some(path) = file_path::<S>(sources) {
        figment = figment.merge(File {
            values: read_file(&sections, &path)?,
            path,
        });
    }
    for assignment in from_environment::<S>(&sections, &sources.environment)? {
        figment = figment.merge(assignment);
    }
    for assignment in from_flags(&sections, &sources.flags).map_err(SettingsError::Refused)? {
        figment = figment.merge(assignment);
    }
    let settings: S = figment.extract().map_err(refused)?;
    settings.validate().map_err(SettingsError::Refused)?;
    Ok(settings)
}

fn file_path<S: Settings>(sources: &Sources) -> Option<PathBuf> {
    let name = format!("{}CONFIG", prefix::<S>());
    let variable = sources
        .environment
        .iter()
        .find(|(variable, value)| *variable == name && !value.is_empty());
    sources
        .file
        .clone()
        .or_else(|| variable.map(|(_, path)| PathBuf::from(path)))
}

/// The environment table is written by hand; a key that it misspells would never be set.
fn check_table<S: Settings>(sections: &[Section]) -> Result<(), SettingsError> {
    let exists = |path: &str| keys(sections).any(|key| key.path == path);
    let wrong = S::ENV.iter().copied().flatten();
    let wrong = wrong.filter(|(_, path)| !exists(path));
    let wrong: Vec<Invalid> = wrong
        .map(|(name, path)| {
            Invalid::new(
                *path,
                format!(
                    "the service's environment table maps {name} to it, but there is no such key"
                ),
            )
        })
        .collect();
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(SettingsError::Refused(wrong))
    }
}

/// What is wrong and in which line; the line itself is not shown, because it may hold a secret.
fn syntax(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    match before {
        Some(before) => {
            let line = before.matches('\n').count() + 1;
            format!("line {line}: {}", error.message())
        }
        None => error.message().to_owned(),
    }
}

fn read_file(sections: &[Section], path: &Path) -> Result<toml::Table, SettingsError> {
    let text = std::fs::read_to_string(path).map_err(|source| SettingsError::Read {
        path: path.to_owned(),
        source,
    })?;
    let table: toml::Table = toml::from_str(&text).map_err(|error| SettingsError::Syntax {
        path: path.to_owned(),
        reason: syntax(&text, &error),
    })?;
    let mut problems = Vec::new();
    check_keys(sections, "", &table, &mut problems);
    if problems.is_empty() {
        Ok(table)
    } else {
        Err(SettingsError::Refused(problems))
    }
}

fn check_keys(sections: &[Section], above: &str, table: &toml::Table, problems: &mut Vec<Invalid>) {
    for (name, value) in table {
        let path = if above.is_empty() {
            name.clone()
        } else {
            format!("{above}.{name}")
        };
        let is_key = keys(sections).any(|key| key.path == path);
        let is_section = sections.iter().any(|section| section.path == path);
        match value {
            toml::Value::Table(table) if is_section => check_keys(sections, &path, table, problems),
            toml::Value::Table(_)
                if keys(sections).any(|key| key.path == path && key.kind != Kind::Free) =>
            {
                problems.push(Invalid::new(&path, "takes a value, not a table"));
            }
            _ if is_key || is_section => {}
            _ => {
                let known = keys(sections).map(|key| key.path.as_str());
                let tables = sections.iter().map(|section| section.path.as_str());
                problems.push(unknown(&path, "is not a setting", known.chain(tables)));
            }
        }
    }
}

/// Figment's chain of errors, each with its key and the layer that it came from.
fn refused(errors: figment::Error) -> SettingsError {
    let problem = |error: figment::Error| {
        let source = error
            .metadata
            .as_ref()
            .map(|metadata| format!(" (from {})", metadata.name))
            .unwrap_or_default();
        Invalid::new(error.path.join("."), format!("{}{source}", error.kind))
    };
    SettingsError::Refused(errors.into_iter().map(problem).collect())
}

struct File {
    path: PathBuf,
    values: toml::Table,
}

impl Provider for File {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.path.display().to_string())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Serialized::defaults(&self.values).data()
    }
}

impl Provider for Assignment {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.source.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let mut parts = self.path.rsplit('.');
        let leaf = parts.next().unwrap_or_default().to_owned();
        let mut dict = Dict::from([(leaf, self.value.clone())]);
        for part in parts {
            dict = Dict::from([(part.to_owned(), Value::from(dict))]);
        }
        Ok(Map::from([(Profile::Default, dict)]))
    }
}
