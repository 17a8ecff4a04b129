//! When a subscription delivers, and what: the standard's subscription controls.

use serde_json::{Map, Value};

use super::schedule::{Schedule, ScheduleError};
use crate::epcis::time::Timestamp;

/// When a subscription delivers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// Events as they are captured.
    Stream,
    /// What was captured since the last time, at these times.
    Schedule(Schedule),
}

/// What a subscriber says beside its query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Controls {
    /// When.
    pub when: When,
    /// Whether a scheduled time without events is told, too.
    pub report_if_empty: bool,
    /// Events that were recorded before are left out; without it, those from before the subscription.
    pub initial_record_time: Option<Timestamp>,
}

/// Why there are no such controls (`SubscriptionControlsException`).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlsError {
    /// Neither of the two.
    #[error("say when events are wanted: stream is true, or there is a schedule")]
    Never,
    /// Both of the two.
    #[error("stream and a schedule exclude each other")]
    Both,
    /// What is no schedule.
    #[error("schedule: {0}")]
    Schedule(#[from] ScheduleError),
    /// Something that only a schedule has.
    #[error("reportIfEmpty is for schedules: a stream without events has nothing to tell")]
    Report,
    /// What is no time.
    #[error(
        "initialRecordTime is a date and time with an offset, as 2005-04-03T20:33:31.116-06:00"
    )]
    Time,
    /// Something that is neither true nor false.
    #[error("{0} is true or false")]
    Flag(&'static str),
}

impl Controls {
    /// Puts controls together.
    ///
    /// # Errors
    /// [`ControlsError`].
    pub fn new(
        stream: bool,
        schedule: Option<Schedule>,
        report_if_empty: bool,
        initial_record_time: Option<&str>,
    ) -> Result<Self, ControlsError> {
        let when = match schedule {
            Some(_) if stream => return Err(ControlsError::Both),
            Some(schedule) => When::Schedule(schedule),
            None if !stream => return Err(ControlsError::Never),
            None if report_if_empty => return Err(ControlsError::Report),
            None => When::Stream,
        };
        let initial_record_time = match initial_record_time {
            Some(text) => Some(Timestamp::parse(text).ok_or(ControlsError::Time)?),
            None => None,
        };
        Ok(Self {
            when,
            report_if_empty,
            initial_record_time,
        })
    }

    /// Takes controls out of the parameters of a query string, where a WebSocket has them.
    ///
    /// # Errors
    /// [`ControlsError`].
    pub fn take(parameters: &mut Vec<(String, String)>) -> Result<Self, ControlsError> {
        let (mut stream, mut report, mut initial) = (false, false, None);
        let mut fields = Vec::new();
        let named = |name: &str| {
            matches!(name, "stream" | "reportIfEmpty" | "initialRecordTime")
                || Schedule::has_field(name)
        };
        let flag = |name, text: &str| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(ControlsError::Flag(name)),
        };
        for (name, text) in parameters.extract_if(.., |(name, _)| named(name)) {
            match name.as_str() {
                "stream" => stream = flag("stream", &text)?,
                "reportIfEmpty" => report = flag("reportIfEmpty", &text)?,
                "initialRecordTime" => initial = Some(text),
                _ => fields.push((name, text)),
            }
        }
        let given = fields
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()));
        let schedule = if fields.is_empty() {
            None
        } else {
            Some(Schedule::parse(given)?)
        };
        Self::new(stream, schedule, report, initial.as_deref())
    }

    /// Reads the schedule of a stored subscription; empty for one that streams.
    ///
    /// # Errors
    /// [`ControlsError`].
    pub fn when(stored: &str) -> Result<When, ControlsError> {
        if stored.is_empty() {
            return Ok(When::Stream);
        }
        let fields: Map<String, Value> = serde_json::from_str(stored).unwrap_or_default();
        Ok(When::Schedule(Schedule::of_json(&fields)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(parameters: &[(&str, &str)]) -> Result<(Controls, usize), ControlsError> {
        let owned = parameters
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        let mut parameters: Vec<_> = owned.collect();
        let controls = Controls::take(&mut parameters)?;
        Ok((controls, parameters.len()))
    }

    #[test]
    fn a_subscription_is_a_stream_or_has_a_schedule() {
        let (streams, left) = take(&[("stream", "true"), ("perPage", "3")]).unwrap();
        assert_eq!((streams.when, left), (When::Stream, 1));
        let (scheduled, _) = take(&[("hour", "1"), ("reportIfEmpty", "true")]).unwrap();
        assert!(matches!(scheduled.when, When::Schedule(_)) && scheduled.report_if_empty);
        for (wrong, error) in [
            (&[][..], ControlsError::Never),
            (&[("stream", "false")], ControlsError::Never),
            (&[("stream", "true"), ("hour", "1")], ControlsError::Both),
            (&[("stream", "yes")], ControlsError::Flag("stream")),
            (
                &[("stream", "true"), ("reportIfEmpty", "true")],
                ControlsError::Report,
            ),
            (
                &[("stream", "true"), ("initialRecordTime", "today")],
                ControlsError::Time,
            ),
        ] {
            assert_eq!(take(wrong), Err(error), "{wrong:?}");
        }
        assert!(matches!(
            take(&[("hour", "25")]),
            Err(ControlsError::Schedule(_))
        ));
    }

    #[test]
    fn a_stored_schedule_is_read_back() {
        assert_eq!(Controls::when(""), Ok(When::Stream));
        let (scheduled, _) = take(&[("hour", "1"), ("minute", "[0-5]")]).unwrap();
        let When::Schedule(schedule) = &scheduled.when else {
            panic!("a schedule");
        };
        assert_eq!(
            Controls::when(&schedule.to_json().to_string()),
            Ok(scheduled.when)
        );
        assert!(Controls::when("{}").is_err());
    }
}
