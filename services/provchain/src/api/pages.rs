//! What a person sees of a node in a browser: the files of `pages/`, served as they lie there.

use std::sync::LazyLock;

use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use kit::problem::{Path, Problem};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::format::Format;
use super::{negotiate, routes};

/// A file, and what a browser that has it already calls it.
struct File {
    name: &'static str,
    content: &'static [u8],
    tag: HeaderValue,
}

macro_rules! files {
    ($($name:literal),+ $(,)?) => {
        [$(($name, include_bytes!(concat!("../../pages/", $name)))),+]
    };
}

static FILES: LazyLock<Vec<File>> = LazyLock::new(|| {
    let files: [(&str, &[u8]); _] = files![
        "index.html",
        "pages.css",
        "mark.svg",
        "account.js",
        "api.js",
        "blocks.js",
        "bytes.js",
        "check.js",
        "cipher.js",
        "dom.js",
        "drawing.js",
        "entry.js",
        "graph.js",
        "identifiers.js",
        "main.js",
        "merkle.js",
        "note.js",
        "people.js",
        "recall.js",
        "search.js",
        "status.js",
        "trace.js",
        "verify.js",
    ];
    let file = |(name, content): (&'static str, &'static [u8])| {
        let hash = hex::encode(&Sha256::digest(content)[..16]);
        let tag = HeaderValue::from_str(&format!("\"{hash}\"")).expect("digits and letters");
        File { name, content, tag }
    };
    files.into_iter().map(file).collect()
});

const INDEX: &str = "index.html";

/// Nothing from elsewhere, nothing inline, and no text that becomes markup or script.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self'; form-action 'none'; base-uri 'none'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// `GET /`: the pages for a browser; for everything else, what can be asked for here.
pub(super) async fn index(headers: HeaderMap) -> Result<Response, Problem> {
    let mut response = match Format::chosen(None, &headers, &[Format::Json, Format::Html])? {
        Format::Html => respond(INDEX, &headers)?,
        _ => resources(),
    };
    let vary = HeaderValue::from_static("accept");
    response.headers_mut().insert(header::VARY, vary);
    Ok(response)
}

/// The addresses that take nothing to be asked for.
fn resources() -> Response {
    let routes = routes::all();
    let plain = routes
        .iter()
        .filter(|route| route.method == Method::GET && !route.path.contains('{'));
    let paths: Vec<&str> = plain.map(|route| route.path).collect();
    let body = json!({
        "service": "provchain",
        "version": env!("CARGO_PKG_VERSION"),
        "resources": paths,
    });
    let mut response = axum::Json(body).into_response();
    negotiate::describe(&mut response);
    response
}

/// `GET /pages/{path}`: a file of the pages.
pub(super) async fn file(
    Path(path): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    respond(&path, &headers)
}

fn respond(name: &str, asked: &HeaderMap) -> Result<Response, Problem> {
    let file = FILES.iter().find(|file| file.name == name);
    let file = file.ok_or_else(|| Problem::not_found(format!("there is no page {name:?}")))?;
    let known = asked.get_all(header::IF_NONE_MATCH).iter();
    let known = known
        .filter_map(|tags| tags.to_str().ok())
        .flat_map(|tags| tags.split(','));
    let mut response = if known.map(str::trim).any(|tag| tag == file.tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        file.content.into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, file.tag.clone());
    for (name, value) in [
        (header::CONTENT_TYPE, media_type(file.name)),
        // Asked for again each time, and sent again only when the node was replaced by another build.
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.') {
        Some((_, "html")) => "text/html; charset=utf-8",
        Some((_, "css")) => "text/css; charset=utf-8",
        Some((_, "svg")) => "image/svg+xml",
        _ => "text/javascript; charset=utf-8",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_folder_is_served_and_none_is_large() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/pages");
        let lying = std::fs::read_dir(folder).unwrap();
        let mut lying: Vec<String> = lying
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        let mut served: Vec<&str> = FILES.iter().map(|file| file.name).collect();
        lying.sort_unstable();
        served.sort_unstable();
        assert_eq!(served, lying);
        for file in FILES.iter() {
            let lines = std::str::from_utf8(file.content).unwrap().lines().count();
            assert!(lines < 400, "{} has {lines} lines", file.name);
        }
    }

    #[test]
    fn no_page_makes_markup_of_a_text_or_fetches_from_elsewhere() {
        for file in FILES.iter() {
            let text = std::str::from_utf8(file.content).unwrap();
            for word in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
            ] {
                assert!(!text.contains(word), "{}: {word}", file.name);
            }
            for (at, _) in text.match_indices("//") {
                let address = text[..at].ends_with("http:") || text[..at].ends_with("https:");
                let known = ["//id.gs1.org/", "//www.w3.org/2000/svg", "//ref.gs1.org/"];
                let known = known.iter().any(|known| text[at..].starts_with(known));
                assert!(!address || known, "{}: {}", file.name, &text[at..][..20]);
            }
        }
    }
}
