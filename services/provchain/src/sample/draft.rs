//! Building the JSON of one event.

use serde_json::{Map, Value, json};

use super::random::Random;
use super::truth::Entry;
use super::world::{Actor, Item};
use crate::epcis::time::Timestamp;

/// An event that is not written yet, and what it adds to the truth.
#[derive(Debug)]
pub struct Draft {
    /// When it takes place.
    pub time: Timestamp,
    /// What it adds to the truth.
    pub entries: Vec<Entry>,
    members: Map<String, Value>,
}

impl Draft {
    /// An event of `actor` at its place.
    pub fn new(kind: &str, actor: &Actor, time: Timestamp) -> Self {
        let mut members = Map::new();
        members.insert("type".to_owned(), json!(kind));
        members.insert("eventTime".to_owned(), json!(time.to_string()));
        members.insert("eventTimeZoneOffset".to_owned(), json!(actor.offset));
        Self {
            time,
            entries: Vec::new(),
            members,
        }
        .with("readPoint", json!({ "id": actor.place() }))
        .with("bizLocation", json!({ "id": actor.place() }))
    }

    /// With another member.
    pub fn with(mut self, key: &str, value: Value) -> Self {
        self.members.insert(key.to_owned(), value);
        self
    }

    /// With action, business step and disposition.
    pub fn doing(self, action: &str, step: &str, disposition: &str) -> Self {
        self.with("action", json!(action))
            .with("bizStep", json!(step))
            .with("disposition", json!(disposition))
    }

    /// With a list of single things, as `actor` spells them.
    pub fn listing<'a>(
        self,
        key: &str,
        actor: &Actor,
        items: impl IntoIterator<Item = &'a Item>,
    ) -> Self {
        let items: Vec<&str> = items
            .into_iter()
            .map(|item| item.spelled(actor.spelling))
            .collect();
        self.with(key, json!(items))
    }

    /// With a list of lots and how much of each, as `actor` spells them.
    pub fn weighing(self, key: &str, actor: &Actor, lots: &[(&Item, f64, &str)]) -> Self {
        let elements: Vec<Value> = lots
            .iter()
            .map(|(item, quantity, uom)| {
                json!({
                    "epcClass": item.spelled(actor.spelling),
                    "quantity": quantity,
                    "uom": uom,
                })
            })
            .collect();
        self.with(key, json!(elements))
    }

    /// With who hands over to whom, and the despatch advice.
    pub fn transferring(self, from: &Actor, to: &Actor, advice: usize) -> Self {
        let transaction = |number: usize| format!("urn:epcglobal:cbv:bt:{}:DA{number}", from.gln());
        self.with(
            "bizTransactionList",
            json!([{ "type": "desadv", "bizTransaction": transaction(advice) }]),
        )
        .with(
            "sourceList",
            json!([
                { "type": "possessing_party", "source": from.party() },
                { "type": "location", "source": from.place() }
            ]),
        )
        .with(
            "destinationList",
            json!([
                { "type": "possessing_party", "destination": to.party() },
                { "type": "location", "destination": to.place() }
            ]),
        )
    }

    /// With the temperatures that `logger` kept on the way, one every four hours.
    pub fn logged(self, logger: &Item, random: &mut Random, readings: i64) -> Self {
        let mut reports = Vec::new();
        let mut warm = false;
        for step in (1..=readings).rev() {
            // Tenths of a degree, around four degrees Celsius; now and then a door stays open.
            let open = random.below(60) == 0;
            warm |= open;
            let tenths = 30 + random.below(20) + if open { 60 } else { 0 };
            let tenths = u32::try_from(tenths).unwrap_or_default();
            let time = Timestamp {
                unix_micros: self.time.unix_micros - step * 4 * 3_600_000_000,
            };
            let mut report = json!({
                "type": "Temperature",
                "time": time.to_string(),
                "value": f64::from(tenths) / 10.0,
                "uom": "CEL",
            });
            if open {
                report["exception"] = json!("ALARM_CONDITION");
            }
            reports.push(report);
        }
        let humidity = 60 + random.below(20);
        reports.push(json!({ "type": "RelativeHumidity", "meanValue": humidity, "uom": "P1" }));
        let draft = self.with(
            "sensorElementList",
            json!([{
                "sensorMetadata": { "deviceID": logger.urn },
                "sensorReport": reports,
            }]),
        );
        if warm {
            draft.with("example:coldChainBroken", json!(true))
        } else {
            draft
        }
    }

    /// Adds to the truth when the event is written.
    pub fn entering(mut self, entry: Entry) -> Self {
        self.entries.push(entry);
        self
    }

    /// The event, with its identifier.
    pub fn finish(mut self, random: &mut Random) -> (Value, Vec<Entry>) {
        let id = format!("urn:uuid:{}", random.uuid());
        self.members
            .shift_insert(0, "eventID".to_owned(), json!(id));
        (Value::Object(self.members), self.entries)
    }
}
