//! Writes documents as XML: small, for tests.

use std::fmt::Write as _;

use provchain::rdf::vocabulary::{
    ALERT_TYPE, BIZ_STEP, BIZ_TRANSACTION_TYPE, COMPONENT, DISPOSITION, ERROR_REASON,
    MEASUREMENT_TYPE, SOURCE_DEST_TYPE, Vocabulary,
};
use serde_json::{Map, Value};

/// Which of the standard's forms is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// 1.2: wrappers, and URNs for words.
    Old,
    /// 2.0: Web URIs for words.
    New,
}

/// `document`, an `EPCISDocument` in JSON.
pub fn write(document: &Value, version: Version) -> String {
    let mut writer = Writer {
        out: String::new(),
        version,
    };
    let (namespace, schema) = match version {
        Version::Old => (1, "1.2"),
        Version::New => (2, "2.0"),
    };
    let mut attributes = vec![
        (
            "xmlns:epcis".to_owned(),
            format!("urn:epcglobal:epcis:xsd:{namespace}"),
        ),
        (
            "xmlns:cbvmda".to_owned(),
            "urn:epcglobal:cbv:mda".to_owned(),
        ),
        ("xmlns:gs1".to_owned(), "https://gs1.org/voc/".to_owned()),
        ("schemaVersion".to_owned(), schema.to_owned()),
        ("creationDate".to_owned(), text(&document["creationDate"])),
    ];
    for (prefix, base) in document["@context"][1].as_object().expect("prefixes") {
        attributes.push((format!("xmlns:{prefix}"), text(base)));
    }
    writer.element("epcis:EPCISDocument", &attributes, |writer| {
        writer.element("EPCISBody", &[], |writer| {
            writer.element("EventList", &[], |writer| {
                let events = document["epcisBody"]["eventList"].as_array();
                for event in events.expect("events") {
                    writer.event(event.as_object().expect("an event"));
                }
            });
        });
    });
    writer.out
}

struct Writer {
    out: String,
    version: Version,
}

type Attributes = [(String, String)];

impl Writer {
    fn element(&mut self, name: &str, attributes: &Attributes, inside: impl FnOnce(&mut Self)) {
        self.tag(name, attributes);
        self.out.push('\n');
        inside(self);
        writeln!(self.out, "</{name}>").expect("a string");
    }

    fn leaf(&mut self, name: &str, attributes: &Attributes, value: &Value) {
        self.tag(name, attributes);
        writeln!(self.out, "{}</{name}>", escape(&text(value))).expect("a string");
    }

    fn tag(&mut self, name: &str, attributes: &Attributes) {
        write!(self.out, "<{name}").expect("a string");
        for (key, value) in attributes {
            write!(self.out, " {key}=\"{}\"", escape(value)).expect("a string");
        }
        self.out.push('>');
    }

    /// Within this many wrappers in 1.2.
    fn wrapped(&mut self, name: &str, depth: usize, inside: impl FnOnce(&mut Self)) {
        let depth = if self.version == Version::Old {
            depth
        } else {
            0
        };
        self.out.push_str(&format!("<{name}>").repeat(depth));
        inside(self);
        self.out.push_str(&format!("</{name}>").repeat(depth));
    }

    fn event(&mut self, event: &Map<String, Value>) {
        let kind = text(&event["type"]);
        let depth = match kind.as_str() {
            "TransformationEvent" => 1,
            "AssociationEvent" => 2,
            _ => 0,
        };
        self.wrapped("extension", depth, |writer| {
            writer.element(&kind, &[], |writer| {
                for (name, value) in event {
                    let (wrapper, depth) = match name.as_str() {
                        "type" => continue,
                        "eventID" | "errorDeclaration" => ("baseExtension", 1),
                        "quantityList" | "childQuantityList" | "sourceList" | "destinationList"
                        | "ilmd" => ("extension", 1),
                        "sensorElementList" | "persistentDisposition" => ("extension", 2),
                        _ => ("", 0),
                    };
                    writer.wrapped(wrapper, depth, |writer| writer.field(name, value));
                }
            });
        });
    }

    fn field(&mut self, name: &str, value: &Value) {
        let item = match name {
            "epcList" | "childEPCs" | "inputEPCList" | "outputEPCList" => "epc",
            "correctiveEventIDs" => "correctiveEventID",
            "quantityList" | "childQuantityList" | "inputQuantityList" | "outputQuantityList" => {
                "quantityElement"
            }
            "bizTransactionList" => "bizTransaction",
            "sourceList" => "source",
            "destinationList" => "destination",
            "sensorElementList" => "sensorElement",
            _ => return self.other_field(name, value),
        };
        self.element(name, &[], |writer| {
            for value in value.as_array().expect("a list") {
                match item {
                    "bizTransaction" | "source" | "destination" => {
                        let list = if item == "bizTransaction" {
                            &BIZ_TRANSACTION_TYPE
                        } else {
                            &SOURCE_DEST_TYPE
                        };
                        let kind = writer.word(list, &value["type"]);
                        writer.leaf(item, &[("type".to_owned(), kind)], &value[item]);
                    }
                    _ if value.is_object() => {
                        writer.element(item, &[], |writer| writer.fields(value));
                    }
                    _ => writer.leaf(item, &[], value),
                }
            }
        });
    }

    fn fields(&mut self, value: &Value) {
        for (name, value) in value.as_object().expect("an object") {
            self.field(name, value);
        }
    }

    fn other_field(&mut self, name: &str, value: &Value) {
        let list = match name {
            "bizStep" => &BIZ_STEP,
            "disposition" | "set" | "unset" => &DISPOSITION,
            "reason" => &ERROR_REASON,
            "sensorMetadata" => return self.attributes(name, value),
            "sensorReport" => {
                for report in value.as_array().expect("reports") {
                    self.attributes(name, report);
                }
                return;
            }
            _ => match value {
                Value::Object(_) => return self.element(name, &[], |writer| writer.fields(value)),
                Value::Array(items) => {
                    for item in items {
                        self.other_field(name, item);
                    }
                    return;
                }
                _ => return self.leaf(name, &[], value),
            },
        };
        for value in value
            .as_array()
            .map_or(std::slice::from_ref(value), Vec::as_slice)
        {
            let word = self.word(list, value);
            self.leaf(name, &[], &word.into());
        }
    }

    fn attributes(&mut self, name: &str, value: &Value) {
        let members = value.as_object().expect("an object");
        let attributes: Vec<(String, String)> = members
            .iter()
            .map(|(key, value)| {
                let written = match key.as_str() {
                    "type" => self.word(&MEASUREMENT_TYPE, value),
                    "exception" => self.word(&ALERT_TYPE, value),
                    "component" => self.word(&COMPONENT, value),
                    _ => text(value),
                };
                (key.clone(), written)
            })
            .collect();
        self.element(name, &attributes, |_| {});
    }

    /// A word as a URN, a compact name or a Web URI.
    fn word(&self, list: &Vocabulary, value: &Value) -> String {
        let word = text(value);
        let name = list.namespace.rsplit('/').next().unwrap_or_default();
        match (self.version, name.trim_end_matches('-')) {
            (Version::New, _) => format!("{}{word}", list.namespace),
            (Version::Old, "") => format!("gs1:{word}"),
            (Version::Old, name) => format!("urn:epcglobal:cbv:{}:{word}", name.to_lowercase()),
        }
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('"', "&quot;")
        .replace('>', "&#62;")
        .replace('\n', "&#10;")
}
