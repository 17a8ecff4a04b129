//! Each type of event ties its items together as the standard means it.

use provchain::epcis::links::{Action, Role};
use provchain::epcis::{Limits, LinkSet, capture};
use serde_json::{Value, json};

use super::epcis_fixtures::{self, document};

fn links(event: &Value) -> LinkSet {
    let body = document(&json!([event])).to_string();
    let document = capture::parse(body.as_bytes(), &Limits::default())
        .unwrap_or_else(|issues| panic!("{}", issues[0]));
    LinkSet::of(&document.events[0])
}

fn keys(set: &LinkSet, role: Role) -> Vec<&str> {
    set.keys(role).map(|key| key.as_str()).collect()
}

const CASE: &str = "https://id.gs1.org/01/10614141073464/21/2017";
const PALLET: &str = "https://id.gs1.org/00/106141412345678908";
const CLASS: &str = "https://id.gs1.org/01/04012345987652";
const LOT: &str = "https://id.gs1.org/01/04012345123456/10/998877";

#[test]
fn a_transformation_leads_from_every_input_to_every_output() {
    let mut event = epcis_fixtures::transformation_event();
    event["transformationID"] = json!("urn:epc:id:gdti:0614141.12345.400");
    let set = links(&event);
    assert_eq!(set.action, None);
    assert_eq!(keys(&set, Role::Input), [CASE]);
    assert_eq!(keys(&set, Role::Output), [LOT]);
    assert_eq!(
        keys(&set, Role::Transformation),
        ["https://id.gs1.org/253/0614141123452400"]
    );
    let (input, output) = (&set.links[0].key, &set.links[1].key);
    assert_eq!(set.downstream(input).collect::<Vec<_>>(), [output]);
    assert_eq!(set.upstream(output).collect::<Vec<_>>(), [input]);
    assert_eq!(
        set.downstream(output).count() + set.upstream(input).count(),
        0
    );
}

#[test]
fn aggregations_and_associations_lead_from_child_to_parent_until_they_are_deleted() {
    for kind in ["AggregationEvent", "AssociationEvent"] {
        let mut event = epcis_fixtures::aggregation_event(kind);
        let set = links(&event);
        assert_eq!(set.action, Some(Action::Add));
        assert_eq!(keys(&set, Role::Parent), [PALLET]);
        assert_eq!(keys(&set, Role::Child), [CASE, CLASS]);
        let parent = set.keys(Role::Parent).next().expect("a parent");
        let child = set.keys(Role::Child).next().expect("a child");
        assert_eq!(set.downstream(child).collect::<Vec<_>>(), [parent]);
        assert_eq!(set.upstream(parent).count(), 2);
        event["action"] = json!("DELETE");
        let set = links(&event);
        assert_eq!(set.action, Some(Action::Delete));
        assert_eq!(set.downstream(child).count(), 0);
    }
}

#[test]
fn observations_and_transactions_tell_where_and_under_which_papers() {
    let set = links(&epcis_fixtures::object_event());
    assert_eq!(keys(&set, Role::Object), [CASE, LOT]);
    assert_eq!(keys(&set, Role::Transaction), ["http://example.com/po/1"]);
    assert_eq!(
        keys(&set, Role::Source),
        ["https://id.gs1.org/414/4012345002256"]
    );
    assert_eq!(
        keys(&set, Role::Destination),
        ["https://id.gs1.org/417/0614141007776"]
    );
    assert_eq!(
        keys(&set, Role::ReadPoint),
        ["https://id.gs1.org/414/0614141073467/254/1234"]
    );
    assert_eq!(
        keys(&set, Role::BizLocation),
        ["https://id.gs1.org/414/4012345000054"]
    );
    for link in &set.links {
        assert_eq!(
            set.downstream(&link.key).count() + set.upstream(&link.key).count(),
            0
        );
    }
    let set = links(&epcis_fixtures::transaction_event());
    assert_eq!(keys(&set, Role::Object), [CASE]);
    assert_eq!(keys(&set, Role::Transaction), ["http://example.com/po/1"]);
}

#[test]
fn the_lot_of_an_instance_is_known_from_its_master_data_and_from_its_link() {
    let set = links(&epcis_fixtures::object_event());
    let lots: Vec<_> = set
        .lots
        .iter()
        .map(|(key, lot)| (key.as_str(), lot.as_str()))
        .collect();
    assert_eq!(
        lots,
        [(CASE, "https://id.gs1.org/01/10614141073464/10/998877")]
    );
    let mut event = epcis_fixtures::transaction_event();
    event["epcList"] = json!(["https://example.com/01/10614141073464/10/A1/21/2017"]);
    let set = links(&event);
    assert_eq!(keys(&set, Role::Object), [CASE]);
    assert_eq!(
        set.lots[0].1.as_str(),
        "https://id.gs1.org/01/10614141073464/10/A1"
    );
}

#[test]
fn both_spellings_of_one_item_in_one_event_are_one_link() {
    let mut event = epcis_fixtures::transaction_event();
    event["epcList"] = json!(["urn:epc:id:sgtin:0614141.107346.2017", CASE]);
    assert_eq!(keys(&links(&event), Role::Object), [CASE]);
}

#[test]
fn a_compact_identifier_is_the_item_that_it_stands_for() {
    let mut event = epcis_fixtures::transaction_event();
    event["@context"] = json!({ "sgtin": "urn:epc:id:sgtin:" });
    event["epcList"] = json!(["sgtin:0614141.107346.2017"]);
    assert_eq!(keys(&links(&event), Role::Object), [CASE]);
}

#[test]
fn an_event_of_ones_own_type_only_mentions_its_items() {
    let mut event = epcis_fixtures::aggregation_event("AggregationEvent");
    event["type"] = json!("ext:Gathering");
    let set = links(&event);
    assert_eq!(keys(&set, Role::Object), [PALLET, CASE, CLASS]);
    assert_eq!(keys(&set, Role::Parent), [""; 0]);
}

#[test]
fn a_transaction_that_ends_unpacks_nothing() {
    let mut event = epcis_fixtures::transaction_event();
    event["parentID"] = json!("urn:epc:id:sscc:0614141.1234567890");
    event["action"] = json!("DELETE");
    let set = links(&event);
    assert_eq!(keys(&set, Role::Parent), [""; 0]);
    assert!(keys(&set, Role::Object).contains(&PALLET), "{set:?}");
}
