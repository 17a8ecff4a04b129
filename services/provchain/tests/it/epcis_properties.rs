//! Whatever the bytes, the parser answers; and what it answers depends on the facts alone.

use proptest::prelude::*;
use provchain::epcis::{Limits, capture};
use provchain::sample::Sample;

fn sample_bytes(seed: u64) -> Vec<u8> {
    let mut sample = Sample::new(8, seed);
    let document = sample.documents(8).next().expect("a document");
    serde_json::to_vec(&document).expect("JSON")
}

/// Whether the answer to `body` is in order: events, or issues that say something.
fn answers(body: &[u8]) -> bool {
    match capture::parse(body, &Limits::default()) {
        Ok(_) => true,
        Err(issues) => !issues.is_empty() && issues.iter().all(|issue| !issue.message.is_empty()),
    }
}

proptest! {
    #![proptest_config(super::suites::property_config())]

    #[test]
    fn any_bytes_are_answered(body in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(answers(&body));
    }

    #[test]
    fn anything_that_looks_like_json_is_answered(body in r#"[\[\]{}":,0-9eE+\-. \\untrfalse@id]{0,80}"#) {
        prop_assert!(answers(body.as_bytes()));
    }

    #[test]
    fn damaged_documents_are_answered(
        seed in 0..50u64,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut body = sample_bytes(seed);
        for (place, byte) in damage {
            let place = place.index(body.len());
            body[place] = byte;
        }
        prop_assert!(answers(&body));
    }

    #[test]
    fn truncated_and_spliced_documents_are_answered(
        seed in 0..50u64,
        cut in any::<prop::sample::Index>(),
        from in any::<prop::sample::Index>(),
    ) {
        let body = sample_bytes(seed);
        let (cut, from) = (cut.index(body.len()), from.index(body.len()));
        prop_assert!(answers(&body[..cut]));
        prop_assert!(answers(&[&body[..cut], &body[from..]].concat()));
    }
}
