//! Statements whose terms already have their canonical N-Quads form.
//!
//! An event has some forty statements and is canonicalised thousands of times a second, so all
//! terms lie in one string and a statement is a few numbers that point into it. Blank nodes are
//! numbers; they get their names when a line is written.

/// A term: a blank node, or a piece of the text that is an IRI or a literal in N-Quads form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Term {
    /// The blank node with this number.
    Blank(u32),
    /// An IRI in angle brackets or a literal, from byte `start` to byte `end` of the text.
    Text {
        /// First byte.
        start: u32,
        /// One past the last byte.
        end: u32,
    },
}

/// A statement. `graph` is `None` in the default graph.
#[derive(Clone, Copy, Debug)]
pub struct Quad {
    /// Subject.
    pub subject: Term,
    /// Predicate, always an IRI.
    pub predicate: Term,
    /// Object.
    pub object: Term,
    /// Name of the graph.
    pub graph: Option<Term>,
}

impl Quad {
    /// The terms that may be blank nodes, with the letter that RDFC-1.0 gives to their position.
    pub fn positions(&self) -> impl Iterator<Item = (&'static str, Term)> {
        [
            ("s", Some(self.subject)),
            ("o", Some(self.object)),
            ("g", self.graph),
        ]
        .into_iter()
        .filter_map(|(position, term)| Some((position, term?)))
    }

    /// The blank nodes of this statement, in the order subject, object, graph.
    pub fn blank_nodes(&self) -> impl Iterator<Item = (&'static str, u32)> {
        self.positions().filter_map(|(position, term)| match term {
            Term::Blank(node) => Some((position, node)),
            Term::Text { .. } => None,
        })
    }
}

/// A set of statements over numbered blank nodes.
#[derive(Clone, Debug, Default)]
pub struct Dataset {
    text: String,
    quads: Vec<Quad>,
    blank_nodes: u32,
    line_bytes: usize,
}

impl Dataset {
    /// The statements, in the order in which they were added.
    pub fn quads(&self) -> &[Quad] {
        &self.quads
    }

    /// How many blank nodes there are; they are numbered from zero.
    pub fn blank_nodes(&self) -> u32 {
        self.blank_nodes
    }

    /// A blank node that is not in use yet.
    pub fn blank(&mut self) -> Term {
        self.blank_nodes += 1;
        Term::Blank(self.blank_nodes - 1)
    }

    /// The IRI made of both parts, which must hold no character that N-Quads forbids in an IRI.
    pub fn iri(&mut self, namespace: &str, name: &str) -> Term {
        let start = self.position();
        self.text.push('<');
        self.text.push_str(namespace);
        self.text.push_str(name);
        self.text.push('>');
        self.since(start)
    }

    /// The literal with this lexical form; `datatype` is `None` for `xsd:string`.
    pub fn literal(&mut self, lexical: &str, datatype: Option<&str>) -> Term {
        let start = self.position();
        self.text.push('"');
        escape_into(&mut self.text, lexical);
        self.text.push('"');
        if let Some(datatype) = datatype {
            self.text.push_str("^^<");
            self.text.push_str(datatype);
            self.text.push('>');
        }
        self.since(start)
    }

    /// The literal with this lexical form and language tag.
    pub fn language_literal(&mut self, lexical: &str, language: &str) -> Term {
        let start = self.position();
        self.text.push('"');
        escape_into(&mut self.text, lexical);
        self.text.push_str("\"@");
        self.text.push_str(language);
        self.since(start)
    }

    /// The bytes that the statements take when they are written out, names of blank nodes apart.
    pub fn line_bytes(&self) -> usize {
        self.line_bytes
    }

    /// Adds a statement.
    pub fn push(&mut self, quad: Quad) {
        let terms = [Some(quad.subject), Some(quad.predicate), Some(quad.object)];
        for term in terms.into_iter().chain([quad.graph]).flatten() {
            self.line_bytes += self.text(term).len();
        }
        self.quads.push(quad);
    }

    /// Adds a statement to the default graph.
    pub fn state(&mut self, subject: Term, predicate: Term, object: Term) {
        self.push(Quad {
            subject,
            predicate,
            object,
            graph: None,
        });
    }

    /// The text of a term that is not a blank node; empty for a blank node.
    pub fn text(&self, term: Term) -> &str {
        match term {
            Term::Blank(_) => "",
            Term::Text { start, end } => &self.text[start as usize..end as usize],
        }
    }

    /// Drops statements that are there twice: a dataset is a set.
    pub fn dedup(&mut self) {
        let text = &self.text;
        let key = |term: Term| match term {
            Term::Blank(node) => (node, ""),
            Term::Text { start, end } => (u32::MAX, &text[start as usize..end as usize]),
        };
        let keys = |quad: &Quad| {
            (
                key(quad.subject),
                key(quad.predicate),
                key(quad.object),
                quad.graph.map(key),
            )
        };
        self.quads.sort_unstable_by(|a, b| keys(a).cmp(&keys(b)));
        self.quads.dedup_by(|a, b| keys(a) == keys(b));
    }

    /// Appends the N-Quads line of `quad`, its line feed included; `name` writes a blank node's
    /// label without the leading `_:`.
    pub fn write_line(&self, line: &mut String, quad: &Quad, name: impl Fn(&mut String, u32)) {
        let mut term = |term: Term| {
            match term {
                Term::Blank(node) => {
                    line.push_str("_:");
                    name(line, node);
                }
                Term::Text { start, end } => {
                    line.push_str(&self.text[start as usize..end as usize]);
                }
            }
            line.push(' ');
        };
        term(quad.subject);
        term(quad.predicate);
        term(quad.object);
        if let Some(graph) = quad.graph {
            term(graph);
        }
        line.push_str(".\n");
    }

    fn position(&self) -> u32 {
        u32::try_from(self.text.len()).expect("the size limits keep a document far below 4 GiB")
    }

    fn since(&self, start: u32) -> Term {
        Term::Text {
            start,
            end: self.position(),
        }
    }
}

/// The escapes of canonical N-Quads (RDFC-1.0, appendix A).
fn escape_into(text: &mut String, lexical: &str) {
    use std::fmt::Write;

    if !lexical
        .bytes()
        .any(|byte| byte < 0x20 || matches!(byte, b'"' | b'\\' | 0x7f) || byte == 0xef)
    {
        text.push_str(lexical);
        return;
    }
    for character in lexical.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\u{8}' => text.push_str("\\b"),
            '\t' => text.push_str("\\t"),
            '\n' => text.push_str("\\n"),
            '\u{c}' => text.push_str("\\f"),
            '\r' => text.push_str("\\r"),
            '\0'..='\u{1f}' | '\u{7f}' | '\u{fffe}' | '\u{ffff}' => {
                write!(text, "\\u{:04X}", u32::from(character))
                    .expect("writing to a string cannot fail");
            }
            _ => text.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Dataset;

    #[test]
    fn literals_are_escaped_as_canonical_n_quads() {
        let mut dataset = Dataset::default();
        let term = dataset.literal("a\"b\\c\n\r\t\u{8}\u{c}\u{7f}\u{1}\u{fffe}é", None);
        assert_eq!(
            dataset.text(term),
            r#""a\"b\\c\n\r\t\b\f\u007F\u0001\uFFFEé""#
        );
    }

    #[test]
    fn a_statement_that_is_there_twice_counts_once() {
        let mut dataset = Dataset::default();
        for value in ["a", "b", "a"] {
            let subject = dataset.iri("urn:s", "");
            let predicate = dataset.iri("urn:", "p");
            let object = dataset.literal(value, None);
            dataset.state(subject, predicate, object);
        }
        dataset.dedup();
        assert_eq!(dataset.quads().len(), 2);
    }
}
