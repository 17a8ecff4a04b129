//! `status incident`.

use anyhow::Context as _;
use kit::cli::SettingsArgs;

use crate::report::Note;
use crate::settings::{Settings, database};
use crate::store::Store;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List incidents, the open ones first, then the newest
    List,
    /// Write a note about an incident
    Note {
        /// The incident's number
        id: i64,
        /// What is to be known
        text: String,
        /// Who writes it
        #[arg(long, default_value = "operator")]
        author: String,
    },
}

impl Command {
    pub async fn run(self, arguments: &SettingsArgs) -> anyhow::Result<()> {
        let settings: Settings = arguments.load().context("the settings cannot be used")?;
        let url = settings.database_url.as_ref();
        let url = url.context("DATABASE_URL says where the incidents are; it is not set")?;
        let config = database(url, &settings.database_password);
        let store = Store::new(config.map_err(anyhow::Error::msg)?);
        match self {
            Self::Note { id, text, author } => {
                let at = kit::clock::now();
                store.note(id, &Note { at, author, text }).await?;
            }
            Self::List => {
                let history = store
                    .history(kit::clock::now(), settings.history_days)
                    .await?;
                for incident in history.incidents {
                    let end = match incident.closed_at {
                        Some(at) => at.to_string(),
                        None => "open".to_owned(),
                    };
                    println!(
                        "{}\t{}/{}\t{}\t{end}\t{}",
                        incident.id,
                        incident.system,
                        incident.node,
                        incident.opened_at,
                        incident.reason
                    );
                    for note in incident.notes {
                        println!("\t{} {}: {}", note.at, note.author, note.text);
                    }
                }
            }
        }
        Ok(())
    }
}
