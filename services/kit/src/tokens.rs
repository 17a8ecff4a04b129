//! Bearer tokens of clients (JWT, HS256) and authenticators of peers (HMAC).

mod bearer;
pub mod mac;

pub use bearer::{Bearer, bearer_token, insufficient_scope};

use std::{fmt, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, errors::ErrorKind};
use serde::{Deserialize, Serialize};

use crate::{clock, settings::Secret};

/// The shortest secret, in characters. HS256 asks for as many bits as its hash has (RFC 7518,
/// section 3.2): 32 bytes.
pub const SECRET_CHARACTERS_MIN: usize = 32;

/// No token of ours comes near; longer ones are refused before anything is decoded.
const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// How far the clocks of the issuing and of the verifying node may differ.
const CLOCK_SKEW_SECONDS: u64 = 30;

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who the token is about.
    pub sub: String,
    /// What the subject may do; the service gives it a meaning.
    pub role: String,
    /// Issued at, in seconds since the Unix epoch.
    pub iat: u64,
    /// Expires at, in seconds since the Unix epoch.
    pub exp: u64,
    /// The token's own identifier, for the audit log.
    pub jti: String,
    /// Who issued it.
    pub iss: String,
    /// Whom it is for.
    pub aud: String,
}

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// No `Authorization: Bearer …` header.
    #[error("a bearer token is required")]
    Missing,
    /// Not a JWT, or without a claim that every token has.
    #[error("the token is malformed")]
    Malformed,
    /// Signed with anything but HS256, or not signed at all.
    #[error("the token's algorithm is not HS256")]
    WrongAlgorithm,
    /// Signed with another secret, or changed since.
    #[error("the token's signature is wrong")]
    BadSignature,
    /// Past its `exp`.
    #[error("the token has expired")]
    Expired,
    /// Issued in the future.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// From another issuer.
    #[error("the token is from another issuer")]
    WrongIssuer,
    /// For another audience.
    #[error("the token is for another audience")]
    WrongAudience,
}

/// Why a secret cannot sign tokens, or a token cannot be signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// Too short to resist guessing.
    #[error(
        "the secret has {characters} characters; tokens need at least {SECRET_CHARACTERS_MIN} (try `openssl rand -hex 32`)"
    )]
    WeakSecret {
        /// The length that was given.
        characters: usize,
    },
    /// The claims cannot be signed.
    #[error("the token cannot be signed: {0}")]
    Sign(String),
}

/// Signs and verifies tokens. Clones share the key.
#[derive(Clone)]
pub struct Keys(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    encoding: EncodingKey,
    decoding: DecodingKey,
    issuer: String,
    audience: String,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("issuer", &self.0.issuer)
            .field("audience", &self.0.audience)
            .finish_non_exhaustive()
    }
}

impl Keys {
    /// Keys from a shared secret, for issuer and audience `cluster`.
    ///
    /// # Errors
    /// A secret of less than [`SECRET_CHARACTERS_MIN`] characters.
    pub fn new(secret: &Secret) -> Result<Self, KeysError> {
        let characters = secret.expose().chars().count();
        if characters < SECRET_CHARACTERS_MIN {
            return Err(KeysError::WeakSecret { characters });
        }
        let bytes = secret.expose().as_bytes();
        Ok(Self(Arc::new(Inner {
            encoding: EncodingKey::from_secret(bytes),
            decoding: DecodingKey::from_secret(bytes),
            issuer: "cluster".to_owned(),
            audience: "cluster".to_owned(),
        })))
    }

    /// The same keys for other names of issuer and audience, such as a service and its network.
    #[must_use]
    pub fn between(&self, issuer: impl Into<String>, audience: impl Into<String>) -> Self {
        let inner = Inner {
            issuer: issuer.into(),
            audience: audience.into(),
            ..(*self.0).clone()
        };
        Self(Arc::new(inner))
    }

    /// Who issues these tokens.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// Whom they are for.
    #[must_use]
    pub fn audience(&self) -> &str {
        &self.0.audience
    }

    /// Signs a token that is valid from now for `ttl`, in whole seconds.
    ///
    /// # Errors
    /// When the claims cannot be serialized, which strings always can.
    pub fn issue(&self, subject: &str, role: &str, ttl: Duration) -> Result<String, KeysError> {
        let iat = clock::unix_seconds();
        self.sign(&Claims {
            sub: subject.to_owned(),
            role: role.to_owned(),
            iat,
            exp: iat.saturating_add(ttl.as_secs()),
            jti: uuid::Uuid::new_v4().to_string(),
            iss: self.0.issuer.clone(),
            aud: self.0.audience.clone(),
        })
    }

    /// Signs claims as they are.
    ///
    /// # Errors
    /// When the claims cannot be serialized, which strings always can.
    pub fn sign(&self, claims: &Claims) -> Result<String, KeysError> {
        let signed = jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &self.0.encoding);
        signed.map_err(|error| KeysError::Sign(error.to_string()))
    }

    /// Verifies a token now.
    ///
    /// # Errors
    /// The first reason why it is not accepted; whether it was signed here comes before what it says.
    pub fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        self.verify_at(token, clock::unix_seconds())
    }

    /// Verifies a token at `now`, in seconds since the Unix epoch.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub fn verify_at(&self, token: &str, now: u64) -> Result<Claims, TokenError> {
        require_hs256(token)?;
        let claims = jsonwebtoken::decode::<Claims>(token, &self.0.decoding, &signature_only());
        let claims = claims.map_err(|error| match error.kind() {
            ErrorKind::InvalidSignature => TokenError::BadSignature,
            ErrorKind::InvalidAlgorithm => TokenError::WrongAlgorithm,
            _ => TokenError::Malformed,
        })?;
        let claims = claims.claims;
        if claims.exp <= now {
            return Err(TokenError::Expired);
        }
        if claims.iat > now.saturating_add(CLOCK_SKEW_SECONDS) {
            return Err(TokenError::NotYetValid);
        }
        if claims.iss != self.0.issuer {
            return Err(TokenError::WrongIssuer);
        }
        if claims.aud != self.0.audience {
            return Err(TokenError::WrongAudience);
        }
        Ok(claims)
    }
}

/// The claims are judged here, against a time that is an argument.
fn signature_only() -> Validation {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation
}

/// Reads the algorithm before anything else does: `none` must be told from a damaged token.
fn require_hs256(token: &str) -> Result<(), TokenError> {
    #[derive(Deserialize)]
    struct Start {
        alg: String,
    }
    let mut parts = token.split('.');
    let (Some(header), Some(_), Some(_), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(TokenError::Malformed);
    };
    if token.len() > TOKEN_BYTES_MAX {
        return Err(TokenError::Malformed);
    }
    let header = URL_SAFE_NO_PAD
        .decode(header)
        .map_err(|_| TokenError::Malformed)?;
    let start: Start = serde_json::from_slice(&header).map_err(|_| TokenError::Malformed)?;
    if start.alg == "HS256" {
        Ok(())
    } else {
        Err(TokenError::WrongAlgorithm)
    }
}
