//! `provchain token`: signs a token.

use std::time::Duration;

use clap::Args;
use kit::cli::SettingsArgs;
use kit::settings::{Names, Secret};
use kit::tokens::Keys;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::Role;
use crate::settings::Settings;

/// Whose token, and for what.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Whose token it is: recorded with what is captured
    #[arg(long)]
    subject: String,
    /// farmer, processor, transporter, retailer or admin may write; consumer and auditor read
    #[arg(long)]
    role: Role,
    /// How long it is valid, such as 1h or 30d
    #[arg(long, default_value = "1h", value_parser = kit::cli::duration)]
    ttl: Duration,
}

/// The one setting that a token needs. Whoever signs tokens need not run a node, and a mistake in
/// a node's settings is none in a token.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
struct TokenSettings {
    /// The key of tokens.
    jwt_secret: Secret,
}

impl kit::settings::Settings for TokenSettings {
    const SERVICE: &'static str = "provchain";
    const ENV: &'static [Names] = &[&[("JWT_SECRET", "jwt_secret")]];
}

impl Arguments {
    pub(super) fn run(&self, settings: &SettingsArgs) -> anyhow::Result<()> {
        let token = keys(settings)?.issue(&self.subject, self.role.as_str(), self.ttl)?;
        println!("{token}");
        Ok(())
    }
}

/// What signs tokens.
pub(super) fn keys(arguments: &SettingsArgs) -> anyhow::Result<Keys> {
    Ok(Keys::new(&secret(arguments)?)?)
}

/// The secret where it is set by its own name, else that of a node's whole settings.
fn secret(arguments: &SettingsArgs) -> anyhow::Result<Secret> {
    let mut sources = arguments.sources();
    sources.file = None;
    sources.flags.retain(|(key, _)| key == "jwt_secret");
    sources
        .environment
        .retain(|(name, _)| ["JWT_SECRET", "JWT_SECRET_FILE"].contains(&name.as_str()));
    if sources.flags.is_empty() && sources.environment.is_empty() {
        let settings: Settings = arguments.load()?;
        return Ok(settings.jwt_secret);
    }
    let settings: TokenSettings = kit::settings::load(&sources)?;
    Ok(settings.jwt_secret)
}
