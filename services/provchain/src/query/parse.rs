//! From the parameters of a query string to a query.

use std::collections::HashSet;

use super::condition::{Clock, Condition, Edge, NumberTest, Op, Part, Party, Place};
use super::fact::Fields;
use super::field::{FieldTest, Ground, ValueTest, Wanted};
use super::pattern::{self, KeyPattern, PatternError};
use super::sensor::SensorTest;
use super::word::{Word, spelled};
use super::{Cut, EventQuery, Order, OrderBy, Prefixes, QueryError};
use crate::epcis::links::Action;
use crate::epcis::time::Timestamp;
use crate::rdf::vocabulary::{ERROR_REASON, MEASUREMENT_TYPE, Vocabulary};

/// Most parameters of a query.
const PARAMETERS_MAX: usize = 64;
/// Most values of all of its parameters together.
const VALUES_MAX: usize = 1000;
/// Longest name and longest value, in bytes.
const TEXT_BYTES_MAX: usize = 2048;

impl EventQuery {
    /// Reads the parameters of a query string, decoded; those of [`Paging`](super::Paging) are
    /// taken out before.
    ///
    /// ```
    /// use provchain::query::{EventQuery, Prefixes, QueryError};
    ///
    /// let parse = |name, value| EventQuery::parse([(name, value)], &Prefixes::default());
    /// assert!(parse("EQ_bizStep", "shipping|receiving").is_ok());
    /// assert!(matches!(parse("EQ_bizStep", "shiping"), Err(QueryError::Parameter { .. })));
    /// assert!(matches!(parse("HASATTR_x:y", "z"), Err(QueryError::Unsupported { .. })));
    /// ```
    ///
    /// # Errors
    /// The first parameter that is unknown, given twice, not supported, or whose value cannot be;
    /// and too much of anything.
    pub fn parse(
        parameters: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<str>)>,
        prefixes: &Prefixes,
    ) -> Result<Self, QueryError> {
        let mut query = Self::default();
        let (mut names, mut values) = (HashSet::new(), 0);
        let (mut order_by, mut direction) = (None, None);
        for (name, text) in parameters {
            let (name, text) = (name.as_ref(), text.as_ref());
            let parameter = Parameter {
                name,
                text,
                prefixes,
            };
            values += text.split('|').count();
            if name.len() > TEXT_BYTES_MAX
                || names.len() >= PARAMETERS_MAX
                || values > VALUES_MAX
                || text.split('|').any(|value| value.len() > TEXT_BYTES_MAX)
            {
                let reason = format!(
                    "a query has at most {PARAMETERS_MAX} parameters with {VALUES_MAX} values of \
                     {TEXT_BYTES_MAX} bytes each: ask for less at a time"
                );
                return Err(QueryError::Parameter {
                    name: name.chars().take(64).collect(),
                    reason,
                });
            }
            if !names.insert(name.to_owned()) {
                return parameter
                    .refuse("it is given twice; the values of a list are separated by |");
            }
            match name {
                "orderBy" => order_by = Some(parameter.order_by()?),
                "orderDirection" => direction = Some(parameter.descending()?),
                "eventCountLimit" | "maxEventCount" if query.cut != Cut::None => {
                    return parameter
                        .refuse("eventCountLimit and maxEventCount exclude each other");
                }
                "eventCountLimit" => query.cut = Cut::First(parameter.count()?),
                "maxEventCount" => query.cut = Cut::AtMost(parameter.count()?),
                _ => query.conditions.extend(parameter.condition()?),
            }
        }
        if matches!(query.cut, Cut::First(_)) && order_by.is_none() {
            return Err(QueryError::Parameter {
                name: "eventCountLimit".to_owned(),
                reason: "the first of what? It needs orderBy".to_owned(),
            });
        }
        if let Some(by) = order_by {
            query.order = Order {
                by,
                descending: direction.unwrap_or(true),
            };
        }
        Ok(query)
    }
}

/// One parameter.
struct Parameter<'a> {
    name: &'a str,
    text: &'a str,
    prefixes: &'a Prefixes,
}

impl Parameter<'_> {
    fn refuse<T>(&self, reason: impl Into<String>) -> Result<T, QueryError> {
        Err(QueryError::Parameter {
            name: self.name.to_owned(),
            reason: reason.into(),
        })
    }

    fn unsupported<T>(&self, reason: impl Into<String>) -> Result<T, QueryError> {
        Err(QueryError::Unsupported {
            name: self.name.to_owned(),
            reason: reason.into(),
        })
    }

    /// What must hold of an event; nothing for a question that every event answers.
    fn condition(&self) -> Result<Option<Condition>, QueryError> {
        use Condition::{CorrectiveEventId, ErrorReason, EventId, Sensor};

        if let Some(condition) = self.time()? {
            return Ok(Some(condition));
        }
        Ok(Some(match self.name {
            "eventType" => Condition::Word(Word::EventType, self.event_types()?),
            "EQ_action" => Condition::Action(self.each(|text| match text {
                "ADD" => Ok(Action::Add),
                "OBSERVE" => Ok(Action::Observe),
                "DELETE" => Ok(Action::Delete),
                _ => self.refuse(format!("{text:?} is not ADD, OBSERVE or DELETE")),
            })?),
            "EQ_bizStep" => self.words(Word::BizStep)?,
            "EQ_disposition" => self.words(Word::Disposition)?,
            "EQ_persistentDisposition_set" => self.words(Word::Set)?,
            "EQ_persistentDisposition_unset" => self.words(Word::Unset)?,
            "EQ_readPoint" | "WD_readPoint" => Condition::Place(Place::ReadPoint, self.keys()?),
            "EQ_bizLocation" | "WD_bizLocation" => {
                Condition::Place(Place::BizLocation, self.keys()?)
            }
            "EQ_transformationID" => Condition::Place(Place::Transformation, self.keys()?),
            "EQ_eventID" => EventId(self.each(|text| Ok(text.to_owned()))?),
            "MATCH_epc" => self.instances(Fields::EPC)?,
            "MATCH_parentID" => self.instances(Fields::PARENT)?,
            "MATCH_inputEPC" => self.instances(Fields::INPUT_EPC)?,
            "MATCH_outputEPC" => self.instances(Fields::OUTPUT_EPC)?,
            "MATCH_anyEPC" => self.instances(Fields::ANY_EPC)?,
            "MATCH_epcClass" => self.classes(Fields::CLASS)?,
            "MATCH_inputEPCClass" => self.classes(Fields::INPUT_CLASS)?,
            "MATCH_outputEPCClass" => self.classes(Fields::OUTPUT_CLASS)?,
            "MATCH_anyEPCClass" => self.classes(Fields::ANY_CLASS)?,
            "EXISTS_errorDeclaration" => return self.exists(Part::ErrorDeclaration),
            "EXISTS_sensorElementList" => return self.exists(Part::Sensors),
            "EQ_errorReason" => ErrorReason(self.each(|text| self.word(&ERROR_REASON, text))?),
            "EQ_correctiveEventID" => CorrectiveEventId(self.keys()?),
            "EQ_type" => Sensor(SensorTest::Type(
                self.each(|text| self.word(&MEASUREMENT_TYPE, text))?,
            )),
            "EQ_stringValue" => Sensor(SensorTest::Text(
                "stringValue",
                self.each(|text| Ok(text.to_owned()))?,
            )),
            "EQ_hexBinaryValue" => Sensor(SensorTest::Hex(
                self.each(|text| Ok(text.to_ascii_lowercase()))?,
            )),
            "EQ_booleanValue" => Sensor(SensorTest::Flag(match self.text {
                "true" => true,
                "false" => false,
                text => return self.refuse(format!("{text:?} is not true or false")),
            })),
            name => match sensor_key(name) {
                Some(attribute) => Sensor(SensorTest::Key(attribute, self.keys()?)),
                None => return self.flexible(),
            },
        }))
    }

    /// Parameters with part of their meaning in their name.
    fn flexible(&self) -> Result<Option<Condition>, QueryError> {
        for (start, party) in [
            ("EQ_bizTransaction_", Party::Transaction),
            ("EQ_source_", Party::Source),
            ("EQ_destination_", Party::Destination),
        ] {
            if let Some(kind) = self.name.strip_prefix(start) {
                let kind = self.word(party.types(), kind)?;
                return Ok(Some(Condition::Party(party, kind, self.keys()?)));
            }
        }
        if ["HASATTR_", "EQATTR_", "EQ_ATTR_"]
            .iter()
            .any(|start| self.name.starts_with(start))
        {
            return self.unsupported("attributes are master data, which this ledger does not keep");
        }
        let (op, rest) = match self.name.split_once('_') {
            Some(("EQ", rest)) => (Some(Op::Eq), rest),
            Some(("GT", rest)) => (Some(Op::Gt), rest),
            Some(("GE", rest)) => (Some(Op::Ge), rest),
            Some(("LT", rest)) => (Some(Op::Lt), rest),
            Some(("LE", rest)) => (Some(Op::Le), rest),
            Some(("EXISTS", rest)) => (None, rest),
            _ => return self.unknown(),
        };
        if let Some(op) = op {
            if let Some(uom) = measure(rest, "quantity") {
                return Ok(Some(Condition::Quantity(uom, self.numbers(op)?)));
            }
            if let Some((attribute, uom)) = sensor_number(rest) {
                let test = SensorTest::Number(attribute, uom, self.numbers(op)?);
                return Ok(Some(Condition::Sensor(test)));
            }
        }
        self.field(op, rest)
    }

    fn field(&self, op: Option<Op>, rest: &str) -> Result<Option<Condition>, QueryError> {
        let (inner, rest) = match rest.strip_prefix("INNER_") {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let (ground, field) = [
            ("ILMD_", Ground::Ilmd),
            ("ERROR_DECLARATION_", Ground::ErrorDeclaration),
            ("SENSORELEMENT_", Ground::SensorElement),
            ("SENSORMETADATA_", Ground::SensorMetadata),
            ("SENSORREPORT_", Ground::SensorReport),
            ("readPoint_", Ground::ReadPoint),
            ("bizLocation_", Ground::BizLocation),
        ]
        .into_iter()
        .find_map(|(start, ground)| Some((ground, rest.strip_prefix(start)?)))
        .unwrap_or((Ground::Event, rest));
        match field.split_once(':') {
            Some((prefix, name)) if !prefix.is_empty() && !name.is_empty() => {}
            _ => return self.unknown(),
        }
        let wanted = |text: &str| Ok(Wanted::new(text, &self.prefixes.iri(text)));
        let test = match op {
            None if self.flag()? => ValueTest::Exists,
            None => return Ok(None),
            Some(Op::Eq) => ValueTest::Equals(self.each(wanted)?),
            Some(op) => {
                let than = wanted(self.text)?;
                if !than.has_size() {
                    let text = self.text;
                    return self
                        .refuse(format!("{text:?} is no number and no time with an offset"));
                }
                ValueTest::Compares(op, than)
            }
        };
        Ok(Some(Condition::Field(FieldTest {
            ground,
            inner,
            name: self.prefixes.field(field),
            test,
        })))
    }

    fn unknown<T>(&self) -> Result<T, QueryError> {
        self.refuse(
            "this is no parameter of a query for events; an extension field is named with its \
             prefix, as EQ_example:field",
        )
    }

    /// The values of a list.
    fn each<T>(
        &self,
        read: impl FnMut(&str) -> Result<T, QueryError>,
    ) -> Result<Vec<T>, QueryError> {
        if self.text.split('|').any(str::is_empty) {
            return self.refuse("a value is empty");
        }
        self.text.split('|').map(read).collect()
    }

    fn time(&self) -> Result<Option<Condition>, QueryError> {
        let (edge, field) = match self.name.split_once('_') {
            Some(("GE", field)) => (Edge::From, field),
            Some(("LT", field)) => (Edge::Before, field),
            _ => return Ok(None),
        };
        let clock = match field {
            "eventTime" => Clock::Event,
            "recordTime" => Clock::Record,
            // The second is how `query-schema.json` spells it.
            "errorDeclarationTime" | "errorDeclaration_Time" => Clock::Declaration,
            "time" => Clock::Sensor("time"),
            "startTime" => Clock::Sensor("startTime"),
            "endTime" => Clock::Sensor("endTime"),
            _ => return Ok(None),
        };
        match Timestamp::parse(self.text) {
            Some(time) => Ok(Some(Condition::Time(clock, edge, time))),
            None => self.refuse(format!(
                "{:?} is not a date and time with an offset, as 2005-04-03T20:33:31.116-06:00; in \
                 a query string a + is written %2B",
                self.text
            )),
        }
    }

    fn event_types(&self) -> Result<Vec<String>, QueryError> {
        self.each(|text| {
            if Word::EventType.standard().contains(&text) {
                Ok(text.to_owned())
            } else if text.contains(':') {
                Ok(self.prefixes.iri(text).into_owned())
            } else {
                self.refuse(format!("{text:?} is not a type of event"))
            }
        })
    }

    fn words(&self, word: Word) -> Result<Condition, QueryError> {
        let Some(list) = word.vocabulary() else {
            return self.unknown();
        };
        Ok(Condition::Word(
            word,
            self.each(|text| self.word(list, text))?,
        ))
    }

    fn word(&self, list: &Vocabulary, text: &str) -> Result<String, QueryError> {
        let word = spelled(list, text, |text| self.prefixes.iri(text));
        if list.contains(&word) || word.contains(':') {
            return Ok(word);
        }
        self.refuse(format!(
            "{text:?} is no {} of the Core Business Vocabulary, and no URI",
            list.title
        ))
    }

    fn keys(&self) -> Result<Vec<String>, QueryError> {
        self.each(|text| match self.prefixes.key(text) {
            Some(key) => Ok(key),
            None => self.refuse(format!("{text:?} is a malformed GS1 identifier")),
        })
    }

    fn instances(&self, fields: Fields) -> Result<Condition, QueryError> {
        self.patterns(fields, pattern::of_instances)
    }

    fn classes(&self, fields: Fields) -> Result<Condition, QueryError> {
        self.patterns(fields, pattern::of_classes)
    }

    fn patterns(
        &self,
        fields: Fields,
        read: impl Fn(&str) -> Result<Vec<KeyPattern>, PatternError>,
    ) -> Result<Condition, QueryError> {
        let patterns = self.each(|text| match read(&self.prefixes.iri(text)) {
            Ok(patterns) => Ok(patterns),
            Err(PatternError::Malformed(reason)) => self.refuse(reason),
            Err(PatternError::Unsupported(reason)) => self.unsupported(reason),
        })?;
        Ok(Condition::Match(fields, patterns.concat()))
    }

    fn numbers(&self, op: Op) -> Result<NumberTest, QueryError> {
        let than = self.each(|text| match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(number),
            _ => self.refuse(format!("{text:?} is not a number")),
        })?;
        if op != Op::Eq && than.len() > 1 {
            return self.refuse("one number is expected");
        }
        Ok(NumberTest { op, than })
    }

    fn exists(&self, part: Part) -> Result<Option<Condition>, QueryError> {
        Ok(self.flag()?.then_some(Condition::Exists(part)))
    }

    /// Whether an `EXISTS_` parameter asks for something.
    fn flag(&self) -> Result<bool, QueryError> {
        match self.text {
            "" | "true" => Ok(true),
            "false" => Ok(false),
            text => self.refuse(format!("{text:?} is not true, false or nothing")),
        }
    }

    fn order_by(&self) -> Result<OrderBy, QueryError> {
        match self.text {
            "eventTime" => Ok(OrderBy::EventTime),
            "recordTime" => Ok(OrderBy::RecordTime),
            text if text.contains(':') => {
                self.unsupported("no order of extension fields is kept: eventTime or recordTime")
            }
            text => self.refuse(format!("{text:?} is not eventTime or recordTime")),
        }
    }

    fn descending(&self) -> Result<bool, QueryError> {
        match self.text {
            "ASC" => Ok(false),
            "DESC" => Ok(true),
            text => self.refuse(format!("{text:?} is not ASC or DESC")),
        }
    }

    fn count(&self) -> Result<u64, QueryError> {
        match self.text.parse::<u64>() {
            Ok(count) if (1..=u64::from(u32::MAX)).contains(&count) => Ok(count),
            _ => self.refuse(format!("{:?} is not a number from 1 on", self.text)),
        }
    }
}

/// The attribute of sensors with identifiers that a parameter asks for.
fn sensor_key(name: &str) -> Option<&'static str> {
    const ATTRIBUTES: [&str; 6] = [
        "deviceID",
        "dataProcessingMethod",
        "bizRules",
        "microorganism",
        "chemicalSubstance",
        "uriValue",
    ];
    let name = name.strip_prefix("EQ_")?;
    ATTRIBUTES.into_iter().find(|attribute| *attribute == name)
}

/// The attribute of sensors with a number, and the unit, that `rest` of a parameter's name asks for.
fn sensor_number(rest: &str) -> Option<(&'static str, Option<String>)> {
    const ATTRIBUTES: [&str; 6] = [
        "value",
        "minValue",
        "maxValue",
        "meanValue",
        "sDev",
        "percValue",
    ];
    if rest == "percRank" {
        return Some(("percRank", None));
    }
    ATTRIBUTES.into_iter().find_map(|attribute| {
        // A measured value without a unit says nothing that could be compared.
        Some((attribute, Some(measure(rest, attribute)??)))
    })
}

/// The unit in `attribute_unit`, which may be missing.
fn measure(rest: &str, attribute: &str) -> Option<Option<String>> {
    let unit = rest.strip_prefix(attribute)?;
    if unit.is_empty() {
        return Some(None);
    }
    let unit = unit.strip_prefix('_')?;
    let is_code = (2..=4).contains(&unit.len())
        && unit
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    is_code.then(|| Some(unit.to_owned()))
}
