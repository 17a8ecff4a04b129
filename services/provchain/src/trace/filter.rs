//! Which events a walk follows.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::epcis::EventType;
use crate::epcis::time::Timestamp;
use crate::rdf::vocabulary::BIZ_STEP;

/// Names of each kind that a filter lists at most.
const NAMES_MAX: usize = 64;

/// A filter as it is asked for, and as an answer repeats it. What is not said lets everything pass.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Filter {
    /// The earliest event time (RFC 3339), which passes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The latest event time (RFC 3339), which passes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Types of events, as the standard or their author names them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
    /// Business steps, in the words of the events.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub biz_steps: Vec<String>,
}

/// What a filter asks of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Its type.
    pub kind: String,
    /// Its time, in microseconds since 1970-01-01T00:00:00Z.
    pub time: i64,
    /// Its business step, in its words.
    pub biz_step: Option<String>,
}

/// A filter that was read.
#[derive(Clone, Debug)]
pub struct Passes {
    from: i64,
    until: i64,
    types: BTreeSet<String>,
    biz_steps: BTreeSet<String>,
}

impl Default for Passes {
    fn default() -> Self {
        Self {
            from: i64::MIN,
            until: i64::MAX,
            types: BTreeSet::new(),
            biz_steps: BTreeSet::new(),
        }
    }
}

impl Filter {
    /// Whether it lets everything pass.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Reads the filter. A name that no event can have is refused: it is misspelt, and would give
    /// an answer that reassures.
    ///
    /// # Errors
    /// A sentence that begins with the name of the parameter.
    pub fn read(&self) -> Result<Passes, String> {
        let everything = Passes::default();
        let passes = Passes {
            from: time("from", self.from.as_ref())?.unwrap_or(everything.from),
            until: time("until", self.until.as_ref())?.unwrap_or(everything.until),
            types: names("types", &self.types)?,
            biz_steps: names("bizSteps", &self.biz_steps)?,
        };
        if passes.from > passes.until {
            return Err("from: it is later than until, so that no event passes".to_owned());
        }
        if let Some(name) = passes.types.iter().find(|name| !is_type(name)) {
            return Err(format!(
                "types: {name:?} is no type of event; the standard's are ObjectEvent, \
                 AggregationEvent, TransactionEvent, TransformationEvent and AssociationEvent, and \
                 one of your own has a prefix"
            ));
        }
        let mut steps = passes.biz_steps.iter();
        if let Some(step) = steps.find(|step| !step.contains(':') && !BIZ_STEP.contains(step)) {
            return Err(format!(
                "bizSteps: {step:?} is no business step of the Core Business Vocabulary, and no URI"
            ));
        }
        Ok(passes)
    }
}

impl Passes {
    /// Whether everything passes.
    pub(super) fn all(&self) -> bool {
        let bounded = (self.from, self.until) != (i64::MIN, i64::MAX);
        !bounded && self.types.is_empty() && self.biz_steps.is_empty()
    }

    /// Whether an event of this time may pass.
    pub(super) fn time(&self, time: i64) -> bool {
        (self.from..=self.until).contains(&time)
    }

    /// Whether an event passes.
    #[must_use]
    pub fn event(&self, event: &Facts) -> bool {
        let step = event.biz_step.as_ref();
        self.time(event.time)
            && (self.types.is_empty() || self.types.contains(&event.kind))
            && (self.biz_steps.is_empty() || step.is_some_and(|step| self.biz_steps.contains(step)))
    }
}

fn is_type(name: &str) -> bool {
    EventType::parse(name).is_some()
}

fn time(parameter: &str, text: Option<&String>) -> Result<Option<i64>, String> {
    let Some(text) = text else {
        return Ok(None);
    };
    let time = Timestamp::parse(text).ok_or_else(|| {
        format!(
            "{parameter}: {text:?} is no time of RFC 3339, with seconds and an offset (in an \
             address, + is written %2B)"
        )
    })?;
    Ok(Some(time.unix_micros))
}

fn names(parameter: &str, names: &[String]) -> Result<BTreeSet<String>, String> {
    if names.len() > NAMES_MAX {
        let count = names.len();
        return Err(format!(
            "{parameter}: {count} names, and {NAMES_MAX} at most are taken"
        ));
    }
    Ok(names.iter().cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(change: impl FnOnce(&mut Filter)) -> Filter {
        let mut filter = Filter::default();
        change(&mut filter);
        filter
    }

    #[test]
    fn both_ends_pass_and_every_condition_counts() {
        let passes = filter(|filter| {
            filter.from = Some("1970-01-01T00:00:01Z".to_owned());
            filter.until = Some("1970-01-01T01:00:02+01:00".to_owned());
            filter.types = vec!["ObjectEvent".to_owned(), "farm:Milking".to_owned()];
            filter.biz_steps = vec!["shipping".to_owned()];
        });
        let passes = passes.read().unwrap();
        let event = |kind: &str, time, step: Option<&str>| Facts {
            kind: kind.to_owned(),
            time,
            biz_step: step.map(str::to_owned),
        };
        let (first, last) = (1_000_000, 2_000_000);
        assert!(passes.event(&event("ObjectEvent", first, Some("shipping"))));
        assert!(passes.event(&event("farm:Milking", last, Some("shipping"))));
        assert!(!passes.event(&event("ObjectEvent", first - 1, Some("shipping"))));
        assert!(!passes.event(&event("ObjectEvent", last + 1, Some("shipping"))));
        assert!(!passes.event(&event("AggregationEvent", last, Some("shipping"))));
        assert!(!passes.event(&event("ObjectEvent", last, Some("packing"))));
        assert!(!passes.event(&event("ObjectEvent", last, None)));
        assert!(!passes.all());
        assert!(Filter::default().read().unwrap().all());
    }

    #[test]
    fn what_no_event_can_pass_is_refused_with_the_name_of_the_parameter() {
        let many = vec!["ObjectEvent".to_owned(); NAMES_MAX + 1];
        for (refused, part) in [
            (filter(|filter| filter.from = Some("today".into())), "from"),
            (
                filter(|filter| filter.until = Some("2026-01-01".into())),
                "until",
            ),
            (
                filter(|filter| filter.types = vec!["Object".into()]),
                "types",
            ),
            (filter(|filter| filter.types = many), "types"),
            (
                filter(|filter| filter.biz_steps = vec!["shiping".into()]),
                "bizSteps",
            ),
            (
                filter(|filter| {
                    filter.from = Some("2026-01-02T00:00:00Z".into());
                    filter.until = Some("2026-01-01T00:00:00Z".into());
                }),
                "from",
            ),
        ] {
            let reason = refused.read().expect_err("refused");
            assert!(reason.starts_with(part), "{reason}");
        }
    }
}
