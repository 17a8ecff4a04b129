//! One delivery: to the address that was checked, and with nothing of the answer but its status.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::{StatusCode, header};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Certificate, Client};

use crate::settings::SubscriptionSettings;
use crate::subscription::{Destination, DestinationError, is_public, sign};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a connection is kept for the next delivery.
const IDLE: Duration = Duration::from_secs(30);

/// Why something was not delivered. It is told to the subscriber, and says nothing of the network that
/// the node stands in.
#[derive(Debug, thiserror::Error)]
pub(super) enum PostError {
    #[error(transparent)]
    Destination(#[from] DestinationError),
    #[error("the receiver takes no batch as large as this one (413)")]
    TooLarge,
    #[error("the receiver answered {0}: redirects are not followed")]
    Redirect(u16),
    #[error("the receiver answered {0}")]
    Refused(u16),
    #[error("the receiver did not answer in time")]
    Slow,
    #[error(
        "no connection to the receiver: it does not answer, its certificate is not valid, or its name has no public address"
    )]
    NoConnection,
    #[error("the connection broke before the receiver answered")]
    Broken,
    #[error("this node cannot send: {0}")]
    Unable(String),
}

/// Sends.
pub(super) struct Post {
    client: Result<Client, String>,
    settings: SubscriptionSettings,
}

impl Post {
    /// A sender, which cannot send if there are no authorities to verify receivers by.
    pub fn new(settings: &SubscriptionSettings) -> Self {
        let client = client(settings).map_err(|error| format!("{error:#}"));
        if let Err(reason) = &client {
            tracing::warn!(reason, "this node cannot deliver to subscribers");
        }
        Self {
            client,
            settings: settings.clone(),
        }
    }

    /// Delivers a body, signed if there is something to sign it with.
    pub async fn send(
        &self,
        dest: &str,
        signature_token: &str,
        body: Vec<u8>,
    ) -> Result<(), PostError> {
        let client = self.client.as_ref();
        let client = client.map_err(|reason| PostError::Unable(reason.clone()))?;
        // The settings may be others by now. Addresses in place of names are checked here; names, when
        // they are resolved.
        let settings = &self.settings;
        let destination =
            Destination::parse(dest, settings.plain_http, settings.private_destinations)?;
        let mut request = client
            .post(destination.url)
            .header(header::CONTENT_TYPE, "application/json")
            .header("gs1-epcis-version", "2.0.0")
            .header("gs1-cbv-version", "2.0.0");
        if !signature_token.is_empty() {
            let signature = sign(signature_token, &body);
            request = request.header("gs1-signature", signature);
        }
        // What follows the status is not read: it may have no end.
        let answer = request.body(Bytes::from(body)).send().await;
        let status = answer.map_err(|error| told(&error))?.status();
        match status {
            status if status.is_success() => Ok(()),
            StatusCode::PAYLOAD_TOO_LARGE => Err(PostError::TooLarge),
            status if status.is_redirection() => Err(PostError::Redirect(status.as_u16())),
            status => Err(PostError::Refused(status.as_u16())),
        }
    }
}

fn told(error: &reqwest::Error) -> PostError {
    tracing::debug!(?error, "a delivery failed");
    if error.is_connect() {
        PostError::NoConnection
    } else if error.is_timeout() {
        PostError::Slow
    } else {
        PostError::Broken
    }
}

fn client(settings: &SubscriptionSettings) -> anyhow::Result<Client> {
    let resolver = Arc::new(Checked {
        private: settings.private_destinations,
    });
    let mut builder = Client::builder()
        .user_agent(concat!("provchain/", env!("CARGO_PKG_VERSION")))
        .dns_resolver(resolver)
        // A proxy would connect to what it likes, and so would a redirect.
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .https_only(!settings.plain_http)
        .timeout(Duration::from_millis(settings.timeout_ms))
        .connect_timeout(CONNECT)
        .pool_max_idle_per_host(1)
        .pool_idle_timeout(IDLE);
    if let Some(path) = &settings.authorities_file {
        let pem = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        builder = builder.tls_certs_only(Certificate::from_pem_bundle(&pem)?);
    }
    Ok(builder.build()?)
}

/// Resolves names to public addresses. A connection goes to the addresses that were checked here, and
/// not to what the name stands for a moment later.
struct Checked {
    private: bool,
}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let private = self.private;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let addresses = allowed(found.collect(), private)?;
            let addresses: Addrs = Box::new(addresses.into_iter());
            Ok(addresses)
        })
    }
}

/// All of the addresses, if none of them is private: a name that has both is up to something.
fn allowed(addresses: Vec<SocketAddr>, private: bool) -> Result<Vec<SocketAddr>, DestinationError> {
    let public = |address: &SocketAddr| is_public(address.ip());
    if private || addresses.iter().all(public) {
        return Ok(addresses);
    }
    Err(DestinationError::Private)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// Whether somebody has connected.
    fn was_called(listener: &TcpListener) -> bool {
        listener.set_nonblocking(true).unwrap();
        listener.accept().is_ok()
    }

    #[tokio::test]
    async fn nothing_is_connected_to_that_was_not_checked() {
        kit::tls::install_provider();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let settings = SubscriptionSettings {
            plain_http: true,
            ..SubscriptionSettings::default()
        };
        let post = Post::new(&settings);
        for host in ["127.0.0.1", "0x7f000001", "localhost"] {
            let dest = format!("http://{host}:{port}/");
            let refused = post.send(&dest, "", Vec::new()).await.unwrap_err();
            assert!(matches!(refused, PostError::Destination(_)), "{refused}");
        }
        // A name that is not known for what it stands for is found out when it is resolved.
        let url = format!("http://localhost:{port}/");
        let named = client(&settings).unwrap().post(&url).send().await;
        let refused = told(&named.unwrap_err());
        assert!(matches!(refused, PostError::NoConnection), "{refused}");
        assert!(!was_called(&listener));
        // And where it may be, it is connected to.
        let allowed = SubscriptionSettings {
            private_destinations: true,
            timeout_ms: 500,
            ..settings
        };
        let sent = Post::new(&allowed).send(&url, "", Vec::new()).await;
        assert!(matches!(sent, Err(PostError::Slow)), "{sent:?}");
        assert!(was_called(&listener));
    }

    #[test]
    fn one_private_address_spoils_a_name() {
        let parse = |text: &str| text.parse::<SocketAddr>().unwrap();
        let public = [parse("8.8.8.8:0"), parse("[2606:4700::1111]:0")];
        assert_eq!(allowed(public.to_vec(), false).as_deref(), Ok(&public[..]));
        for private in [
            "127.0.0.1:0",
            "[::1]:0",
            "[::ffff:10.0.0.1]:0",
            "169.254.169.254:0",
        ] {
            let mixed = vec![public[0], parse(private), public[1]];
            assert!(allowed(mixed.clone(), false).is_err(), "{private}");
            assert_eq!(allowed(mixed, true).map(|all| all.len()), Ok(3));
        }
    }
}
