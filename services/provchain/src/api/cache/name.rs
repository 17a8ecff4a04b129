//! The names of answers.

use axum::extract::Request;
use http::HeaderMap;
use sha2::{Digest as _, Sha256};

use super::Moment;
use crate::access::Viewer;

/// What an answer is kept under: a hash of everything that it depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Name(pub [u8; 32]);

/// A hash over fields, each behind its length, so that no two lists of fields are the same bytes.
struct Fields(Sha256);

impl Fields {
    fn add(&mut self, field: &[u8]) {
        self.0.update((field.len() as u64).to_be_bytes());
        self.0.update(field);
    }
}

impl Name {
    /// The name of the answer to `request` for this viewer, of the ledger at this moment. `as_of` is
    /// the parameter that names a size; `signer` the key of the node, if it signs the answer.
    pub fn of(
        request: &Request,
        viewer: &Viewer,
        moment: &Moment,
        (as_of, signer): (Option<&str>, Option<[u8; 32]>),
    ) -> Self {
        let mut fields = Fields(Sha256::new());
        fields.add(b"provchain/v1 answer name");
        fields.add(env!("CARGO_PKG_VERSION").as_bytes());
        fields.add(moment.origin.as_bytes());
        fields.add(&moment.erasures.to_be_bytes());
        let query = request.uri().query().unwrap_or_default();
        let settled = as_of.and_then(|as_of| number(query, as_of));
        // An answer as of a size that the ledger has reached stays what it is.
        let size = settled.filter(|size| *size <= moment.size);
        fields.add(&size.unwrap_or(moment.size).to_be_bytes());
        fields.add(request.uri().path().as_bytes());
        fields.add(query.as_bytes());
        for (name, value) in wishes(request.headers()) {
            fields.add(name.as_bytes());
            fields.add(value);
        }
        fields.add(b"viewer");
        add_viewer(&mut fields, viewer);
        fields.add(signer.as_ref().map_or(&[], |key| &key[..]));
        Self(fields.0.finalize().into())
    }
}

/// The headers that answers depend on, in one order.
fn wishes(headers: &HeaderMap) -> Vec<(&str, &[u8])> {
    let wishes = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()));
    let mut wishes: Vec<_> = wishes
        .filter(|(name, _)| *name == "accept" || name.starts_with("gs1-"))
        .collect();
    // Stable: what comes twice under one name keeps its order.
    wishes.sort_by_key(|(name, _)| *name);
    wishes
}

fn add_viewer(fields: &mut Fields, viewer: &Viewer) {
    match viewer {
        Viewer::All => fields.add(b"all"),
        Viewer::Party { own, partner_of } => {
            fields.add(b"party");
            fields.add(&own.unwrap_or_default().to_be_bytes());
            for partner in partner_of {
                fields.add(&partner.to_be_bytes());
            }
        }
    }
}

/// The number that a query string has under `name`, in the one spelling that is looked for.
fn number(query: &str, name: &str) -> Option<u64> {
    let mut values = query.split('&').filter_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        (key == name).then(|| value.parse().ok())
    });
    match (values.next(), values.next()) {
        (Some(value), None) => value,
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashSet};

    use axum::body::Body;

    use super::*;

    fn asked(uri: &str, headers: &[(&str, &str)]) -> Request {
        let request = http::Request::get(uri);
        let request = headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        });
        request.body(Body::empty()).unwrap()
    }

    fn moment(size: u64) -> Moment {
        Moment {
            origin: "o".to_owned(),
            size,
            erasures: 0,
        }
    }

    fn party(own: u64, partner_of: &[u64]) -> Viewer {
        Viewer::Party {
            own: (own != 0).then_some(own),
            partner_of: BTreeSet::from_iter(partner_of.iter().copied()),
        }
    }

    fn name(uri: &str, viewer: &Viewer, moment: &Moment) -> Name {
        Name::of(&asked(uri, &[]), viewer, moment, (Some("asOf"), None))
    }

    #[test]
    fn whatever_an_answer_depends_on_gives_it_another_name() {
        let viewers = [
            Viewer::All,
            party(0, &[]),
            party(1, &[]),
            party(1, &[2]),
            party(1, &[2, 3]),
            party(2, &[1]),
            party(0, &[1]),
        ];
        let mut names: Vec<Name> = viewers
            .iter()
            .map(|it| name("/a", it, &moment(5)))
            .collect();
        let nobody = Viewer::anybody();
        for uri in ["/b", "/a?", "/a?b", "/a?asOf=7", "/ab"] {
            names.push(name(uri, &nobody, &moment(5)));
        }
        names.push(name("/a", &nobody, &moment(6)));
        let moments = [
            Moment {
                erasures: 1,
                ..moment(5)
            },
            Moment {
                origin: "p".to_owned(),
                ..moment(5)
            },
        ];
        names.extend(moments.iter().map(|moment| name("/a", &nobody, moment)));
        for headers in [
            [("accept", "text/html")],
            [("accept", "image/svg+xml")],
            [("gs1-extensions", "a=b")],
        ] {
            let request = asked("/a", &headers);
            names.push(Name::of(&request, &nobody, &moment(5), (None, None)));
        }
        let signed = (None, Some([1; 32]));
        names.push(Name::of(&asked("/a", &[]), &nobody, &moment(5), signed));
        let different: HashSet<Name> = names.iter().copied().collect();
        // `/a?` asks nothing else than `/a`, and may have its name.
        assert!(different.len() >= names.len() - 1, "{names:?}");
    }

    #[test]
    fn whatever_it_does_not_depend_on_leaves_it_its_name() {
        let nobody = Viewer::anybody();
        let plain = Name::of(&asked("/a", &[]), &nobody, &moment(5), (None, None));
        let headers = [
            ("authorization", "Bearer x"),
            ("user-agent", "y"),
            ("traceparent", "z"),
        ];
        let other = Name::of(&asked("/a", &headers), &nobody, &moment(5), (None, None));
        assert_eq!(other, plain);
        let early = name("/a?asOf=3", &nobody, &moment(5));
        assert_eq!(name("/a?asOf=3", &nobody, &moment(500)), early);
        // A size that has not been reached is no answer that stays.
        let future = name("/a?asOf=9", &nobody, &moment(5));
        assert_ne!(name("/a?asOf=9", &nobody, &moment(10)), future);
        let twice = name("/a?asOf=3&asOf=4", &nobody, &moment(5));
        assert_ne!(name("/a?asOf=3&asOf=4", &nobody, &moment(6)), twice);
    }
}
