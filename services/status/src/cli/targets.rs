//! `status targets`.

use std::path::PathBuf;

use anyhow::Context as _;

use crate::targets::{Places, from_catalogue};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The catalogue
    #[arg(long, value_name = "FILE")]
    catalogue: PathBuf,
    /// All nodes on this machine, at the development ports
    #[arg(long, conflicts_with = "hosts")]
    development: bool,
    /// The host of each node, at the standard ports: {name}, {role}, {index} and {system} are its own
    #[arg(long, value_name = "PATTERN", default_value = "{name}")]
    hosts: String,
    /// Only this system; may be repeated
    #[arg(long)]
    system: Vec<String>,
    /// The file to write; the standard output without it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Arguments {
    pub fn run(self) -> anyhow::Result<()> {
        let path = &self.catalogue;
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let places = if self.development {
            Places::Development
        } else {
            Places::Hosts(self.hosts)
        };
        let mut targets = from_catalogue(&text, &places)
            .with_context(|| format!("cannot list what is in {}", path.display()))?;
        if !self.system.is_empty() {
            targets
                .systems
                .retain(|one| self.system.contains(&one.name));
        }
        let text = serde_json::to_string_pretty(&targets).expect("plain data") + "\n";
        match &self.out {
            None => print!("{text}"),
            Some(out) => std::fs::write(out, text)
                .with_context(|| format!("cannot write {}", out.display()))?,
        }
        Ok(())
    }
}
