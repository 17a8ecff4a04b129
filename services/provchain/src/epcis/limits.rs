//! How much one capture may hold.

use crate::rdf;

/// Bounds on a request; what exceeds one is refused with an [`Issue`](super::Issue).
#[derive(Clone, Debug)]
pub struct Limits {
    /// Largest document, in bytes.
    pub document_bytes_max: usize,
    /// Most events in one document.
    pub events_max: usize,
    /// Deepest nesting of arrays and objects, or of elements.
    pub depth_max: usize,
    /// Longest string, key or name, in bytes.
    pub string_bytes_max: usize,
    /// Most JSON values in one document, or elements and attributes; bounds the memory that a small
    /// body can claim.
    pub values_max: usize,
    /// Most attributes of one XML element: each is compared with the others.
    pub attributes_max: usize,
    /// Most XML namespaces that are in scope at one place, and most that one document uses.
    pub namespaces_max: usize,
    /// Most memory that the contexts take which events declare for themselves.
    pub context_bytes_max: usize,
    /// Most issues reported before the check of a document ends.
    pub issues_max: usize,
    /// Bounds on each event's statements.
    pub rdf: rdf::Limits,
    /// Whether an event whose id is an event hash id is refused if the id is not its own; the
    /// README of [`epcis`](super) says why this is a choice.
    pub event_hashes_checked: bool,
}

impl Limits {
    /// For reading what was taken in before: whatever is taken under any settings can be read
    /// again, in the form in which it is stored.
    #[must_use]
    pub fn stored() -> Self {
        let admission = Self::default();
        Self {
            document_bytes_max: usize::MAX,
            depth_max: admission.depth_max + 2,
            values_max: usize::MAX,
            event_hashes_checked: false,
            ..admission
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            document_bytes_max: 16 << 20,
            events_max: 10_000,
            depth_max: 32,
            string_bytes_max: 64 << 10,
            values_max: 1_000_000,
            attributes_max: 64,
            namespaces_max: 64,
            context_bytes_max: 16 << 20,
            issues_max: 100,
            rdf: rdf::Limits::default(),
            event_hashes_checked: false,
        }
    }
}
