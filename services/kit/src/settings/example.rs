//! The annotated example file and the effective settings, both as TOML.

use std::fmt::Write as _;

use serde_json::Value;

use super::{
    Settings,
    keys::{Key, Kind, Section, prefix, sections},
};

/// The settings in force as TOML, secrets redacted, for `check-config` and for the log.
pub fn effective<S: Settings>(settings: &S) -> String {
    toml::to_string_pretty(settings)
        .unwrap_or_else(|error| format!("# these settings cannot be shown as TOML: {error}\n"))
}

/// A TOML file with every key: its doc comment, its environment names and its default. A key that
/// has no default, and every secret, is there as a comment; so the file loads as it is.
#[must_use]
pub fn example<S: Settings>() -> String {
    let defaults = serde_json::to_value(S::default()).unwrap_or_default();
    let mut text = String::new();
    let sections = sections::<S>();
    for section in &sections {
        if !section.path.is_empty() {
            text.push('\n');
        }
        comment(&mut text, &section.description);
        if section.path.is_empty() {
            let _ = writeln!(
                text,
                "# Environment variables win over this file, and `--set key=value` over both. A variable"
            );
            let _ = writeln!(
                text,
                "# named with _FILE at the end of a secret's name holds the path of a file with the secret."
            );
            let _ = writeln!(text, "# {}CONFIG names this file.", prefix::<S>());
        }
        let absent = at(&defaults, &section.path).is_none_or(Value::is_null);
        write_section(&mut text, section, &defaults, absent);
    }
    text
}

fn write_section(text: &mut String, section: &Section, defaults: &Value, absent: bool) {
    if !section.path.is_empty() {
        let mark = if absent { "# " } else { "" };
        let _ = writeln!(text, "{mark}[{}]", section.path);
    }
    for key in &section.keys {
        text.push('\n');
        comment(text, &key.description);
        if !key.allowed.is_empty() {
            let _ = writeln!(text, "# One of: {}.", key.allowed.join(", "));
        }
        let _ = writeln!(text, "# Environment: {}", key.environment.join(", "));
        let default = at(defaults, &key.path)
            .or(key.schema_default.as_ref())
            .filter(|value| !value.is_null());
        let default = default.and_then(toml_value);
        let name = key.path.rsplit('.').next().unwrap_or_default();
        let _ = match default {
            Some(value) if !absent && !key.secret => writeln!(text, "{name} = {value}"),
            Some(value) if !key.secret => writeln!(text, "# {name} = {value}"),
            _ => writeln!(text, "# {name} = {}", placeholder(key)),
        };
    }
}

fn comment(text: &mut String, description: &str) {
    for line in description.lines() {
        let _ = writeln!(text, "{}", format!("# {line}").trim_end());
    }
}

fn at<'a>(defaults: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.')
        .filter(|part| !part.is_empty())
        .try_fold(defaults, |value, part| value.get(part))
}

/// One line of TOML; `None` for null, which TOML does not have.
fn toml_value(value: &Value) -> Option<String> {
    toml::Value::try_from(value)
        .ok()
        .map(|value| value.to_string())
}

fn placeholder(key: &Key) -> &'static str {
    match key.kind {
        Kind::Text => "\"\"",
        Kind::Integer => "0",
        Kind::Number => "0.0",
        Kind::Boolean => "false",
        Kind::List(_) => "[]",
        Kind::Free => "{}",
    }
}
