//! Values that arrive as text: from the environment and from flags.

use std::{collections::BTreeMap, path::Path};

use figment::value::Value;

use super::{
    Invalid, Settings, SettingsError,
    keys::{Key, Kind, Section, nearest, prefix},
};

/// One value for one key, and the name of where it came from.
pub(super) struct Assignment {
    pub source: String,
    pub path: String,
    pub value: Value,
}

/// The values that flags set, in order.
pub(super) fn from_flags(
    sections: &[Section],
    flags: &[(String, String)],
) -> Result<Vec<Assignment>, Vec<Invalid>> {
    let mut assignments = Vec::new();
    let mut problems = Vec::new();
    for (path, text) in flags {
        let assigned = find(sections, path)
            .ok_or_else(|| {
                unknown(
                    path,
                    "is not a setting",
                    keys(sections).map(|key| key.path.as_str()),
                )
            })
            .and_then(|kind| Ok((convert(path, kind, text)?, path)));
        match assigned {
            Ok((value, path)) => {
                assignments.push(Assignment {
                    source: "a flag".to_owned(),
                    path: path.clone(),
                    value,
                });
            }
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() {
        Ok(assignments)
    } else {
        Err(problems)
    }
}

/// The values that environment variables set, and the files that their `_FILE` forms name.
pub(super) fn from_environment<S: Settings>(
    sections: &[Section],
    environment: &[(String, String)],
) -> Result<Vec<Assignment>, SettingsError> {
    let variables: BTreeMap<&str, &str> = environment
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let mut assignments = Vec::new();
    let mut problems = unknown_variables::<S>(sections, &variables);
    for key in keys(sections) {
        match assign(key, &variables)? {
            Ok(assignment) => assignments.extend(assignment),
            Err(problem) => problems.push(problem),
        }
    }
    for (name, text) in &variables {
        if let Some(path) = free_path::<S>(sections, name) {
            let value = Value::from(*text);
            assignments.push(Assignment {
                source: (*name).to_owned(),
                path,
                value,
            });
        }
    }
    if problems.is_empty() {
        Ok(assignments)
    } else {
        Err(SettingsError::Refused(problems))
    }
}

/// The first name of `key` that is set, directly or through a file.
fn assign(
    key: &Key,
    variables: &BTreeMap<&str, &str>,
) -> Result<Result<Option<Assignment>, Invalid>, SettingsError> {
    let is_list = matches!(key.kind, Kind::List(_));
    let set = |name: &str| {
        variables
            .get(name)
            .copied()
            .filter(|text| is_list || !text.is_empty())
    };
    for name in &key.environment {
        let file_name = format!("{name}_FILE");
        let file = if key.secret { set(&file_name) } else { None };
        let text = match (set(name), file) {
            (Some(_), Some(_)) => {
                let reason = format!("both {name} and {file_name} are set; remove one of them");
                return Ok(Err(Invalid::new(&key.path, reason)));
            }
            (Some(text), None) => text.to_owned(),
            (None, Some(file)) => read_secret(Path::new(file))?,
            (None, None) => continue,
        };
        let converted = convert(&key.path, &key.kind, &text);
        let assignment = |value| {
            Some(Assignment {
                source: name.clone(),
                path: key.path.clone(),
                value,
            })
        };
        return Ok(converted.map(assignment).map_err(|problem| Invalid {
            reason: format!("{} (from {name})", problem.reason),
            ..problem
        }));
    }
    Ok(Ok(None))
}

fn read_secret(path: &Path) -> Result<String, SettingsError> {
    let text = std::fs::read_to_string(path).map_err(|source| SettingsError::Read {
        path: path.to_owned(),
        source,
    })?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

fn unknown_variables<S: Settings>(
    sections: &[Section],
    variables: &BTreeMap<&str, &str>,
) -> Vec<Invalid> {
    let prefix = prefix::<S>();
    let mut names: Vec<String> = vec![format!("{prefix}CONFIG")];
    for key in keys(sections) {
        names.extend(key.environment.iter().cloned());
        if key.secret {
            names.extend(key.environment.iter().map(|name| format!("{name}_FILE")));
        }
    }
    let ours = variables.keys().filter(|name| name.starts_with(&prefix));
    let unknown_ones = ours.filter(|name| {
        !names.iter().any(|known| known == *name) && free_path::<S>(sections, name).is_none()
    });
    let refuse = |name: &&str| {
        unknown(
            name,
            "is not a variable that this service reads",
            names.iter().map(String::as_str),
        )
    };
    unknown_ones.map(refuse).collect()
}

/// The path below a free table that a variable such as `EXAMPLE_LABELS__REGION` sets.
fn free_path<S: Settings>(sections: &[Section], name: &str) -> Option<String> {
    let path = name
        .strip_prefix(&prefix::<S>())?
        .to_lowercase()
        .replace("__", ".");
    let inside = |key: &Key| key.kind == Kind::Free && path.starts_with(&format!("{}.", key.path));
    keys(sections).any(inside).then_some(path)
}

pub(super) fn keys(sections: &[Section]) -> impl Iterator<Item = &Key> {
    sections.iter().flat_map(|section| &section.keys)
}

/// The kind of the key at `path`; text below a free table.
fn find<'a>(sections: &'a [Section], path: &str) -> Option<&'a Kind> {
    let exact = keys(sections)
        .find(|key| key.path == path)
        .map(|key| &key.kind);
    let below = |key: &&Key| key.kind == Kind::Free && path.starts_with(&format!("{}.", key.path));
    exact.or_else(|| keys(sections).find(below).map(|_| &Kind::Text))
}

pub(super) fn unknown<'a>(
    name: &str,
    what: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Invalid {
    let reason = match nearest(name, candidates) {
        Some(candidate) => format!("{what}; did you mean {candidate}?"),
        None => format!("{what}; `example-config` lists all that exist"),
    };
    Invalid::new(name, reason)
}

fn convert(path: &str, kind: &Kind, text: &str) -> Result<Value, Invalid> {
    let trimmed = text.trim();
    let refuse = |expected: &str| Invalid::new(path, format!("{text:?} is not {expected}"));
    match kind {
        Kind::Text => Ok(Value::from(text)),
        Kind::Boolean => match trimmed.to_ascii_lowercase().as_str() {
            "true" | "1" => Ok(Value::from(true)),
            "false" | "0" => Ok(Value::from(false)),
            _ => Err(refuse("true or false")),
        },
        Kind::Integer => {
            let signed = trimmed.parse::<i64>().map(Value::from);
            signed
                .or_else(|_| trimmed.parse::<u64>().map(Value::from))
                .map_err(|_| refuse("a whole number"))
        }
        Kind::Number => trimmed
            .parse::<f64>()
            .map(Value::from)
            .map_err(|_| refuse("a number")),
        Kind::List(_) if trimmed.starts_with('[') => {
            from_toml(trimmed).ok_or_else(|| refuse("a TOML list"))
        }
        Kind::List(item) => {
            let items = trimmed
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty());
            let items: Result<Vec<Value>, Invalid> =
                items.map(|text| convert(path, item, text)).collect();
            items.map(Value::from)
        }
        Kind::Free => Ok(from_toml(trimmed).unwrap_or_else(|| Value::from(text))),
    }
}

fn from_toml(text: &str) -> Option<Value> {
    let table: toml::Table = toml::from_str(&format!("value = {text}")).ok()?;
    Value::serialize(table.get("value")?).ok()
}
