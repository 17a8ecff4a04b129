//! Black-box tests of provchain: one binary.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod it {
    mod api_access;
    mod api_capture;
    mod api_idempotence;
    mod api_live;
    mod api_people;
    mod api_proofs;
    mod api_query;
    mod api_recall;
    mod api_refusals;
    mod api_trace;
    mod api_trace_filters;
    mod api_xml;
    mod cli_commands;
    mod cluster;
    mod cluster_faults;
    mod cluster_index;
    mod cluster_operations;
    mod cluster_tracing;
    mod cluster_verify;
    mod epcis_envelopes;
    mod epcis_fixtures;
    mod epcis_links;
    mod epcis_properties;
    mod epcis_refusals;
    mod epcis_xml;
    mod epcis_xml_extensions;
    mod epcis_xml_properties;
    mod epcis_xml_refusals;
    mod epcis_xml_writer;
    mod event_hash;
    mod event_hash_suite;
    mod gs1_suite;
    mod ledger_codecs;
    mod ledger_entry;
    mod ledger_fixture;
    mod ledger_formats;
    mod ledger_note;
    mod ledger_proof;
    mod machine_versions;
    mod merkle;
    mod merkle_suite;
    mod query_fixture;
    mod query_index;
    mod rdf_canon_suite;
    mod rdf_gs1_suite;
    mod rdf_properties;
    mod sample_truth;
    mod suites;
    mod verify;
    mod verify_tree;
    mod verify_trust;
    mod xml_suite;
    mod xml_twins;
}
