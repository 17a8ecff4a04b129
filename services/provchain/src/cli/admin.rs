//! `provchain admin`: the first administrator.

use std::io::Read as _;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use kit::cli::SettingsArgs;
use serde_json::{Value, json};

use super::token;

/// How long the node may take.
pub(super) const TIMEOUT: Duration = Duration::from_secs(30);

/// What to administer.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make an administrator, with nothing but the cluster's secret
    Bootstrap {
        /// URL of a node
        #[arg(long, default_value = "http://127.0.0.1:8080")]
        url: String,
        /// The administrator's name
        #[arg(long, default_value = "admin")]
        user: String,
        /// Read the password from standard input; one is made and printed otherwise
        #[arg(long)]
        password_stdin: bool,
    },
}

impl Arguments {
    pub(super) async fn run(self, settings: &SettingsArgs) -> anyhow::Result<()> {
        let Command::Bootstrap {
            url,
            user,
            password_stdin,
        } = self.command;
        let keys = token::keys(settings)?;
        let token = keys.issue("bootstrap", "admin", TIMEOUT)?;
        let password = if password_stdin {
            let mut text = String::new();
            std::io::stdin()
                .read_to_string(&mut text)
                .context("cannot read the password")?;
            text.trim_end_matches(['\r', '\n']).to_owned()
        } else {
            hex::encode(rand::random::<[u8; 16]>())
        };
        let body = json!({ "name": user, "role": "admin", "password": password });
        post(&url, "/api/v1/users", &token, &body).await?;
        println!("{user} may administer the ledger now");
        if !password_stdin {
            println!("password: {password}");
        }
        Ok(())
    }
}

/// Sends a request to a node; gives its answer.
pub(super) async fn post(
    url: &str,
    path: &str,
    token: &str,
    body: &Value,
) -> anyhow::Result<Value> {
    let client = reqwest::Client::builder().timeout(TIMEOUT).build()?;
    let url = format!("{}{path}", url.trim_end_matches('/'));
    let request = client.post(&url).bearer_auth(token).json(body);
    let response = request
        .send()
        .await
        .with_context(|| format!("cannot reach {url}"))?;
    let status = response.status();
    let answer: Value = response.json().await.unwrap_or_default();
    if !status.is_success() {
        let detail = answer["detail"].as_str().unwrap_or("no reason was given");
        bail!("{status}: {detail}");
    }
    Ok(answer)
}
