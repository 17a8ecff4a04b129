//! Sensor data (EPCIS 2.0, sections 7.3.8 and 7.3.9).

use serde_json::Value;

use super::{Check, members, uom, uri};
use crate::epcis::check::Checker;
use crate::epcis::issue::Rule;
use crate::epcis::time::Timestamp;
use crate::rdf::pointer::At;
use crate::rdf::vocabulary;

/// An element of `sensorElementList`.
pub fn element(checker: &mut Checker<'_>, value: &Value, at: &At<'_>) {
    let Some(object) = checker.object(value, at) else {
        return;
    };
    checker.required(object, "sensorReport", at);
    members(checker, object, at, true, |key| {
        Some(match key {
            "sensorMetadata" => metadata,
            "sensorReport" => |checker, value, at| {
                if value.as_array().is_some_and(Vec::is_empty) {
                    checker.issue(
                        Rule::Required,
                        at,
                        "a sensor element has at least one report",
                    );
                }
                checker.each(value, at, report);
            },
            _ => return None,
        })
    });
}

/// What both metadata and reports have.
fn shared(key: &str) -> Option<Check> {
    Some(match key {
        "time" => time,
        "deviceID" | "deviceMetadata" | "rawData" | "dataProcessingMethod" | "bizRules" => uri,
        _ => return None,
    })
}

fn metadata(checker: &mut Checker<'_>, value: &Value, at: &At<'_>) {
    let Some(object) = checker.object(value, at) else {
        return;
    };
    members(checker, object, at, true, |key| match key {
        "startTime" | "endTime" => Some(time),
        _ => shared(key),
    });
    let moment = |key: &str| Timestamp::parse(object.get(key)?.as_str()?);
    if let (Some(start), Some(end)) = (moment("startTime"), moment("endTime"))
        && end < start
    {
        let message = "endTime is before startTime";
        checker.issue(Rule::Value, &at.key("endTime"), message);
    }
}

fn report(checker: &mut Checker<'_>, value: &Value, at: &At<'_>) {
    let Some(object) = checker.object(value, at) else {
        return;
    };
    checker.required(object, "type", at);
    members(checker, object, at, true, |key| {
        Some(match key {
            "type" => |checker, value, at| checker.word(&vocabulary::MEASUREMENT_TYPE, value, at),
            "exception" => |checker, value, at| checker.word(&vocabulary::ALERT_TYPE, value, at),
            "component" => |checker, value, at| checker.word(&vocabulary::COMPONENT, value, at),
            "microorganism" | "chemicalSubstance" | "coordinateReferenceSystem" | "uriValue" => uri,
            "value" | "minValue" | "maxValue" | "meanValue" | "sDev" | "percRank" | "percValue" => {
                |checker, value, at| checker.number(value, at)
            }
            "stringValue" => |checker, value, at| {
                checker.string(value, at);
            },
            "booleanValue" => |checker, value, at| checker.boolean(value, at),
            "hexBinaryValue" => hex_binary,
            "uom" => uom,
            _ => return shared(key),
        })
    });
}

fn time(checker: &mut Checker<'_>, value: &Value, at: &At<'_>) {
    checker.time(value, at);
}

fn hex_binary(checker: &mut Checker<'_>, value: &Value, at: &At<'_>) {
    if let Some(text) = checker.string(value, at)
        && (text.is_empty() || hex::decode(text).is_err())
    {
        let message = format!("{text:?} is not a sequence of bytes in hexadecimal");
        checker.issue(Rule::Value, at, message);
    }
}
