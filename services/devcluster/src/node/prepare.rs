//! What is done before a node is started: its configuration is rendered, its data made.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::Node;
use crate::catalogue::{Preparation, Rendered, Values};
use crate::error::{Error, Result, at};
use crate::log;
use crate::process::{Launch, User};

/// How many lines of a failed step's output go into the error.
const OUTPUT_LINES: usize = 20;

impl Node {
    pub(super) async fn prepare(&self, launch: &Launch) -> Result<()> {
        if let Some(user) = launch.user {
            let dir = self.data_dir();
            chown(&dir, Some(user.uid), Some(user.gid)).map_err(at("give away", &dir))?;
        }
        self.write_files(launch)?;
        let values = self.shared.values(&self.plan);
        for step in &self.catalogue().prepare {
            self.run(step, launch, &values).await?;
        }
        Ok(())
    }

    fn write_files(&self, launch: &Launch) -> Result<()> {
        let values = self.shared.values(&self.plan);
        for Rendered { template, to } in &self.catalogue().files {
            let from = self.shared.root.join(template);
            let text = fs::read_to_string(&from).map_err(at("read", &from))?;
            let value = |name: &str| launch.environment.get(name).cloned();
            let rendered = substituted(&text, value).map_err(|variable| Error::Template {
                template: from.clone(),
                variable,
                node: self.plan.name.clone(),
            })?;
            let to = PathBuf::from(self.shared.render(to, &values, "files")?);
            fs::write(&to, rendered).map_err(at("write", &to))?;
        }
        Ok(())
    }

    async fn run(&self, step: &Preparation, launch: &Launch, values: &Values) -> Result<()> {
        let render = |template| self.shared.render(template, values, &step.summary);
        if let Some(made) = &step.creates
            && Path::new(&render(made)?).exists()
        {
            return Ok(());
        }
        let words: Vec<String> = step.command.iter().map(render).collect::<Result<_>>()?;
        let failed = |how: String, output: &str| Error::Prepare {
            node: self.plan.name.clone(),
            says: step.summary.clone(),
            program: words[0].clone(),
            how,
            output: log::indented(output),
        };
        let output = tokio::process::Command::new("setpriv")
            .args(launch.user.iter().flat_map(User::as_options))
            .arg("--")
            .arg(self.shared.program(&words[0])?)
            .args(&words[1..])
            .env_clear()
            .envs(&launch.environment)
            .current_dir(&launch.working_dir)
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
        Ok(())
    }
}

/// The text with every `${NAME}` replaced, as `envsubst` does; names are in upper case, so that
/// `${name}` stays what it is to the program. An error is the first name without a value.
fn substituted(text: &str, value: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut rendered = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, after) = rest.split_at(at);
        rendered.push_str(before);
        let name = after[2..].split_once('}').map(|(name, _)| name);
        let is_name = |name: &&str| {
            let letter =
                |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
            !name.is_empty() && name.bytes().all(letter)
        };
        match name.filter(is_name) {
            Some(name) => {
                rendered.push_str(&value(name).ok_or_else(|| name.to_owned())?);
                rest = &after[name.len() + 3..];
            }
            None => {
                rendered.push_str("${");
                rest = &after[2..];
            }
        }
    }
    rendered.push_str(rest);
    Ok(rendered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_in_upper_case_are_replaced_and_those_of_the_program_stay() {
        let value = |name: &str| (name == "WEB_LISTEN").then(|| "8080".to_owned());
        let rendered = substituted("listen ${WEB_LISTEN}; set $a ${b}$HOST ${;", value);
        assert_eq!(rendered.as_deref(), Ok("listen 8080; set $a ${b}$HOST ${;"));
        assert_eq!(substituted("${OTHER}", value), Err("OTHER".to_owned()));
    }
}
