//! A ledger's events, an index of them, and queries that find some of them.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use provchain::access::{Access, Visibility};
use provchain::epcis::time::Timestamp;
use provchain::epcis::{Document, Event, Limits, capture};
use provchain::index::Index;
use provchain::ledger::entry::NewEntry;
use provchain::ledger::key::{Custody, EntryKey};
use provchain::ledger::leaf::Kind;
use provchain::ledger::payload::{ContentType, Payload};
use provchain::machine::read::StoredEntry;
use provchain::sample::{self, Sample};
use serde_json::{Value, json};
use tempfile::TempDir;

/// An event of the ledger, and what the ledger knows of it.
pub struct Known {
    pub event: Event,
    pub recorded: Timestamp,
    pub access: Access,
    pub stored: StoredEntry,
}

/// A ledger's events, an index of them, and queries that find some of them.
pub struct Indexed {
    pub events: Vec<Known>,
    pub index: Index,
    /// Parameters that find an event, by the event.
    pub questions: Vec<BTreeMap<String, String>>,
    _folder: TempDir,
}

pub static INDEXED: LazyLock<Indexed> = LazyLock::new(|| {
    let events = events();
    let folder = tempfile::tempdir().unwrap();
    let index = Index::open(&folder.path().join("index.db")).unwrap();
    let stored: Vec<_> = events.iter().map(|known| known.stored.clone()).collect();
    index.take(&stored, &()).unwrap();
    let questions = events.iter().map(questions).collect();
    Indexed {
        events,
        index,
        questions,
        _folder: folder,
    }
});

/// A sample, and events with what a sample does not have.
fn events() -> Vec<Known> {
    let mut documents: Vec<Value> = Sample::new(240, 71).documents(60).collect();
    documents.push(json!({
        "@context": sample::context(),
        "type": "EPCISDocument", "schemaVersion": "2.0", "creationDate": "2026-01-05T12:00:00Z",
        "epcisBody": { "eventList": (0..24).map(rarity).collect::<Vec<_>>() },
    }));
    let mut known = Vec::new();
    for document in documents {
        let body = serde_json::to_vec(&document).unwrap();
        let document = capture::parse(&body, &Limits::default()).unwrap();
        for event in &document.events {
            known.push(entry(known.len() as u64, event, &document));
        }
    }
    known
}

fn rarity(number: u64) -> Value {
    let third = number as usize % 3;
    let kind = ["ObjectEvent", "TransactionEvent", "example:CleaningEvent"][third];
    let action = ["ADD", "OBSERVE", "DELETE"][third];
    let mut event = json!({
        "type": kind,
        "eventID": format!("urn:uuid:00000000-0000-4000-8000-{number:012}"),
        "eventTime": format!("2026-01-{:02}T06:00:00Z", 1 + number % 8),
        "eventTimeZoneOffset": "+00:00",
        "action": action,
        "bizStep": format!("https://steps.example/{}", number % 4),
        "disposition": format!("example:state{}", number % 9),
        "epcList": [format!("urn:epc:id:sgtin:0614141.712345.{number}"), "urn:example:thing"],
        "bizTransactionList": [{ "type": "inv", "bizTransaction": format!("urn:example:bt:{}", number % 5) }],
        "example:number": number,
        "example:nested": { "example:deep": format!("d{}", number % 3) },
    });
    if number % 3 == 1 {
        // An item that is in two fields, of which only one is asked for.
        event["parentID"] = "urn:example:thing".into();
    }
    if number.is_multiple_of(2) {
        event["quantityList"] =
            json!([{ "epcClass": "urn:example:thing", "quantity": number + 1 }]);
    }
    if number.is_multiple_of(3) {
        event["persistentDisposition"] = json!({ "set": ["conformant"], "unset": ["unknown"] });
    }
    if number.is_multiple_of(6) {
        event["errorDeclaration"] = json!({
            "declarationTime": "2026-02-01T00:00:00Z", "reason": "did_not_occur",
            "correctiveEventIDs": [format!("urn:uuid:00000000-0000-4000-8000-{:012}", number + 1)],
        });
    }
    event
}

fn entry(index: u64, event: &Event, document: &Document) -> Known {
    // Proposers' clocks differ: later entries may have earlier times.
    let time_ms = 1_770_000_000_000 + index * 40 - (index % 7) * 100;
    let owner = index % 3;
    let visibility = [Visibility::Public, Visibility::Partner, Visibility::Private];
    let access = Access {
        owner,
        visibility: visibility[(index / 3 % 3) as usize],
    };
    let new = NewEntry {
        kind: Kind::Event,
        time_ms,
        payload: Payload {
            content_type: ContentType::JsonLd,
            submitter: "test".to_owned(),
            document: serde_json::to_vec(&event.self_contained(&document.context)).unwrap(),
        },
        statements: vec!["<urn:x:s> <urn:x:p> <urn:x:o> .".to_owned()],
    };
    let sealed = new
        .seal(EntryKey::from_random([1; 32]), Custody::Plain)
        .unwrap();
    Known {
        event: event.clone(),
        recorded: Timestamp {
            unix_micros: time_ms as i64 * 1000,
        },
        access,
        stored: StoredEntry {
            index,
            leaf: sealed.leaf.encode().to_vec(),
            payload: Some(sealed.payload.as_bytes().to_vec()),
            key: Some(sealed.key.encode()),
            access,
        },
    }
}

/// Parameters that find an event, as its own words give them.
fn questions(known: &Known) -> BTreeMap<String, String> {
    let value = &known.event.value;
    let mut found = BTreeMap::new();
    let mut ask = |name: &str, value: &Value| match value {
        Value::String(text) => drop(found.insert(name.to_owned(), text.clone())),
        Value::Number(number) => drop(found.insert(name.to_owned(), number.to_string())),
        _ => {}
    };
    ask("eventType", &value["type"]);
    ask("GE_eventTime", &value["eventTime"]);
    ask("EQ_action", &value["action"]);
    ask("EQ_bizStep", &value["bizStep"]);
    ask("EQ_disposition", &value["disposition"]);
    ask("EQ_eventID", &value["eventID"]);
    ask("EQ_readPoint", &value["readPoint"]["id"]);
    ask("WD_bizLocation", &value["bizLocation"]["id"]);
    ask("EQ_transformationID", &value["transformationID"]);
    ask("MATCH_parentID", &value["parentID"]);
    for (name, field) in [
        ("MATCH_epc", "epcList"),
        ("MATCH_epc", "childEPCs"),
        ("MATCH_anyEPC", "epcList"),
        ("MATCH_anyEPC", "outputEPCList"),
        ("MATCH_inputEPC", "inputEPCList"),
        ("MATCH_outputEPC", "outputEPCList"),
        ("MATCH_anyEPC", "childEPCs"),
    ] {
        ask(name, &value[field][0]);
    }
    for (name, field) in [
        ("MATCH_epcClass", "quantityList"),
        ("MATCH_inputEPCClass", "inputQuantityList"),
        ("MATCH_outputEPCClass", "outputQuantityList"),
        ("MATCH_anyEPCClass", "quantityList"),
        ("MATCH_anyEPCClass", "inputQuantityList"),
    ] {
        ask(name, &value[field][0]["epcClass"]);
        ask("GE_quantity", &value[field][0]["quantity"]);
        if let Some(uom) = value[field][0]["uom"].as_str() {
            ask(&format!("EQ_quantity_{uom}"), &value[field][0]["quantity"]);
        }
    }
    let set = &value["persistentDisposition"];
    ask("EQ_persistentDisposition_set", &set["set"][0]);
    ask("EQ_persistentDisposition_unset", &set["unset"][0]);
    let declaration = &value["errorDeclaration"];
    ask("GE_errorDeclarationTime", &declaration["declarationTime"]);
    ask("EQ_errorReason", &declaration["reason"]);
    ask(
        "EQ_correctiveEventID",
        &declaration["correctiveEventIDs"][0],
    );
    let exists = Value::from("true");
    if declaration.is_object() {
        ask("EXISTS_errorDeclaration", &exists);
    }
    for (list, inner) in [
        ("bizTransactionList", "bizTransaction"),
        ("sourceList", "source"),
        ("destinationList", "destination"),
    ] {
        for element in value[list].as_array().into_iter().flatten() {
            let kind = element["type"].as_str().unwrap();
            ask(&format!("EQ_{inner}_{kind}"), &element[inner]);
        }
    }
    let sensor = &value["sensorElementList"][0];
    if sensor.is_object() {
        ask("EXISTS_sensorElementList", &exists);
        ask("EQ_deviceID", &sensor["sensorMetadata"]["deviceID"]);
        ask("EQ_type", &sensor["sensorReport"][0]["type"]);
        ask("GE_value_CEL", &sensor["sensorReport"][0]["value"]);
        ask("GE_time", &sensor["sensorReport"][0]["time"]);
    }
    ask(
        "EQ_ILMD_cbvmda:lotNumber",
        &value["ilmd"]["cbvmda:lotNumber"],
    );
    ask("LE_example:number", &value["example:number"]);
    ask(
        "EQ_INNER_example:deep",
        &value["example:nested"]["example:deep"],
    );
    if value.get("example:coldChainBroken").is_some() {
        ask("EQ_example:coldChainBroken", &exists);
    }
    let recorded = Value::from(known.recorded.to_string());
    ask("GE_recordTime", &recorded);
    for (name, value) in found.clone() {
        // The same thing in a company's pattern.
        if let Some(item) = value.strip_prefix("urn:epc:id:sgtin:")
            && name == "MATCH_epc"
        {
            let company = item.split('.').next().unwrap();
            found.insert(
                "MATCH_epc".to_owned(),
                format!("urn:epc:idpat:sgtin:{company}.*.*"),
            );
        }
    }
    found
}
