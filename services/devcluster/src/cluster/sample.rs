//! Loading a system's sample data, and the commands to try afterwards.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use crate::catalogue::{Action, Command, Pointer, Step, Values};
use crate::cluster::Cluster;
use crate::error::{Error, Result, at};
use crate::log;
use crate::node::remove_dir;

/// How many lines of a failed step's output go into the error.
const OUTPUT_LINES: usize = 20;

/// A command for a person to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// What one sees.
    pub summary: String,
    /// A line for a POSIX shell.
    pub command: String,
}

impl Cluster {
    /// Whether the sample data was loaded into the data that the nodes have.
    #[must_use]
    pub fn has_sample(&self) -> bool {
        self.captured.is_some()
    }

    /// Runs the steps that load the sample data; `on_step` hears what each is for before it runs.
    ///
    /// # Errors
    /// A step fails; what it wrote is in the error.
    pub async fn load_sample(&mut self, mut on_step: impl FnMut(&str)) -> Result<()> {
        let work_dir = self.dir().join("work");
        remove_dir(&work_dir)?;
        fs::create_dir_all(&work_dir).map_err(at("create", &work_dir))?;
        let mut captured = Values::new();
        for step in &self.system().development.sample {
            on_step(&step.summary);
            let values = self.values_of_first(&step.role, &captured)?;
            let result = match &step.action {
                Action::Run(command) => self.run(step, command, &values).await?,
                Action::Read(pointer) => self.read(step, pointer, &values)?,
            };
            if let Some(name) = &step.capture {
                captured.insert(format!("encoded.{name}"), percent_encoded(&result));
                captured.insert(format!("captured.{name}"), result);
            }
        }
        // Only what the suggestions need is kept: a token has no business in a file.
        let wanted: Vec<String> = self
            .system()
            .development
            .commands
            .iter()
            .flat_map(|example| example.command.placeholders().map(str::to_owned))
            .collect();
        captured.retain(|name, _| wanted.contains(name));
        self.captured = Some(captured);
        Ok(())
    }

    /// The catalogue's commands to try, without those that need sample data that is not loaded.
    ///
    /// # Errors
    /// A role has no node.
    pub fn suggestions(&self) -> Result<Vec<Suggestion>> {
        let none = Values::new();
        let captured = self.captured.as_ref().unwrap_or(&none);
        let mut suggestions = Vec::new();
        for example in &self.system().development.commands {
            let values = self.values_of_first(&example.role, captured)?;
            if let Ok(command) = example.command.render(&values) {
                suggestions.push(Suggestion {
                    summary: example.summary.clone(),
                    command,
                });
            }
        }
        Ok(suggestions)
    }

    /// The placeholders of the first node of a role, with what was captured so far.
    fn values_of_first(&self, role: &str, captured: &Values) -> Result<Values> {
        let first = self.nodes().iter().find(|node| node.role() == role);
        let first = first.ok_or_else(|| Error::UnknownNode {
            system: self.system_name().to_owned(),
            node: format!("of role {role}"),
            known: self
                .nodes()
                .iter()
                .map(|node| node.name())
                .collect::<Vec<_>>()
                .join(", "),
        })?;
        let mut values = self.plan.values(&first.plan);
        values.extend(captured.clone());
        Ok(values)
    }

    async fn run(&self, step: &Step, run: &Command, values: &Values) -> Result<String> {
        let render = |template| self.plan.render(template, values, &step.summary);
        let words: Vec<String> = run.command.iter().map(render).collect::<Result<_>>()?;
        let environment: BTreeMap<&String, String> = run
            .environment
            .iter()
            .map(|(name, value)| Ok((name, render(value)?)))
            .collect::<Result<_>>()?;
        let program = self
            .plan
            .binaries
            .get(&words[0])
            .cloned()
            .unwrap_or_else(|| words[0].clone().into());
        let mut args = Vec::new();
        for word in &words[1..] {
            args.extend(expanded(word)?);
        }
        let failed = |how: String, output: &str| Error::Sample {
            says: step.summary.clone(),
            // Only the first words: values may be tokens.
            command: words
                .iter()
                .take_while(|word| !word.starts_with('-'))
                .cloned()
                .collect::<Vec<_>>()
                .join(" "),
            how,
            output: log::indented(output),
        };
        let output = tokio::process::Command::new(program)
            .args(args)
            .env_clear()
            .envs(self.plan.inherited())
            .envs(environment)
            .current_dir(&self.plan.root)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|error| failed(format!("cannot be started: {error}"), ""))?;
        if !output.status.success() {
            let written = [output.stdout, output.stderr].concat();
            let written = String::from_utf8_lossy(&written);
            let lines: Vec<&str> = written.lines().collect();
            let last = lines[lines.len().saturating_sub(OUTPUT_LINES)..].join("\n");
            return Err(failed(format!("ended with {}", output.status), &last));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    fn read(&self, step: &Step, read: &Pointer, values: &Values) -> Result<String> {
        let file = PathBuf::from(self.plan.render(&read.file, values, &step.summary)?);
        let text = fs::read_to_string(&file).map_err(at("read", &file))?;
        let failed = |how: String| Error::Sample {
            says: step.summary.clone(),
            command: file.display().to_string(),
            how,
            output: log::indented(""),
        };
        let json: Value =
            serde_json::from_str(&text).map_err(|error| failed(format!("is not JSON: {error}")))?;
        match json.pointer(&read.pointer) {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(Value::Number(number)) => Ok(number.to_string()),
            _ => Err(failed(format!(
                "has no string or number at {}",
                read.pointer
            ))),
        }
    }
}

/// The files that an argument with a `*` in its last component stands for, in order; any other
/// argument stands for itself, and so does one that nothing matches, as in a shell.
fn expanded(word: &str) -> Result<Vec<String>> {
    let path = Path::new(word);
    let pattern = path
        .file_name()
        .and_then(|name| name.to_str())
        .and_then(|name| name.split_once('*'));
    let (Some((start, end)), Some(dir)) = (pattern, path.parent()) else {
        return Ok(vec![word.to_owned()]);
    };
    let mut names: Vec<String> = fs::read_dir(dir)
        .map_err(at("read", dir))?
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.len() >= start.len() + end.len())
        .filter(|name| name.starts_with(start) && name.ends_with(end))
        .map(|name| dir.join(name).display().to_string())
        .collect();
    names.sort();
    Ok(if names.is_empty() {
        vec![word.to_owned()]
    } else {
        names
    })
}

/// RFC 3986: everything but the unreserved characters is escaped.
fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_characters_are_escaped() {
        assert_eq!(
            percent_encoded("urn:epc:id:sgtin:1.2~x/é"),
            "urn%3Aepc%3Aid%3Asgtin%3A1.2~x%2F%C3%A9"
        );
    }

    #[test]
    fn a_star_stands_for_the_matching_files_in_order() {
        let dir = tempfile::tempdir().expect("a folder");
        for name in ["events-2.json", "events-1.json", "truth.json"] {
            fs::write(dir.path().join(name), "").expect("written");
        }
        let path = |name: &str| dir.path().join(name).display().to_string();
        let files = expanded(&path("events-*.json")).expect("readable");
        assert_eq!(files, [path("events-1.json"), path("events-2.json")]);
        assert_eq!(
            expanded(&path("none-*")).expect("readable"),
            [path("none-*")]
        );
        assert_eq!(expanded("--seed").expect("plain"), ["--seed"]);
    }
}
