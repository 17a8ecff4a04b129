//! Where events may go: receivers on the public internet, unless the settings allow more. A node
//! stands inside a network that its clients do not see, and must not become their way into it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// Longest address of a receiver, in bytes.
pub const DEST_BYTES_MAX: usize = 2_048;

/// Why events do not go somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DestinationError {
    /// It is none.
    #[error("dest is not an absolute URL of at most 2048 bytes")]
    Malformed,
    /// It is in the clear, or not HTTP.
    #[error("dest begins with https:// (this ledger sends nothing in the clear)")]
    Scheme,
    /// It has a name and a password in it.
    #[error("dest holds a user name or a password: a signatureToken is the way to be known")]
    UserInfo,
    /// It has something that is not sent.
    #[error("dest ends with a fragment (#), which would not be sent")]
    Fragment,
    /// Its host is an address in a private network, or the like.
    #[error("dest is in a private or reserved range of addresses")]
    Private,
}

/// The address of a receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The address.
    pub url: Url,
}

impl Destination {
    /// Reads an address, and refuses what its text alone speaks against: what its host's name stands
    /// for is known when it is connected to. `http` and `private` say what the settings allow.
    ///
    /// # Errors
    /// [`DestinationError`].
    pub fn parse(text: &str, http: bool, private: bool) -> Result<Self, DestinationError> {
        if text.len() > DEST_BYTES_MAX {
            return Err(DestinationError::Malformed);
        }
        // It reads decimal, octal and shortened forms of addresses as what they are.
        let url = Url::parse(text).map_err(|_| DestinationError::Malformed)?;
        match url.scheme() {
            "https" => {}
            "http" if http => {}
            _ => return Err(DestinationError::Scheme),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(DestinationError::UserInfo);
        }
        if url.fragment().is_some() {
            return Err(DestinationError::Fragment);
        }
        let allowed = match url.host() {
            None => return Err(DestinationError::Malformed),
            Some(Host::Ipv4(address)) => is_public(address.into()),
            Some(Host::Ipv6(address)) => is_public(address.into()),
            // RFC 6761: these never leave the machine.
            Some(Host::Domain(name)) => {
                let name = name.trim_end_matches('.');
                name != "localhost" && !name.ends_with(".localhost")
            }
        };
        if !allowed && !private {
            return Err(DestinationError::Private);
        }
        Ok(Self { url })
    }
}

/// Whether an address is one of the public internet (IANA's special-purpose registries say which are
/// not).
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = matches!(
        (a, b, c),
        (0 | 10 | 127 | 224.., ..)
            // Shared by carriers; link-local, where clouds keep their metadata; private.
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 168, _)
            // Protocol assignments, documentation, 6to4 relays, benchmarks.
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    );
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    // Global unicast, and nothing else: not loopback, mapped or translated (NAT64) IPv4, unique
    // local, link-local, multicast.
    let global = a & 0xe000 == 0x2000;
    let special = match a {
        // Protocol assignments, Teredo among them; documentation.
        0x2001 => b < 0x0200 || b == 0x0db8,
        // 6to4, which holds an IPv4 address.
        0x2002 => true,
        // Documentation.
        0x3fff => b < 0x1000,
        _ => false,
    };
    global && !special
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Destination, DestinationError> {
        Destination::parse(text, false, false)
    }

    #[test]
    fn the_public_internet_is_a_destination() {
        for text in [
            "https://client.example.com/queryCallback",
            "https://client.example.com:8443/a?b=c",
            "https://8.8.8.8/",
            "https://[2606:4700::1111]/",
        ] {
            assert!(parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn no_spelling_of_a_private_address_is() {
        for host in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "017700000001",
            "127.0.0.1.",
            "１２７.0.0.1",
            "0.0.0.0",
            "0",
            "10.1.2.3",
            "100.64.0.1",
            "169.254.169.254",
            "172.31.255.255",
            "192.168.0.1",
            "192.0.2.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "localhost",
            "LOCALHOST.",
            "a.localhost",
            "[::]",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:8.8.8.8]",
            "[::127.0.0.1]",
            "[64:ff9b::10.0.0.1]",
            "[64:ff9b:1::1]",
            "[2002:7f00:1::]",
            "[2001::1]",
            "[2001:db8::1]",
            "[3fff::1]",
            "[fc00::1]",
            "[fd12:3456::1]",
            "[fe80::1]",
            "[fec0::1]",
            "[ff02::1]",
        ] {
            let text = format!("https://{host}/");
            assert_eq!(parse(&text), Err(DestinationError::Private), "{text}");
            assert!(Destination::parse(&text, false, true).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_of_a_receiver_is_refused_by_its_reason() {
        let long = format!("https://example.com/{}", "a".repeat(DEST_BYTES_MAX));
        for (text, reason) in [
            ("", DestinationError::Malformed),
            ("/callback", DestinationError::Malformed),
            ("https://", DestinationError::Malformed),
            ("https://1.2.3.4.5/", DestinationError::Malformed),
            (&long, DestinationError::Malformed),
            ("http://client.example.com/", DestinationError::Scheme),
            ("ftp://client.example.com/", DestinationError::Scheme),
            ("file:///etc/passwd", DestinationError::Scheme),
            ("gopher://client.example.com/", DestinationError::Scheme),
            ("https://a@example.com/", DestinationError::UserInfo),
            ("https://a:b@example.com/", DestinationError::UserInfo),
            ("https://example.com/#a", DestinationError::Fragment),
        ] {
            assert_eq!(parse(text), Err(reason), "{text}");
        }
        assert!(Destination::parse("http://client.example.com/", true, false).is_ok());
    }

    proptest! {
        #[test]
        fn what_maps_or_translates_an_address_of_ipv4_is_not_public(v4: [u8; 4], low: u32) {
            let v4 = Ipv4Addr::from(v4);
            let [a, b] = [u16::from_be_bytes([v4.octets()[0], v4.octets()[1]]), u16::from_be_bytes([v4.octets()[2], v4.octets()[3]])];
            let [c, d] = [(low >> 16) as u16, low as u16];
            for v6 in [
                v4.to_ipv6_mapped(),
                v4.to_ipv6_compatible(),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, a, b),
                Ipv6Addr::new(0x64, 0xff9b, 1, c, d, 0, a, b),
                Ipv6Addr::new(0x2002, a, b, c, d, 0, 0, 1),
                Ipv6Addr::new(0x2001, 0, c, d, 0, 0, a, b),
            ] {
                prop_assert!(!is_public(v6.into()), "{v6}");
            }
        }

        #[test]
        fn what_the_standard_library_calls_local_is_not_public(v4: [u8; 4], v6: [u8; 16]) {
            let v4 = Ipv4Addr::from(v4);
            let local = v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_multicast()
                || v4.is_broadcast() || v4.is_documentation() || v4.is_unspecified();
            prop_assert!(!(local && is_public(v4.into())), "{v4}");
            let v6 = Ipv6Addr::from(v6);
            let local = v6.is_loopback() || v6.is_multicast() || v6.is_unspecified()
                || v6.is_unique_local() || v6.is_unicast_link_local();
            prop_assert!(!(local && is_public(v6.into())), "{v6}");
        }

        #[test]
        fn any_text_is_answered(text in ".{0,60}") {
            drop(parse(&text));
        }
    }
}
