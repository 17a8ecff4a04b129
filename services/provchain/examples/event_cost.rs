//! Measures what an event costs before it is proposed: reading and checking it, its canonical
//! statements, its links. `cargo run --release --example event_cost [-- EVENTS [SEED]]`

use std::time::{Duration, Instant};

use provchain::epcis::{Limits, LinkSet, canonicalise_document, capture};
use provchain::sample::Sample;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<usize>());
    let mut argument = |default| match arguments.next() {
        Some(Ok(number)) => number,
        _ => default,
    };
    let (count, seed) = (argument(10_000), argument(1));
    let bodies: Vec<Vec<u8>> = Sample::new(count, seed as u64)
        .documents(100)
        .map(|document| serde_json::to_vec(&document).expect("a document is JSON"))
        .collect();
    let bytes: usize = bodies.iter().map(Vec::len).sum();
    let limits = Limits::default();
    let (mut parse, mut canonicalise, mut link) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    let (mut events, mut statements, mut links) = (0, 0, 0);
    for body in &bodies {
        let start = Instant::now();
        let document = capture::parse(body, &limits).expect("the sample is valid");
        parse += start.elapsed();
        let start = Instant::now();
        let lines = canonicalise_document(&document, &limits.rdf).expect("within the limits");
        canonicalise += start.elapsed();
        let start = Instant::now();
        let sets: Vec<LinkSet> = document.events.iter().map(LinkSet::of).collect();
        link += start.elapsed();
        events += document.events.len();
        statements += lines
            .iter()
            .map(|event| event.statements.len())
            .sum::<usize>();
        links += sets.iter().map(|set| set.links.len()).sum::<usize>();
    }
    let each = |total: Duration| total.as_secs_f64() * 1e6 / events as f64;
    println!(
        "{events} events of {} bytes, {:.1} statements and {:.1} links on average",
        bytes / events,
        statements as f64 / events as f64,
        links as f64 / events as f64
    );
    println!("read, check and expand  {:8.1} µs an event", each(parse));
    println!(
        "canonicalise            {:8.1} µs an event",
        each(canonicalise)
    );
    println!("links                   {:8.1} µs an event", each(link));
}
