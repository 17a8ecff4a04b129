//! Addresses, one by one or as a range.

use std::{fmt, net::IpAddr, str::FromStr};

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An address (`192.0.2.1`), or a range of them in CIDR notation (`192.0.2.0/24`, RFC 4632 section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct AddressRange(IpNet);

impl AddressRange {
    /// Whether the address is one of these; an IPv4 address in IPv6 (`::ffff:192.0.2.1`) counts as itself.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl FromStr for AddressRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let range = text
            .parse()
            .or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        range.map(Self).map_err(|_| {
            format!("{text:?} is neither an address, such as 192.0.2.1, nor a range of them, such as 192.0.2.0/24")
        })
    }
}

impl TryFrom<String> for AddressRange {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<AddressRange> for String {
    fn from(range: AddressRange) -> Self {
        range.to_string()
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() {
            self.0.addr().fmt(f)
        } else {
            self.0.fmt(f)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_the_addresses_that_begin_like_it() {
        for (range, inside, outside) in [
            ("192.0.2.1", "192.0.2.1", "192.0.2.2"),
            ("172.16.0.0/12", "172.31.255.255", "172.32.0.0"),
            ("172.16.0.0/12", "::ffff:172.16.0.1", "::ac10:1"),
            ("2001:db8::/32", "2001:db8::1", "2001:db9::1"),
        ] {
            let range: AddressRange = range.parse().unwrap();
            assert!(range.contains(inside.parse().unwrap()), "{range} {inside}");
            assert!(
                !range.contains(outside.parse().unwrap()),
                "{range} {outside}"
            );
        }
    }

    #[test]
    fn it_is_written_as_it_is_read_and_nothing_else_is_taken() {
        for text in ["192.0.2.1", "10.0.0.0/8", "2001:db8::/32", "::1"] {
            assert_eq!(text.parse::<AddressRange>().unwrap().to_string(), text);
        }
        for text in ["", "10.0.0.0/33", "10.0.0", "proxy", "10.0.0.0/8 "] {
            assert!(
                text.parse::<AddressRange>().unwrap_err().contains(text),
                "{text}"
            );
        }
    }
}
