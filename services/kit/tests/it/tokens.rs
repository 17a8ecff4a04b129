//! Tokens: who is let in, and how each refusal is told.

use std::time::Duration;

use axum::{Extension, Router, body::Body, routing::get};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{Request, Response, StatusCode, header};
use kit::{
    settings::Secret,
    tokens::{Bearer, Keys, KeysError, TokenError},
};
use proptest::prelude::*;
use tower::ServiceExt;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn keys() -> Keys {
    Keys::new(&Secret::new(SECRET)).expect("long enough")
}

fn token() -> String {
    keys()
        .issue("alice", "writer", Duration::from_secs(60))
        .expect("signed")
}

#[test]
fn a_secret_below_32_characters_is_refused() {
    let error = Keys::new(&Secret::new(&SECRET[1..])).expect_err("31 characters");
    assert_eq!(error, KeysError::WeakSecret { characters: 31 });
    assert!(error.to_string().contains("at least 32"), "{error}");
}

#[test]
fn a_token_says_afterwards_what_was_put_in() {
    let claims = keys().verify(&token()).expect("accepted");
    assert_eq!(
        (claims.sub.as_str(), claims.role.as_str()),
        ("alice", "writer")
    );
    assert_eq!(claims.exp - claims.iat, 60);
    assert_ne!(claims.jti, keys().verify(&token()).expect("accepted").jti);
}

#[test]
fn each_reason_for_a_refusal_is_told_from_the_others() {
    let claims = keys().verify(&token()).expect("accepted");
    let signed = |change: &dyn Fn(&mut kit::tokens::Claims)| {
        let mut claims = claims.clone();
        change(&mut claims);
        keys().sign(&claims).expect("signed")
    };
    let other =
        Keys::new(&Secret::new("another secret of enough characters")).expect("long enough");
    let with_header = |header: &str| {
        let (_, rest) = token()
            .split_once('.')
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .expect("three parts");
        format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header))
    };
    let cases = [
        (String::new(), TokenError::Malformed),
        ("a.b".to_owned(), TokenError::Malformed),
        (format!("{}.x", token()), TokenError::Malformed),
        (
            other
                .issue("alice", "writer", Duration::from_secs(60))
                .expect("signed"),
            TokenError::BadSignature,
        ),
        (with_header(r#"{"alg":"none"}"#), TokenError::WrongAlgorithm),
        (
            with_header(r#"{"alg":"NONE","typ":"JWT"}"#),
            TokenError::WrongAlgorithm,
        ),
        (
            with_header(r#"{"alg":"RS256"}"#),
            TokenError::WrongAlgorithm,
        ),
        (
            with_header(r#"{"alg":"HS512"}"#),
            TokenError::WrongAlgorithm,
        ),
        (
            with_header(r#"{"alg":"HS256","kid":"1"}"#),
            TokenError::BadSignature,
        ),
        (
            format!("{}.", token().rsplit_once('.').expect("three parts").0),
            TokenError::BadSignature,
        ),
        (signed(&|claims| claims.exp = 1), TokenError::Expired),
        (
            signed(&|claims| claims.iat += 3600),
            TokenError::NotYetValid,
        ),
        (
            signed(&|claims| claims.iss = "elsewhere".to_owned()),
            TokenError::WrongIssuer,
        ),
        (
            signed(&|claims| claims.aud = "others".to_owned()),
            TokenError::WrongAudience,
        ),
    ];
    for (token, expected) in cases {
        assert_eq!(keys().verify(&token), Err(expected), "{token}");
    }
}

#[test]
fn a_token_ends_with_the_second_that_it_names() {
    let claims = keys().verify(&token()).expect("accepted");
    let token = keys().sign(&claims).expect("signed");
    assert!(keys().verify_at(&token, claims.exp - 1).is_ok());
    assert_eq!(
        keys().verify_at(&token, claims.exp),
        Err(TokenError::Expired)
    );
}

#[test]
fn keys_for_other_names_do_not_accept_each_other_s_tokens() {
    let token = keys()
        .between("shop", "warehouse")
        .issue("a", "b", Duration::from_secs(9))
        .expect("signed");
    assert_eq!(keys().verify(&token), Err(TokenError::WrongIssuer));
    assert_eq!(
        keys().between("shop", "office").verify(&token),
        Err(TokenError::WrongAudience)
    );
    assert!(keys().between("shop", "warehouse").verify(&token).is_ok());
}

async fn ask(authorization: Option<&str>) -> Response<Body> {
    let write = async |bearer: Bearer| {
        bearer
            .require_role(&["writer", "admin"])
            .map(|claims| claims.sub.clone())
    };
    let router = Router::new()
        .route("/write", get(write))
        .layer(Extension(keys()));
    let mut request = Request::get("/write");
    if let Some(value) = authorization {
        request = request.header(header::AUTHORIZATION, value);
    }
    router
        .oneshot(request.body(Body::empty()).expect("a request"))
        .await
        .expect("an answer")
}

fn challenge(response: &Response<Body>) -> &str {
    response.headers()[header::WWW_AUTHENTICATE]
        .to_str()
        .expect("ASCII")
}

#[tokio::test]
async fn the_extractor_lets_the_right_role_in() {
    assert_eq!(
        ask(Some(&format!("Bearer {}", token()))).await.status(),
        StatusCode::OK
    );
    assert_eq!(
        ask(Some(&format!("bearer {}", token()))).await.status(),
        StatusCode::OK
    );
}

#[tokio::test]
async fn the_extractor_challenges_everyone_else() {
    let missing = ask(None).await;
    assert_eq!(
        (missing.status(), challenge(&missing)),
        (StatusCode::UNAUTHORIZED, "Bearer")
    );
    let basic = ask(Some("Basic YTpi")).await;
    assert_eq!(
        (basic.status(), challenge(&basic)),
        (StatusCode::UNAUTHORIZED, "Bearer")
    );
    let damaged = ask(Some("Bearer x")).await;
    assert_eq!(damaged.status(), StatusCode::UNAUTHORIZED);
    assert!(
        challenge(&damaged)
            .contains("error=\"invalid_token\", error_description=\"the token is malformed\"")
    );
    let reader = keys()
        .issue("bob", "reader", Duration::from_secs(60))
        .expect("signed");
    let reader = ask(Some(&format!("Bearer {reader}"))).await;
    assert_eq!(
        (reader.status(), challenge(&reader)),
        (StatusCode::FORBIDDEN, "Bearer error=\"insufficient_scope\"")
    );
}

proptest! {
    #[test]
    fn no_text_is_taken_for_a_token(text in ".*") {
        prop_assert!(keys().verify(&text).is_err());
    }

    #[test]
    fn no_change_of_one_character_goes_unnoticed(at in 0_usize..1000, by in 1_u8..26) {
        let token = token();
        let mut bytes = token.clone().into_bytes();
        let at = at % bytes.len();
        bytes[at] = b'a' + (bytes[at].wrapping_add(by) % 26);
        let changed = String::from_utf8(bytes).expect("ASCII");
        prop_assume!(changed != token);
        prop_assert!(keys().verify(&changed).is_err());
    }
}
