//! Events as N-Quads, each in a graph of its own.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::ledger::Digest;

/// The canonical statements of the entry at `index` of the ledger `origin`, in a graph that is named
/// after the hash of its leaf (RFC 6920).
///
/// Within a file a label is one blank node, in whatever graph it stands, and canonical labels begin
/// anew with every event. So each is told apart by the leaf's hash, too: files that are put together,
/// of whichever ledgers, never make one node of two.
#[must_use]
pub fn quads(origin: &str, index: u64, leaf: &Digest, statements: &[String]) -> String {
    let name = URL_SAFE_NO_PAD.encode(leaf.0);
    let graph = format!("<ni:///sha-256;{name}>");
    let label = format!("_:e{}", hex::encode(&leaf.0[..16]));
    let mut text = format!("# entry {index} of {origin}\n");
    for statement in statements {
        let statement = statement.strip_suffix(" .").unwrap_or(statement);
        let mut terms = statement.splitn(3, ' ');
        for term in terms.by_ref() {
            match term.strip_prefix("_:") {
                Some(own) => text.extend([&label, own, " "]),
                None => text.extend([term, " "]),
            }
        }
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{graph} .");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rdf::nquads;

    #[test]
    fn statements_keep_their_terms_and_get_labels_and_a_graph_of_their_own() {
        let statements = [
            "<urn:a> <urn:p> _:c14n0 .",
            "_:c14n0 <urn:p> \"a _:c14n0 \\\" . b\"@en .",
            "_:c14n0 <urn:p> <urn:a> .",
        ]
        .map(str::to_owned);
        let one = quads("o/1", 7, &Digest([7; 32]), &statements);
        let label = format!("_:e{}c14n0", "07".repeat(16));
        let graph = "<ni:///sha-256;BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc>";
        assert_eq!(
            one,
            format!(
                "# entry 7 of o/1\n\
                 <urn:a> <urn:p> {label} {graph} .\n\
                 {label} <urn:p> \"a _:c14n0 \\\" . b\"@en {graph} .\n\
                 {label} <urn:p> <urn:a> {graph} .\n"
            )
        );
        // Put together with the same statements of another entry: as many nodes as before.
        let other = quads("o/1", 8, &Digest([8; 32]), &statements);
        let (dataset, labels) = nquads::parse(&format!("{one}{other}")).unwrap();
        assert_eq!((dataset.quads().len(), labels.len()), (6, 2));
    }
}
