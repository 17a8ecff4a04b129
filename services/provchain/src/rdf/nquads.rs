//! Reading N-Quads (W3C Recommendation "RDF 1.1 N-Quads") into a [`Dataset`].

use super::RdfError;
use super::dataset::{Dataset, Quad, Term};

const XSD_STRING: &str = "http://www.w3.org/2001/XMLSchema#string";

/// The statements of `text` and the labels of its blank nodes, by their number.
///
/// # Errors
/// [`RdfError::NQuads`] with the line, counted from one, that is not a statement.
pub fn parse(text: &str) -> Result<(Dataset, Vec<String>), RdfError> {
    let mut reader = Reader {
        rest: "",
        dataset: Dataset::default(),
        labels: Vec::new(),
        numbers: std::collections::HashMap::new(),
    };
    for (index, line) in text.split(['\n', '\r']).enumerate() {
        reader.rest = line;
        reader
            .statement()
            .ok_or(RdfError::NQuads { line: index + 1 })?;
    }
    reader.dataset.dedup();
    Ok((reader.dataset, reader.labels))
}

/// A reader of one line at a time; its methods return `None` where the grammar is not met.
struct Reader<'a> {
    rest: &'a str,
    dataset: Dataset,
    labels: Vec<String>,
    numbers: std::collections::HashMap<&'a str, Term>,
}

impl<'a> Reader<'a> {
    fn statement(&mut self) -> Option<()> {
        self.skip_space();
        if self.rest.is_empty() {
            return Some(());
        }
        let subject = self.node()?;
        let predicate = self.iri()?;
        let object = if self.rest.starts_with('"') {
            self.literal()?
        } else {
            self.node()?
        };
        let graph = if self.rest.starts_with('.') {
            None
        } else {
            Some(self.node()?)
        };
        self.rest = self.rest.strip_prefix('.')?;
        self.skip_space();
        self.dataset.push(Quad {
            subject,
            predicate,
            object,
            graph,
        });
        self.rest.is_empty().then_some(())
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
        if self.rest.starts_with('#') {
            self.rest = "";
        }
    }

    fn node(&mut self) -> Option<Term> {
        if self.rest.starts_with('<') {
            self.iri()
        } else {
            self.blank()
        }
    }

    fn iri(&mut self) -> Option<Term> {
        let iri = self.iri_text()?;
        self.skip_space();
        Some(self.dataset.iri(&iri, ""))
    }

    fn iri_text(&mut self) -> Option<String> {
        let (raw, rest) = self.rest.strip_prefix('<')?.split_once('>')?;
        self.rest = rest;
        let iri = unescape(raw)?;
        oxiri::Iri::parse(iri.as_str()).ok()?;
        Some(iri)
    }

    fn blank(&mut self) -> Option<Term> {
        let rest = self.rest.strip_prefix("_:")?;
        let end = rest
            .find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':')))
            .unwrap_or(rest.len());
        let label = rest[..end].trim_end_matches('.');
        self.rest = &rest[label.len()..];
        self.skip_space();
        if label.is_empty() || label.starts_with(['-', '.']) {
            return None;
        }
        if let Some(term) = self.numbers.get(label) {
            return Some(*term);
        }
        let term = self.dataset.blank();
        self.labels.push(label.to_owned());
        self.numbers.insert(label, term);
        Some(term)
    }

    fn literal(&mut self) -> Option<Term> {
        let body = self.rest.strip_prefix('"')?;
        let mut escaped = false;
        let end = body.find(|c: char| {
            let closes = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            closes
        })?;
        let lexical = unescape(&body[..end])?;
        self.rest = &body[end + 1..];
        let term = if let Some(rest) = self.rest.strip_prefix('@') {
            let end = rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
                .unwrap_or(rest.len());
            let (language, rest) = rest.split_at(end);
            self.rest = rest;
            language
                .starts_with(|c: char| c.is_ascii_alphabetic())
                .then_some(())?;
            self.dataset.language_literal(&lexical, language)
        } else if let Some(rest) = self.rest.strip_prefix("^^") {
            self.rest = rest;
            let datatype = self.iri_text()?;
            let datatype = (datatype != XSD_STRING).then_some(datatype);
            self.dataset.literal(&lexical, datatype.as_deref())
        } else {
            self.dataset.literal(&lexical, None)
        };
        self.skip_space();
        Some(term)
    }
}

/// Resolves the escapes of N-Quads.
fn unescape(raw: &str) -> Option<String> {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((before, after)) = rest.split_once('\\') {
        text.push_str(before);
        let escape = after.chars().next()?;
        let digits = match escape {
            'u' => 4,
            'U' => 8,
            _ => 0,
        };
        let value = after.get(1..1 + digits)?;
        text.push(match escape {
            't' => '\t',
            'b' => '\u{8}',
            'n' => '\n',
            'r' => '\r',
            'f' => '\u{c}',
            '"' | '\'' | '\\' => escape,
            'u' | 'U' => char::from_u32(u32::from_str_radix(value, 16).ok()?)?,
            _ => return None,
        });
        rest = &after[escape.len_utf8() + digits..];
    }
    text.push_str(rest);
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn statements_of_every_shape_are_read() {
        let text = "# a comment\n\
            <urn:a> <urn:b> <urn:c> .\n\
            _:x <urn:b> \"a \\\"quoted\\\" \\u00e9\" <urn:g> . # trailing\n\
            _:y.z <urn:b> \"chat\"@fr-BE .\n\
            _:x <urn:b> \"1\"^^<http://www.w3.org/2001/XMLSchema#integer> _:g.\n\n";
        let (dataset, labels) = parse(text).expect("valid N-Quads");
        assert_eq!(dataset.quads().len(), 4);
        assert_eq!(labels, ["x", "y.z", "g"]);
        let objects = dataset.quads().iter().map(|quad| dataset.text(quad.object));
        assert!(
            objects
                .into_iter()
                .any(|text| text == r#""a \"quoted\" é""#)
        );
    }

    #[test]
    fn what_is_no_statement_is_refused_with_its_line() {
        for wrong in [
            "<urn:a> <urn:b> .",
            "<urn:a> _:b <urn:c> .",
            "<urn:a> <urn:b> <urn:c>",
            "<urn:a> <urn:b> \"open .",
            "<urn:a> <urn:b> \"\\x\" .",
            "<urn:a> <relative> <urn:c> .",
            "<urn:a> <urn:b> <urn:c> . more",
            "\"a\" <urn:b> <urn:c> .",
            "<urn:a> <urn:b> \"a\"@ .",
        ] {
            let error = parse(&format!("\n{wrong}\n")).expect_err(wrong);
            assert!(error.to_string().contains("line 2"), "{wrong}: {error}");
        }
    }
}
