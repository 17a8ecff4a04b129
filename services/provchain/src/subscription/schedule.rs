//! When a scheduled query runs (EPCIS 2.0, section 8.2.5.3; GS1's `query-schedule.json`). All times are
//! in UTC.
//!
//! Each of six fields is a list of numbers (`5`), ranges (`[1-5]`) and steps (`0/30`: 0 and every 30
//! from there on), separated by commas; a time must match all fields that are given. Fields that are not
//! given match anything, but those that are finer than the finest given one have their lowest value:
//! `{"hour": "1", "minute": "5"}` is once a day, as in the standard's example, and not sixty times.

use serde_json::{Map, Value};

use crate::epcis::time::date_of;

const DAY_SECONDS: u64 = 86_400;

/// After so many days the calendar repeats, with its days of the week.
const CALENDAR_DAYS: u64 = 146_097;

/// Longest text of a field, in bytes.
const FIELD_BYTES_MAX: usize = 128;

/// Why something is no schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// It has no field at all.
    #[error("a schedule has at least one of second, minute, hour, dayOfMonth, month, dayOfWeek")]
    Empty,
    /// It has a field that there is none of.
    #[error("{0} is no field of a schedule")]
    Unknown(String),
    /// A field is not what it may be.
    #[error(
        "{field}: {text:?} is not a list of numbers from {from} to {to}, ranges [2-4] or steps 0/15"
    )]
    Field {
        /// Its name.
        field: &'static str,
        /// What it is.
        text: String,
        /// The lowest number.
        from: u64,
        /// The highest number.
        to: u64,
    },
    /// No day is such.
    #[error("there is no such day: the query would never run")]
    Never,
}

/// A field: its name, its lowest and its highest number. Finer ones come first.
const FIELDS: [(&str, u64, u64); 6] = [
    ("second", 0, 59),
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("dayOfMonth", 1, 31),
    ("month", 1, 12),
    // Monday is 1.
    ("dayOfWeek", 1, 7),
];

/// When a query runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// As it was given.
    texts: [Option<String>; 6],
    /// For each field, a bit for each number that matches.
    bits: [u64; 6],
}

impl Schedule {
    /// Reads a schedule from its fields.
    ///
    /// # Errors
    /// [`ScheduleError`].
    pub fn parse<'a>(
        given: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, ScheduleError> {
        let mut texts: [Option<String>; 6] = Default::default();
        for (name, text) in given {
            let at = FIELDS.iter().position(|(field, ..)| *field == name);
            let at = at.ok_or_else(|| ScheduleError::Unknown(name.chars().take(64).collect()))?;
            texts[at] = Some(text.to_owned());
        }
        // The day of the week is as fine as the day of the month.
        let fineness = |at: usize| if at == 5 { 3 } else { at };
        let given = texts.iter().enumerate().filter(|(_, text)| text.is_some());
        let finest = given.map(|(at, _)| fineness(at)).min();
        let finest = finest.ok_or(ScheduleError::Empty)?;
        let mut bits = [0; 6];
        for (at, (field, from, to)) in FIELDS.into_iter().enumerate() {
            bits[at] = match &texts[at] {
                Some(text) => numbers(text, from, to).ok_or_else(|| ScheduleError::Field {
                    field,
                    text: text.chars().take(64).collect(),
                    from,
                    to,
                })?,
                None if fineness(at) < finest && at != 5 => 1 << from,
                None => range(from, to),
            };
        }
        let schedule = Self { texts, bits };
        schedule.next(0).ok_or(ScheduleError::Never)?;
        Ok(schedule)
    }

    /// Reads a schedule from its JSON object.
    ///
    /// # Errors
    /// [`ScheduleError`].
    pub fn of_json(fields: &Map<String, Value>) -> Result<Self, ScheduleError> {
        let texts = fields.iter().map(|(name, value)| match value {
            Value::String(text) => (name, text.clone()),
            // Not by the standard, but nothing else can be meant.
            other => (name, other.to_string()),
        });
        let texts: Vec<_> = texts.collect();
        Self::parse(
            texts
                .iter()
                .map(|(name, text)| (name.as_str(), text.as_str())),
        )
    }

    /// The schedule as a JSON object.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let fields = FIELDS.iter().zip(&self.texts);
        let given = fields.filter_map(|((name, ..), text)| {
            Some(((*name).to_owned(), Value::from(text.clone()?)))
        });
        Value::Object(given.collect())
    }

    /// Whether the name is that of a field.
    #[must_use]
    pub fn has_field(name: &str) -> bool {
        FIELDS.iter().any(|(field, ..)| *field == name)
    }

    /// The first time behind `after` at which the query runs, both in seconds since
    /// 1970-01-01T00:00:00Z; nothing if there is none.
    #[must_use]
    pub fn next(&self, after: u64) -> Option<u64> {
        let from = after.checked_add(1)?;
        let today = from / DAY_SECONDS;
        (today..today.saturating_add(CALENDAR_DAYS + 1)).find_map(|day| {
            if !self.has_day(day) {
                return None;
            }
            let begin = if day == today { from % DAY_SECONDS } else { 0 };
            Some(day * DAY_SECONDS + self.time_of_day(begin)?)
        })
    }

    fn matches(&self, at: usize, number: u64) -> bool {
        self.bits[at] >> number & 1 == 1
    }

    fn has_day(&self, day: u64) -> bool {
        let Ok(days) = i64::try_from(day) else {
            return false;
        };
        let (_, month, day_of_month) = date_of(days);
        // 1970 began on a Thursday.
        let day_of_week = (day + 3) % 7 + 1;
        self.matches(3, day_of_month.unsigned_abs())
            && self.matches(4, month.unsigned_abs())
            && self.matches(5, day_of_week)
    }

    /// The first matching second of a day from `begin` on.
    fn time_of_day(&self, begin: u64) -> Option<u64> {
        let (hour, minute, second) = (begin / 3600, begin / 60 % 60, begin % 60);
        (hour..24).filter(|h| self.matches(2, *h)).find_map(|h| {
            let minutes = if h == hour { minute } else { 0 };
            (minutes..60).filter(|m| self.matches(1, *m)).find_map(|m| {
                let same = h == hour && m == minute;
                let mut seconds = if same { second } else { 0 }..60;
                let s = seconds.find(|s| self.matches(0, *s))?;
                Some(h * 3600 + m * 60 + s)
            })
        })
    }
}

/// The bits of the numbers in `from..=to`.
const fn range(from: u64, to: u64) -> u64 {
    (1 << (to + 1)) - (1 << from)
}

/// The bits of a list of numbers, ranges and steps.
fn numbers(text: &str, from: u64, to: u64) -> Option<u64> {
    if text.len() > FIELD_BYTES_MAX {
        return None;
    }
    let number = |text: &str| {
        let plain = !text.is_empty() && text.len() <= 2 && text.bytes().all(|b| b.is_ascii_digit());
        let number = plain.then(|| text.parse::<u64>().ok()).flatten()?;
        (from..=to).contains(&number).then_some(number)
    };
    text.split(',').try_fold(0, |bits, element| {
        let element = element.trim();
        let inner = element
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        let more = if let Some((low, high)) = inner.and_then(|inner| inner.split_once('-')) {
            let (low, high) = (number(low)?, number(high)?);
            (low <= high).then(|| range(low, high))?
        } else if let Some((first, step)) = element.split_once('/') {
            let step = step.parse::<usize>().ok().filter(|step| *step > 0)?;
            let steps = (number(first)?..=to).step_by(step);
            steps.fold(0, |bits, number| bits | 1 << number)
        } else {
            1 << number(element)?
        };
        Some(bits | more)
    })
}

#[cfg(test)]
mod tests;
