//! How an event ties items together.
//!
//! A [`LinkSet`] lists every identifier of an event with its [`Role`]. A database that keeps one
//! row for each (key, role, event) answers both directions of a trace; the pairs of inputs and
//! outputs are never multiplied out.
//!
//! # What the roles mean for a trace
//!
//! "Down" leads from a thing to what it went into, "up" to what it came from.
//!
//! | event | down | up |
//! |---|---|---|
//! | transformation | input → every output | output → every input |
//! | aggregation or association, `ADD` or `OBSERVE` | child → parent | parent → child |
//! | aggregation or association, `DELETE` | ends what `ADD` began | the same |
//! | all others | none: they tell where a thing was, and under which papers | none |
//!
//! - Transformation events with one `transformationID` are parts of one transformation: each
//!   input of any of them goes into each output of any of them (EPCIS 2.0, section 7.4.6).
//!   [`Role::Transformation`] carries that identifier.
//! - A child is in its parent from an `ADD` until the `DELETE` that names it, or that names only
//!   the parent (then all children leave). A container that is used again (a GRAI, a GIAI) must
//!   be followed within that time; an SSCC is not used again within a year.
//! - An item of [`Level::Class`] is every item of its kind that there ever was. It is indexed, but
//!   a trace that steps through it joins everything with everything: report it, do not follow it.
//! - [`LinkSet::lots`] says of which lot an instance is, where the event itself says so: by a
//!   Digital Link with both lot and serial number, or by `cbvmda:lotNumber` in the `ilmd`. What a
//!   lot is made of, its instances are made of.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::document::Event;
use super::event::EventType;
use super::identifier::{Identifier, ItemKey, Level};

/// What an identifier is to its event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// What an object or transaction event is about (`epcList`, `quantityList`).
    Object,
    /// What a transformation consumes.
    Input,
    /// What a transformation makes.
    Output,
    /// The transformation that several events are parts of (`transformationID`).
    Transformation,
    /// The whole of an aggregation, association or transaction (`parentID`).
    Parent,
    /// A part of an aggregation or association.
    Child,
    /// A business transaction (`bizTransactionList`).
    Transaction,
    /// Where a transfer begins (`sourceList`).
    Source,
    /// Where a transfer ends (`destinationList`).
    Destination,
    /// Where the event took place (`readPoint`).
    ReadPoint,
    /// Where the objects are thereafter (`bizLocation`).
    BizLocation,
}

/// What an event does to the ties it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Action {
    /// They are as before.
    Observe,
    /// They begin.
    Add,
    /// They end.
    Delete,
}

/// One identifier of an event.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Link {
    /// What it is to the event.
    pub role: Role,
    /// What it compares by.
    pub key: ItemKey,
    /// How much it names.
    pub level: Level,
}

/// All identifiers of an event, each once for each role, in the order of the event's fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkSet {
    /// The event's action; transformations have none.
    pub action: Option<Action>,
    /// The identifiers.
    pub links: Vec<Link>,
    /// An instance and the lot that the event says it is of.
    pub lots: Vec<(ItemKey, ItemKey)>,
}

impl LinkSet {
    /// The links of an event.
    pub fn of(event: &Event) -> Self {
        let mut set = Self {
            action: match event.value.get("action").and_then(Value::as_str) {
                Some("OBSERVE") => Some(Action::Observe),
                Some("ADD") => Some(Action::Add),
                Some("DELETE") => Some(Action::Delete),
                _ => None,
            },
            ..Self::default()
        };
        let mut seen = HashSet::new();
        for (field, role, inner) in FIELDS {
            let role = match (&event.kind, role) {
                // Nobody but its author knows what ties an event of another type makes.
                (
                    EventType::Extension(_),
                    Role::Input | Role::Output | Role::Parent | Role::Child,
                ) => Role::Object,
                // It ties items to a transaction and not to one another: its parent is another
                // item of the transaction, and its DELETE unpacks nothing.
                (EventType::Transaction, Role::Parent) => Role::Object,
                _ => role,
            };
            set.collect(event, field, role, inner, &mut seen);
        }
        set.lots_of_ilmd(event);
        set.lots.sort_unstable();
        set.lots.dedup();
        set
    }

    /// The keys with `role`.
    pub fn keys(&self, role: Role) -> impl Iterator<Item = &ItemKey> {
        self.links
            .iter()
            .filter(move |link| link.role == role)
            .map(|link| &link.key)
    }

    /// What this event alone says that `key` went into.
    pub fn downstream<'a>(&'a self, key: &'a ItemKey) -> impl Iterator<Item = &'a ItemKey> {
        self.across(
            key,
            [(Role::Input, Role::Output), (Role::Child, Role::Parent)],
        )
    }

    /// What this event alone says that `key` came from.
    pub fn upstream<'a>(&'a self, key: &'a ItemKey) -> impl Iterator<Item = &'a ItemKey> {
        self.across(
            key,
            [(Role::Output, Role::Input), (Role::Parent, Role::Child)],
        )
    }

    fn across<'a>(
        &'a self,
        key: &'a ItemKey,
        pairs: [(Role, Role); 2],
    ) -> impl Iterator<Item = &'a ItemKey> {
        pairs
            .into_iter()
            .filter(|_| self.action != Some(Action::Delete))
            .filter(move |(from, _)| self.keys(*from).any(|other| other == key))
            .flat_map(|(_, to)| self.keys(to))
    }

    /// Adds the identifiers of `field`: a URI, an object or list of them; in objects under
    /// `inner`.
    fn collect(
        &mut self,
        event: &Event,
        field: &str,
        role: Role,
        inner: &str,
        seen: &mut HashSet<Link>,
    ) {
        let items = match event.value.get(field) {
            None => return,
            Some(Value::Array(items)) => items.as_slice(),
            Some(single) => std::slice::from_ref(single),
        };
        for item in items {
            let uri = match item {
                Value::String(uri) => Some(uri.as_str()),
                object => object.get(inner).and_then(Value::as_str),
            };
            let Some(Ok(identifier)) = uri.map(|uri| Identifier::parse(&event.iri(uri))) else {
                continue;
            };
            if let Some(lot) = identifier.lot {
                self.lots.push((identifier.key.clone(), lot));
            }
            let link = Link {
                role,
                key: identifier.key,
                level: identifier.level,
            };
            if seen.insert(link.clone()) {
                self.links.push(link);
            }
        }
    }

    /// The lot that the `ilmd` gives to the instances that begin to exist.
    fn lots_of_ilmd(&mut self, event: &Event) {
        let Some(Value::Object(ilmd)) = event.value.get("ilmd") else {
            return;
        };
        let is_lot = |key: &str| event.iri(key) == "urn:epcglobal:cbv:mda:lotNumber";
        let lot = ilmd.iter().find(|(key, _)| is_lot(key));
        let Some(lot) = lot.and_then(|(_, lot)| lot.as_str()) else {
            return;
        };
        for link in &self.links {
            if matches!(link.role, Role::Object | Role::Output)
                && link.level == Level::Instance
                && let Some(lot) = link.key.lot(lot)
            {
                self.lots.push((link.key.clone(), lot));
            }
        }
    }
}

/// Fields with identifiers, the role they give, and where in an element the identifier is.
const FIELDS: [(&str, Role, &str); 15] = [
    ("epcList", Role::Object, ""),
    ("quantityList", Role::Object, "epcClass"),
    ("inputEPCList", Role::Input, ""),
    ("inputQuantityList", Role::Input, "epcClass"),
    ("outputEPCList", Role::Output, ""),
    ("outputQuantityList", Role::Output, "epcClass"),
    ("transformationID", Role::Transformation, ""),
    ("parentID", Role::Parent, ""),
    ("childEPCs", Role::Child, ""),
    ("childQuantityList", Role::Child, "epcClass"),
    ("bizTransactionList", Role::Transaction, "bizTransaction"),
    ("sourceList", Role::Source, "source"),
    ("destinationList", Role::Destination, "destination"),
    ("readPoint", Role::ReadPoint, "id"),
    ("bizLocation", Role::BizLocation, "id"),
];
