//! One request is one trace, on every node that its write comes to.

use std::collections::BTreeSet;

use kit::testing::{CollectedSpan, OtlpSink};
use provchain::sample::Sample;
use reqwest::Method;

use super::cluster::{Ledger, answer};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn of_trace<'a>(spans: &'a [CollectedSpan], name: &str) -> Vec<&'a CollectedSpan> {
    spans
        .iter()
        .filter(|span| span.trace_id == TRACE && span.name == name)
        .collect()
}

#[tokio::test]
async fn a_capture_is_one_trace_from_the_node_that_took_it_through_the_log_to_every_node() {
    let sink = OtlpSink::start().await.expect("a sink");
    let endpoint = sink.endpoint();
    let ledger = Ledger::start_with(3, |nodes| {
        nodes.env("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)
    })
    .await;
    let document = Sample::new(5, 51).documents(5).next().expect("a document");
    for node in ledger.nodes.nodes() {
        // All of them, so that two at least have to forward it to the leader.
        let request = ledger
            .request(Method::POST, node, "/capture")
            .bearer_auth(&ledger.token)
            .header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"));
        let taken = answer(request.json(&document)).await.expect("an answer");
        assert_eq!(taken.status, 202, "{}", taken.text());
    }
    let nodes = ledger.nodes.nodes().len();
    let spans = sink
        .wait_for(|spans| {
            of_trace(spans, "apply").len() >= nodes * nodes
                && of_trace(spans, "POST /capture").len() >= nodes
        })
        .await;
    let taken = of_trace(&spans, "POST /capture");
    assert_eq!(taken.len(), nodes, "{spans:#?}");
    for capture in taken {
        assert_eq!(capture.parent_span_id, "00f067aa0ba902b7");
        let applied_on: BTreeSet<&str> = of_trace(&spans, "apply")
            .into_iter()
            .filter(|apply| apply.parent_span_id == capture.span_id)
            .map(|apply| apply.node.as_str())
            .collect();
        let all = ledger.nodes.nodes().iter().map(|node| node.name());
        assert_eq!(applied_on, all.collect(), "taken by {}", capture.node);
    }
}
