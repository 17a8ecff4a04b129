//! The fields of events (EPCIS 2.0, section 7.3).

mod sensor;

use serde_json::{Map, Value};

use super::check::Checker;
use super::issue::Rule;
use super::time;
use crate::rdf::pointer::At;
use crate::rdf::vocabulary;

/// A check of one field's value.
pub(super) type Check = fn(&mut Checker<'_>, &Value, &At<'_>);

/// The check of a top-level field of an event; `None` for a name that the standard does not have.
pub(super) fn check_of(field: &str) -> Option<Check> {
    Some(match field {
        "type" | "@context" => |_, _, _| {},
        "eventTime" | "recordTime" => |checker, value, at| {
            checker.time(value, at);
        },
        "eventTimeZoneOffset" => time_zone_offset,
        "eventID" | "transformationID" => |checker, value, at| {
            checker.identifier(value, at);
        },
        "certificationInfo" => certification_info,
        "errorDeclaration" => error_declaration,
        "action" => action,
        "bizStep" => |checker, value, at| checker.word(&vocabulary::BIZ_STEP, value, at),
        "disposition" => |checker, value, at| checker.word(&vocabulary::DISPOSITION, value, at),
        "persistentDisposition" => persistent_disposition,
        "readPoint" | "bizLocation" => place,
        "parentID" => |checker, value, at| checker.instance(value, at),
        "epcList" | "childEPCs" | "inputEPCList" | "outputEPCList" => {
            |checker, value, at| checker.each(value, at, Checker::instance)
        }
        "quantityList" | "childQuantityList" | "inputQuantityList" | "outputQuantityList" => {
            |checker, value, at| checker.each(value, at, quantity_element)
        }
        "bizTransactionList" => |checker, value, at| checker.each(value, at, biz_transaction),
        "sourceList" => |checker, value, at| {
            checker.each(value, at, |checker, item, at| {
                party(checker, "source", item, at);
            });
        },
        "destinationList" => |checker, value, at| {
            checker.each(value, at, |checker, item, at| {
                party(checker, "destination", item, at);
            });
        },
        "ilmd" => ilmd,
        "sensorElementList" => |checker, value, at| checker.each(value, at, sensor::element),
        _ => return None,
    })
}

/// Checks the members of `object` that `known` has a check for; others are refused, or taken as
/// extensions where `extensible`.
fn members(
    checker: &mut Checker<'_>,
    object: &Map<String, Value>,
    at: &At<'_>,
    extensible: bool,
    known: impl Fn(&str) -> Option<Check>,
) {
    for (key, value) in object {
        let here = at.key(key);
        match known(key) {
            Some(check) => check(checker, value, &here),
            None if extensible => checker.extension(key, value, &here),
            None => {
                let message = format!("{key:?} does not belong in an element of {}", at.field());
                checker.issue(Rule::Forbidden, &here, message);
            }
        }
    }
}

fn uri(checker: &mut Checker<'_>, value: &Value, at: &At<'_>) {
    checker.identifier(value, at);
}

fn time_zone_offset(checker: &mut Checker<'_>, value: &Value, at: &At<'_>) {
    if let Some(text) = checker.string(value, at)
        && time::offset_minutes(text).is_none()
    {
        let message = format!("{text:?} is not an offset between -14:00 and +14:00, as +02:00");
        checker.issue(Rule::Time, at, message);
    }
}

fn action(checker: &mut Checker<'_>, value: &Value, at: &At<'_>) {
    if let Some(text) = checker.string(value, at)
        && !matches!(text, "OBSERVE" | "ADD" | "DELETE")
    {
        let message = format!("{text:?} is not an action: OBSERVE, ADD or DELETE");
        checker.issue(Rule::Value, at, message);
    }
}

fn certification_info(checker: &mut Checker<'_>, value: &Value, at: &At<'_>) {
    if value.is_array() {
        checker.each(value, at, uri);
    } else {
        uri(checker, value, at);
    }
}

fn error_declaration(checker: &mut Checker<'_>, value: &Value, at: &At<'_>) {
    let Some(object) = checker.object(value, at) else {
        return;
    };
    checker.required(object, "declarationTime", at);
    members(checker, object, at, true, |key| {
        Some(match key {
            "declarationTime" => |checker, value, at| {
                checker.time(value, at);
            },
            "reason" => |checker, value, at| checker.word(&vocabulary::ERROR_REASON, value, at),
            "correctiveEventIDs" => |checker, value, at| checker.each(value, at, uri),
            _ => return None,
        })
    });
}

fn persistent_disposition(checker: &mut Checker<'_>, value: &Value, at: &At<'_>) {
    let Some(object) = checker.object(value, at) else {
        return;
    };
    if !object.contains_key("set") && !object.contains_key("unset") {
        checker.issue(
            Rule::Required,
            at,
            "a persistentDisposition has set, unset or both",
        );
    }
    members(checker, object, at, false, |key| {
        matches!(key, "set" | "unset").then_some(|checker, value, at| {
            if value.as_array().is_some_and(Vec::is_empty) {
                checker.issue(Rule::Required, at, "the list must not be empty");
            }
            checker.each(value, at, |checker, item, at| {
                checker.word(&vocabulary::DISPOSITION, item, at);
            });
        })
    });
}

fn place(checker: &mut Checker<'_>, value: &Value, at: &At<'_>) {
    let Some(object) = checker.object(value, at) else {
        return;
    };
    checker.required(object, "id", at);
    members(checker, object, at, true, |key| {
        (key == "id").then_some(uri as Check)
    });
}

fn biz_transaction(checker: &mut Checker<'_>, value: &Value, at: &At<'_>) {
    let Some(object) = checker.object(value, at) else {
        return;
    };
    checker.required(object, "bizTransaction", at);
    members(checker, object, at, false, |key| {
        Some(match key {
            "bizTransaction" => uri,
            "type" => |checker, value, at| {
                checker.word(&vocabulary::BIZ_TRANSACTION_TYPE, value, at);
            },
            _ => return None,
        })
    });
}

/// An element of `sourceList` or `destinationList`; `end` is `source` or `destination`.
fn party(checker: &mut Checker<'_>, end: &'static str, value: &Value, at: &At<'_>) {
    let Some(object) = checker.object(value, at) else {
        return;
    };
    checker.required(object, "type", at);
    checker.required(object, end, at);
    members(checker, object, at, false, |key| match key {
        "type" => Some(|checker, value, at| {
            checker.word(&vocabulary::SOURCE_DEST_TYPE, value, at);
        }),
        _ => (key == end).then_some(uri as Check),
    });
}

fn ilmd(checker: &mut Checker<'_>, value: &Value, at: &At<'_>) {
    if let Some(object) = checker.object(value, at) {
        members(checker, object, at, true, |_| None);
    }
}

/// A class and how much of it (section 7.3.3.3).
fn quantity_element(checker: &mut Checker<'_>, value: &Value, at: &At<'_>) {
    let Some(object) = checker.object(value, at) else {
        return;
    };
    checker.required(object, "epcClass", at);
    members(checker, object, at, false, |key| {
        Some(match key {
            "epcClass" => |checker, value, at| checker.class(value, at),
            "quantity" => |checker, value, at| checker.number(value, at),
            "uom" => uom,
            _ => return None,
        })
    });
    let quantity = object.get("quantity").and_then(Value::as_f64);
    let measured = object.contains_key("uom");
    let here = at.key("quantity");
    match quantity {
        None if measured && !object.contains_key("quantity") => {
            checker.issue(Rule::Required, &here, "a unit of measure needs a quantity");
        }
        Some(quantity) if quantity <= 0.0 => {
            checker.issue(Rule::Value, &here, "a quantity is greater than zero");
        }
        Some(quantity) if !measured && quantity.fract() != 0.0 => {
            let message = "without a uom the quantity counts things: a whole number";
            checker.issue(Rule::Value, &here, message);
        }
        _ => {}
    }
}

/// A unit of measure: a common code of UN/CEFACT Recommendation 20.
fn uom(checker: &mut Checker<'_>, value: &Value, at: &At<'_>) {
    if let Some(text) = checker.string(value, at)
        && !is_unit_code(text)
    {
        let message = format!(
            "{text:?} is not a unit code of UN/CEFACT Recommendation 20: two or three capital \
             letters or digits, as KGM or CEL"
        );
        checker.issue(Rule::Value, at, message);
    }
}

fn is_unit_code(text: &str) -> bool {
    (2..=3).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}
