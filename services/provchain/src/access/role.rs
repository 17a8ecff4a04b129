//! What people and machines may do.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What somebody is in the supply chain, or to it. Each route names the roles that it serves.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Grows or catches, and writes.
    Farmer,
    /// Makes one thing of others, and writes.
    Processor,
    /// Carries, and writes.
    Transporter,
    /// Sells, and writes.
    Retailer,
    /// Buys and asks.
    Consumer,
    /// Reads everything, and what was done by whom.
    Auditor,
    /// Decides who is who, and may do what all others may.
    Admin,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Farmer,
        Self::Processor,
        Self::Transporter,
        Self::Retailer,
        Self::Consumer,
        Self::Auditor,
        Self::Admin,
    ];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Farmer => "farmer",
            Self::Processor => "processor",
            Self::Transporter => "transporter",
            Self::Retailer => "retailer",
            Self::Consumer => "consumer",
            Self::Auditor => "auditor",
            Self::Admin => "admin",
        }
    }

    /// Whether it sees every event, whoever owns it.
    #[must_use]
    pub const fn sees_all(self) -> bool {
        matches!(self, Self::Auditor | Self::Admin)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|role| role.as_str() == text);
        known.ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|role| role.as_str()).collect();
            format!("{text:?} is no role: {}", names.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_known_by_its_name_and_by_no_other() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
        }
        let refused = "Admin".parse::<Role>().unwrap_err();
        assert!(refused.contains("admin"), "{refused}");
    }
}
