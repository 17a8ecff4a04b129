//! Events as statements in a canonical form.
//!
//! [`canonical_statements`] turns one EPCIS event, as JSON-LD, into the sorted lines of canonical
//! N-Quads of RDFC-1.0. Two events have the same lines exactly if they state the same facts: the
//! order of keys, white space, the order within a list and the way a number is written (`26` or
//! `26.0`) do not matter, everything else does.
//!
//! There is no general JSON-LD processor here. GS1's context is a table ([`terms`]), the contexts
//! that extensions need are understood ([`context`]), and what is not understood is refused with
//! the place and the reason ([`Refusal`]). Within that subset the statements equal those of a
//! general processor over GS1's own context file; the tests compare the two. No context is ever
//! fetched.
//!
//! The canonicalisation ([`c14n`]) is the whole of RDFC-1.0 with SHA-256 (SHA-384 for the W3C's
//! test of it). Its work is counted, so a graph made to be expensive is refused, not computed.

pub mod c14n;
pub mod context;
pub mod dataset;
mod expand;
pub mod nquads;
mod number;
pub mod pointer;
pub mod terms;
pub mod vocabulary;

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;
use sha2::{Sha256, Sha384};

use context::Context;
use pointer::At;

/// How much one dataset may cost.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Most statements.
    pub statements_max: usize,
    /// Most blank nodes (objects without an identifier of their own).
    pub blank_nodes_max: usize,
    /// Most steps to tell blank nodes apart; one step hashes about one statement, some 2 µs.
    pub steps_max: u64,
    /// Most nested explorations from one blank node to the next.
    pub depth_max: usize,
    /// Most bytes in all statements together. A prefix or an identifier is written out in every
    /// statement that it occurs in, so that a short document can have long statements.
    pub bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            statements_max: 20_000,
            blank_nodes_max: 5_000,
            steps_max: 100_000,
            depth_max: 256,
            bytes_max: 16 << 20,
        }
    }
}

/// Why something has no canonical form here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RdfError {
    /// The JSON-LD at this JSON pointer is not taken.
    #[error("{pointer}: {refusal}")]
    Refused {
        /// JSON pointer (RFC 6901).
        pointer: String,
        /// The nearest member's name.
        field: String,
        /// Why.
        refusal: Refusal,
    },
    /// A line is not N-Quads.
    #[error("line {line} is not an N-Quads statement")]
    NQuads {
        /// Counted from one.
        line: usize,
    },
    /// Too many statements.
    #[error("more than {0} statements")]
    TooManyStatements(usize),
    /// Too many blank nodes.
    #[error("more than {0} nodes without an identifier")]
    TooManyBlankNodes(usize),
    /// Too long statements.
    #[error("more than {0} bytes of statements, identifiers written out")]
    TooManyBytes(usize),
    /// The blank nodes cannot be told apart within the budget.
    #[error(
        "the parts without an identifier are so alike that telling them apart costs too much; \
         give them identifiers, or leave out repeated parts"
    )]
    Poison,
}

impl RdfError {
    fn refused(at: &At<'_>, refusal: Refusal) -> Self {
        Self::Refused {
            pointer: at.to_string(),
            field: at.field().to_owned(),
            refusal,
        }
    }
}

/// What of JSON-LD is refused: JSON-LD would drop it in silence, or it is outside the subset.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// A context at an address other than GS1's.
    RemoteContext(String),
    /// A context that is neither an address nor an object.
    ContextEntry,
    /// A keyword that contexts may not use here.
    ContextKeyword(String),
    /// A definition that yields no absolute IRI, or that contradicts its own name.
    TermDefinition,
    /// Terms that are defined by each other.
    CyclicTerm,
    /// A term of GS1's context, declared as something else.
    ProtectedTerm,
    /// A term declared twice, differently.
    RedefinedTerm,
    /// A prefix with the name of a URI scheme.
    SchemeAsPrefix,
    /// More terms, or longer ones, than a context may declare.
    TooManyTerms,
    /// A term that is defined by another, and that by another, and so on.
    TermChain,
    /// A name that no context maps to an IRI.
    UnmappedTerm,
    /// A JSON-LD keyword where a member is expected.
    Keyword,
    /// An identifier that is not absolute, or a blank node's.
    RelativeReference,
    /// A name or value that makes no valid IRI.
    NotAnIri,
    /// Two members that both name the node.
    TwoIdentifiers,
    /// A null.
    Null,
    /// An array directly within an array.
    NestedArray,
    /// A text, number or boolean where the EPCIS context expects objects.
    NotAnObject,
    /// A value that its array already has.
    Repeated,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RemoteContext(url) => {
                return write!(
                    f,
                    "the context {url} is not known and is never fetched; declare its terms inline"
                );
            }
            Self::ContextKeyword(keyword) => {
                return write!(f, "{keyword} is not taken in a context");
            }
            Self::ContextEntry => "a context is GS1's address or an object of definitions",
            Self::TermDefinition => "the term is not defined as an absolute IRI",
            Self::CyclicTerm => "the term is defined by itself",
            Self::ProtectedTerm => "a term of the EPCIS context cannot be declared otherwise",
            Self::RedefinedTerm => "the term was declared before, as something else",
            Self::SchemeAsPrefix => "a prefix cannot have the name of a URI scheme",
            Self::TooManyTerms => "too many or too long terms are declared",
            Self::TermChain => "the term is defined by too long a chain of other terms",
            Self::UnmappedTerm => "no context says what this name means",
            Self::Keyword => "a JSON-LD keyword has no place here",
            Self::RelativeReference => "an absolute URI is expected",
            Self::NotAnIri => "this is not a valid URI",
            Self::TwoIdentifiers => "two members name the same object",
            Self::Null => "null states nothing; leave the member out",
            Self::NotAnObject => "an object is expected",
            Self::Repeated => "the list has this value already",
            Self::NestedArray => "an array within an array would lose its structure",
        })
    }
}

/// The canonical statements of one event under its document's context.
///
/// `document_context` is the document's `@context`, or null where the event has only its own;
/// the event's own `@context`, if any, is added to it. Each line ends with a line feed.
///
/// ```
/// use provchain::rdf::{Limits, canonical_statements};
/// use serde_json::json;
///
/// let context = json!("https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld");
/// let event = json!({
///     "type": "ObjectEvent",
///     "eventID": "urn:uuid:374d95fc-9457-4a51-bd6a-0bba133845a8",
///     "bizStep": "shipping"
/// });
/// let lines = canonical_statements(&event, &context, &Limits::default()).unwrap();
/// assert_eq!(lines.len(), 2);
/// assert!(lines[1].ends_with(
///     "<https://ref.gs1.org/epcis/bizStep> <https://ref.gs1.org/cbv/BizStep-shipping> .\n"
/// ));
/// ```
///
/// # Errors
/// [`RdfError::Refused`] for what JSON-LD would drop or this subset does not take, and the
/// limits' errors.
pub fn canonical_statements(
    event: &Value,
    document_context: &Value,
    limits: &Limits,
) -> Result<Vec<String>, RdfError> {
    canonicalise(event, document_context, limits, None)
}

/// As [`canonical_statements`], as if the event did not have the top-level member `without`.
///
/// The ledger recognises an event that was sent twice by its statements without `recordTime`,
/// which the receiver of an event sets. Leaving the member out is not the same as leaving a line
/// out: the names of blank nodes depend on it.
///
/// # Errors
/// As [`canonical_statements`].
pub fn canonical_statements_without(
    event: &Value,
    document_context: &Value,
    limits: &Limits,
    without: &str,
) -> Result<Vec<String>, RdfError> {
    canonicalise(event, document_context, limits, Some(without))
}

fn canonicalise(
    event: &Value,
    document_context: &Value,
    limits: &Limits,
    without: Option<&str>,
) -> Result<Vec<String>, RdfError> {
    let mut context = match document_context {
        Value::Null => Context::default(),
        declared => Context::compile(declared, &At::ROOT.key("@context"))?,
    };
    let Value::Object(members) = event else {
        return Err(RdfError::refused(&At::ROOT, Refusal::UnmappedTerm));
    };
    if let Some(own) = members.get("@context") {
        context.extend(own, &At::ROOT.key("@context"))?;
    }
    let dataset = expand(members, &context, limits, without, &At::ROOT)?;
    canonical_lines(&dataset, limits)
}

pub(crate) use expand::expand;

/// The canonical lines of statements that are already expanded.
pub(crate) fn canonical_lines(
    dataset: &dataset::Dataset,
    limits: &Limits,
) -> Result<Vec<String>, RdfError> {
    Ok(c14n::canonicalise::<Sha256>(dataset, limits)?.lines)
}

/// Canonicalises N-Quads with SHA-256.
///
/// # Errors
/// [`RdfError::NQuads`] and the limits' errors.
pub fn rdfc10(nquads: &str, limits: &Limits) -> Result<String, RdfError> {
    rdfc10_with_map(nquads, HashFunction::Sha256, limits).map(|(canonical, _)| canonical)
}

/// The hash functions that RDFC-1.0 can be used with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HashFunction {
    /// The default.
    #[default]
    Sha256,
    /// The alternative that the recommendation names.
    Sha384,
}

/// Canonicalises N-Quads; also returns the issued identifiers: the canonical label (`c14n0`…) of
/// each blank node by the label that it had.
///
/// # Errors
/// As [`rdfc10`].
pub fn rdfc10_with_map(
    nquads: &str,
    hash: HashFunction,
    limits: &Limits,
) -> Result<(String, BTreeMap<String, String>), RdfError> {
    let (dataset, labels) = nquads::parse(nquads)?;
    let canonical = match hash {
        HashFunction::Sha256 => c14n::canonicalise::<Sha256>(&dataset, limits)?,
        HashFunction::Sha384 => c14n::canonicalise::<Sha384>(&dataset, limits)?,
    };
    let issued = labels
        .into_iter()
        .zip(&canonical.issued)
        .map(|(label, number)| (label, format!("c14n{number}")))
        .collect();
    Ok((canonical.lines.concat(), issued))
}
