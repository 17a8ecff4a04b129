//! Passwords: argon2id (RFC 9106), stored as PHC strings, so that parameters can rise.

use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};

/// The shortest password, in characters (NIST SP 800-63B, section 5.1.1.2, and some more).
pub const CHARACTERS_MIN: usize = 12;

/// The longest, in bytes: hashing takes time by length.
pub const BYTES_MAX: usize = 1024;

/// 19 MiB, two passes, one lane: the least that OWASP's password storage cheat sheet asks for.
/// Every node hashes with them; a stored hash carries its own.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// A hash of no password: whoever is not known is checked against it, and learns nothing from how
/// long that takes.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$\
                      AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Why a password cannot be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too short to resist guessing.
    #[error("a password has at least {CHARACTERS_MIN} characters")]
    Short,
    /// Too long to be hashed for anybody who asks.
    #[error("a password has at most {BYTES_MAX} bytes")]
    Long,
    /// The library refused.
    #[error("the password cannot be hashed: {0}")]
    Hash(String),
}

fn argon2() -> Result<Argon2<'static>, PasswordError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None)
        .map_err(|error| PasswordError::Hash(error.to_string()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// Hashes `password` with 16 random bytes of salt. Takes some 20 ms of a processor and 19 MiB.
///
/// # Errors
/// A password that is too short or too long.
pub fn hash(password: &str, salt: &[u8; 16]) -> Result<String, PasswordError> {
    if password.chars().count() < CHARACTERS_MIN {
        return Err(PasswordError::Short);
    }
    if password.len() > BYTES_MAX {
        return Err(PasswordError::Long);
    }
    let failed = |error: argon2::password_hash::Error| PasswordError::Hash(error.to_string());
    let salt = SaltString::encode_b64(salt).map_err(failed)?;
    let hash = argon2()?
        .hash_password(password.as_bytes(), &salt)
        .map_err(failed)?;
    Ok(hash.to_string())
}

/// Whether `password` is the one of `stored`; of nobody, when there is none, which takes as long.
#[must_use]
pub fn verify(password: &str, stored: Option<&str>) -> bool {
    if password.len() > BYTES_MAX {
        return false;
    }
    let Ok(hash) = PasswordHash::new(stored.unwrap_or(NOBODY)) else {
        return false;
    };
    let verified = Argon2::default().verify_password(password.as_bytes(), &hash);
    verified.is_ok() && stored.is_some()
}

/// Whether `stored` is a hash that [`verify`] can use.
#[must_use]
pub fn is_hash(stored: &str) -> bool {
    PasswordHash::new(stored).is_ok_and(|hash| hash.algorithm.as_str() == "argon2id")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWORD: &str = "correct horse battery";

    #[test]
    fn a_password_is_known_again_and_no_other_is() {
        let stored = hash(PASSWORD, &[7; 16]).unwrap();
        assert!(
            stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{stored}"
        );
        assert!(is_hash(&stored));
        assert!(verify(PASSWORD, Some(&stored)));
        assert!(!verify("correct horse batterz", Some(&stored)));
        assert!(!verify(PASSWORD, None));
        assert!(!verify(PASSWORD, Some("plain")));
    }

    #[test]
    fn nobody_has_a_hash_that_takes_as_long_to_check() {
        assert!(is_hash(NOBODY));
        assert!(!verify("", None));
    }

    #[test]
    fn passwords_that_can_be_guessed_or_hold_up_a_node_are_refused() {
        assert_eq!(hash("short", &[0; 16]), Err(PasswordError::Short));
        assert_eq!(hash(&"x".repeat(1025), &[0; 16]), Err(PasswordError::Long));
        assert!(!is_hash(
            "$argon2i$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAA"
        ));
    }
}
