//! The address of the database.

use std::time::Duration;

use kit::settings::Secret;
use tokio_postgres::config::SslMode;

/// How long the database has for any one thing.
pub const DATABASE_PATIENCE: Duration = Duration::from_secs(2);

/// Reads the address of the database.
///
/// # Errors
/// What is wrong with it, without repeating it: it may hold a password.
pub fn database(url: &str, password: &Secret) -> Result<tokio_postgres::Config, String> {
    let mut config: tokio_postgres::Config = url
        .parse()
        .map_err(|_| "not of the form postgres://user@host:port/database".to_owned())?;
    if config.get_hosts().is_empty() || config.get_dbname().is_none() {
        return Err("it needs a host and the name of a database".to_owned());
    }
    if config.get_ssl_mode() == SslMode::Require {
        return Err(
            "sslmode=require is not spoken: keep the database in the service's own network"
                .to_owned(),
        );
    }
    if !password.is_empty() {
        config.password(password.expose());
    }
    config
        .application_name("status")
        // What we no longer wait for ends there, too.
        .options(format!(
            "-c statement_timeout={}",
            DATABASE_PATIENCE.as_millis()
        ))
        .connect_timeout(DATABASE_PATIENCE)
        .tcp_user_timeout(2 * DATABASE_PATIENCE)
        .keepalives_idle(Duration::from_secs(10));
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_cannot_be_used_is_refused_without_repeating_it() {
        for (url, reason) in [
            ("postgres//u:hidden@h/d", "of the form"),
            ("postgres://u:hidden@h", "the name of a database"),
            ("postgres://u:hidden@h/d?sslmode=require", "sslmode=require"),
        ] {
            let error = database(url, &Secret::default()).expect_err(url);
            assert!(
                error.contains(reason) && !error.contains("hidden"),
                "{error}"
            );
        }
        let config = database("postgres://u@h:5433/d", &Secret::new("p")).expect("an address");
        assert_eq!(
            (config.get_user(), config.get_dbname()),
            (Some("u"), Some("d"))
        );
    }
}
