//! Reading JSON strictly: bounded, without duplicate keys, without numbers that get rounded.
//!
//! `serde_json` alone keeps the last of two equal keys and rounds long numbers in silence; both
//! would let two readers of the same signed bytes see different events.

use json_event_parser::{JsonEvent, SliceJsonParser};
use serde_json::{Map, Number, Value};

use super::issue::{Issue, Rule};
use super::limits::Limits;
use crate::rdf::pointer::At;

/// Most significant decimal digits that survive a round trip through 64-bit floating point.
const DIGITS_MAX: usize = 15;

/// The JSON value that `body` holds.
pub fn read(body: &[u8], limits: &Limits) -> Result<Value, Issue> {
    check_size(body, limits)?;
    let mut reader = Reader {
        parser: SliceJsonParser::new(body),
        limits,
        values_left: limits.values_max,
    };
    let first = reader.next(&At::ROOT)?;
    let value = reader.value(first, 0, &At::ROOT)?;
    match reader.next(&At::ROOT)? {
        JsonEvent::Eof => Ok(value),
        _ => Err(Issue::new(
            Rule::Json,
            &At::ROOT,
            "text follows the JSON value",
        )),
    }
}

/// That the body is not too large.
pub(super) fn check_size(body: &[u8], limits: &Limits) -> Result<(), Issue> {
    if body.len() <= limits.document_bytes_max {
        return Ok(());
    }
    let message = format!(
        "the body has {} bytes; at most {} are taken",
        body.len(),
        limits.document_bytes_max
    );
    Err(Issue::new(Rule::Limit, &At::ROOT, message))
}

/// That a value which was not read here keeps the bounds of one that was: what is taken in another
/// form is stored as JSON, and must be read again.
pub(super) fn check_bounds(value: &Value, limits: &Limits) -> Result<(), Issue> {
    let mut bounds = Bounds {
        limits,
        values_left: limits.values_max,
    };
    bounds.value(value, 0, &At::ROOT)
}

struct Bounds<'a> {
    limits: &'a Limits,
    values_left: usize,
}

impl Bounds<'_> {
    fn value(&mut self, value: &Value, depth: usize, at: &At<'_>) -> Result<(), Issue> {
        enter(depth, &mut self.values_left, self.limits, at)?;
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
            Value::String(text) => check_length(text, self.limits, at),
            Value::Array(items) => items
                .iter()
                .enumerate()
                .try_for_each(|(index, item)| self.value(item, depth + 1, &at.index(index))),
            Value::Object(members) => members.iter().try_for_each(|(key, value)| {
                check_length(key, self.limits, at)?;
                self.value(value, depth + 1, &at.key(key))
            }),
        }
    }
}

/// Counts a value that stands `depth` levels deep.
fn enter(depth: usize, values_left: &mut usize, limits: &Limits, at: &At<'_>) -> Result<(), Issue> {
    let too_much = |message: String| Err(Issue::new(Rule::Limit, at, message));
    if depth > limits.depth_max {
        return too_much(format!("nested more than {} levels deep", limits.depth_max));
    }
    if *values_left == 0 {
        return too_much(format!("more than {} values", limits.values_max));
    }
    *values_left -= 1;
    Ok(())
}

fn check_length(text: &str, limits: &Limits, at: &At<'_>) -> Result<(), Issue> {
    if text.len() <= limits.string_bytes_max {
        return Ok(());
    }
    let message = format!(
        "a text of {} bytes; at most {} are taken",
        text.len(),
        limits.string_bytes_max
    );
    Err(Issue::new(Rule::Limit, at, message))
}

struct Reader<'a> {
    parser: SliceJsonParser<'a>,
    limits: &'a Limits,
    values_left: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self, at: &At<'_>) -> Result<JsonEvent<'a>, Issue> {
        self.parser.parse_next().map_err(|error| {
            let position = error.location().start;
            let message = format!(
                "not JSON at line {}, column {}: {}",
                position.line + 1,
                position.column + 1,
                error.message()
            );
            Issue::new(Rule::Json, at, message)
        })
    }

    fn value(&mut self, event: JsonEvent<'a>, depth: usize, at: &At<'_>) -> Result<Value, Issue> {
        enter(depth, &mut self.values_left, self.limits, at)?;
        match event {
            JsonEvent::Null => Ok(Value::Null),
            JsonEvent::Boolean(truth) => Ok(Value::Bool(truth)),
            JsonEvent::Number(text) => number(&text, at),
            JsonEvent::String(text) => {
                check_length(&text, self.limits, at)?;
                Ok(Value::String(text.into_owned()))
            }
            JsonEvent::StartArray => {
                let mut items = Vec::new();
                loop {
                    let here = at.index(items.len());
                    match self.next(&here)? {
                        JsonEvent::EndArray => return Ok(Value::Array(items)),
                        event => items.push(self.value(event, depth + 1, &here)?),
                    }
                }
            }
            JsonEvent::StartObject => {
                let mut members = Map::new();
                loop {
                    match self.next(at)? {
                        JsonEvent::EndObject => return Ok(Value::Object(members)),
                        JsonEvent::ObjectKey(key) => {
                            check_length(&key, self.limits, at)?;
                            let here = at.key(&key);
                            if members.contains_key(&*key) {
                                let message = format!("the object has {key:?} twice");
                                return Err(Issue::new(Rule::DuplicateKey, &here, message));
                            }
                            let event = self.next(&here)?;
                            let value = self.value(event, depth + 1, &here)?;
                            members.insert(key.into_owned(), value);
                        }
                        _ => return Err(Issue::new(Rule::Json, at, "an object needs keys")),
                    }
                }
            }
            _ => Err(Issue::new(Rule::Json, at, "a value is missing")),
        }
    }
}

/// A number that every reader sees as the same.
pub(super) fn number(text: &str, at: &At<'_>) -> Result<Value, Issue> {
    let mantissa = text.split(['e', 'E']).next().unwrap_or(text);
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let significant = digits.trim_matches('0').len();
    let parsed = match text.parse::<i64>() {
        Ok(whole) => Some(Number::from(whole)),
        Err(_) => text.parse().ok().and_then(Number::from_f64),
    };
    // Beyond these magnitudes fewer than fifteen digits survive.
    let magnitude = 1e-300..1e300;
    let kept = |number: &Number| {
        let value = number.as_f64().unwrap_or(f64::NAN).abs();
        magnitude.contains(&value) || significant == 0
    };
    match parsed {
        Some(number) if significant <= DIGITS_MAX && kept(&number) => Ok(Value::Number(number)),
        _ => {
            let message = format!(
                "{text} has more digits than JSON readers keep ({DIGITS_MAX}); write it as a text"
            );
            Err(Issue::new(Rule::NumberPrecision, at, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::issue::Rule;
    use super::super::limits::Limits;
    use super::read;

    fn refused(body: &str) -> (Rule, String) {
        let issue = read(body.as_bytes(), &Limits::default()).expect_err(body);
        (issue.rule, issue.pointer)
    }

    #[test]
    fn json_is_read_as_it_is_written() {
        let body = r#" {"b": [1, -2.50, 1e3, true, null, "\u00e9\n"], "a": {}} "#;
        let value = read(body.as_bytes(), &Limits::default()).expect("valid JSON");
        assert_eq!(
            value.to_string(),
            r#"{"b":[1,-2.5,1000.0,true,null,"é\n"],"a":{}}"#
        );
    }

    #[test]
    fn a_key_that_is_there_twice_is_refused_where_it_is() {
        let body = r#"{"a": [{"k": 1}, {"k": 1, "\u006b": 2}]}"#;
        assert_eq!(refused(body), (Rule::DuplicateKey, "/a/1/k".to_owned()));
    }

    #[test]
    fn numbers_that_would_be_rounded_are_refused() {
        for text in [
            "0.10000000000000000555",
            "12345678901234567890",
            "1e400",
            "1e-400",
            "9007199254740993",
        ] {
            let body = format!("[{text}]");
            let expected = (Rule::NumberPrecision, "/0".to_owned());
            assert_eq!(refused(&body), expected, "{text}");
        }
        for text in [
            "0",
            "-0",
            "0.000",
            "100000000000000000000",
            "123456789012345",
        ] {
            read(text.as_bytes(), &Limits::default()).expect(text);
        }
    }

    #[test]
    fn what_is_not_json_is_refused_with_its_line() {
        for body in [
            "",
            "{",
            "{}{}",
            "[1,]",
            "\"\\ud800\"",
            "{'a':1}",
            "[1 2]",
            "-",
            "1e+",
        ] {
            assert_eq!(refused(body).0, Rule::Json, "{body}");
        }
        let issue = read(b"{\n  \"a\": nul\n}", &Limits::default()).expect_err("not JSON");
        assert!(issue.message.contains("line 2"), "{}", issue.message);
    }

    #[test]
    fn every_bound_is_kept() {
        let limits = Limits {
            document_bytes_max: 60,
            depth_max: 3,
            string_bytes_max: 8,
            values_max: 10,
            ..Limits::default()
        };
        for body in [
            format!("\"{}\"", "x".repeat(60)),
            "[[[[1]]]]".to_owned(),
            "\"123456789\"".to_owned(),
            "{\"123456789\": 1}".to_owned(),
            "[0,0,0,0,0,0,0,0,0,0]".to_owned(),
        ] {
            let issue = read(body.as_bytes(), &limits).expect_err(&body);
            assert_eq!(issue.rule, Rule::Limit, "{body}");
        }
        read(b"[[[1]], \"12345678\", 0, 0, 0, 0]", &limits).expect("within all bounds");
    }
}
