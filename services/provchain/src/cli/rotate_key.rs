//! `provchain rotate-key`: a node signs with a new key.

use clap::Args;
use kit::cli::SettingsArgs;
use serde_json::json;

use super::{admin, token};

/// Which node.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// URL of the node whose key hands over
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: String,
}

impl Arguments {
    pub(super) async fn run(self, settings: &SettingsArgs) -> anyhow::Result<()> {
        let token = token::keys(settings)?.issue("rotate-key", "admin", admin::TIMEOUT)?;
        let path = "/api/v1/keys/rotate";
        let rotated = admin::post(&self.url, path, &token, &json!({})).await?;
        for (what, member) in [("old", "old"), ("new", "new")] {
            println!("{what}: {}", rotated[member].as_str().unwrap_or_default());
        }
        println!("whoever trusts the old key follows /api/v1/keys?format=json to the new one");
        Ok(())
    }
}
