//! When queries run, and when not.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::epcis::time::Timestamp;

fn schedule(fields: &Value) -> Result<Schedule, ScheduleError> {
    Schedule::of_json(fields.as_object().expect("an object"))
}

fn seconds(text: &str) -> u64 {
    let time = Timestamp::parse(text).expect("a time").unix_micros;
    u64::try_from(time / 1_000_000).expect("after 1970")
}

#[test]
fn a_query_runs_at_the_next_time_that_matches_all_fields() {
    for (fields, after, next) in [
        // The standard's example: once, every morning.
        (
            json!({"hour": "1", "minute": "5"}),
            "2026-01-05T01:04:59Z",
            "2026-01-05T01:05:00Z",
        ),
        (
            json!({"hour": "1", "minute": "5"}),
            "2026-01-05T01:05:00Z",
            "2026-01-06T01:05:00Z",
        ),
        // GS1's example of an answer.
        (
            json!({"second": "0/30"}),
            "2026-01-05T23:59:30Z",
            "2026-01-06T00:00:00Z",
        ),
        (
            json!({"minute": "0/59"}),
            "2026-01-05T00:00:00Z",
            "2026-01-05T00:59:00Z",
        ),
        (
            json!({"second": "[10-12],50"}),
            "2026-01-05T00:00:12Z",
            "2026-01-05T00:00:50Z",
        ),
        (
            json!({"minute": 5}),
            "2026-01-05T01:05:30Z",
            "2026-01-05T02:05:00Z",
        ),
        (
            json!({"hour": "[22-23]"}),
            "2026-01-05T23:00:00Z",
            "2026-01-06T22:00:00Z",
        ),
        (
            json!({"dayOfMonth": "31"}),
            "2026-04-01T00:00:00Z",
            "2026-05-31T00:00:00Z",
        ),
        (
            json!({"month": "2", "dayOfMonth": "29"}),
            "2097-01-01T00:00:00Z",
            "2104-02-29T00:00:00Z",
        ),
        (
            json!({"month": "3"}),
            "2026-03-01T00:00:00Z",
            "2027-03-01T00:00:00Z",
        ),
        (
            json!({"dayOfWeek": "1", "hour": "8"}),
            "2026-01-05T08:00:00Z",
            "2026-01-12T08:00:00Z",
        ),
        // Both days must match.
        (
            json!({"dayOfWeek": "5", "dayOfMonth": "13"}),
            "2026-01-01T00:00:00Z",
            "2026-02-13T00:00:00Z",
        ),
    ] {
        let found = schedule(&fields).expect("a schedule").next(seconds(after));
        assert_eq!(found, Some(seconds(next)), "{fields} after {after}");
    }
}

#[test]
fn what_is_no_schedule_is_refused() {
    for fields in [
        json!({}),
        json!({"second": "60"}),
        json!({"second": ""}),
        json!({"second": "-1"}),
        json!({"second": "+1"}),
        json!({"minute": "5,"}),
        json!({"hour": "[5-3]"}),
        json!({"hour": "5-7"}),
        json!({"hour": "0/0"}),
        json!({"hour": "24"}),
        json!({"dayOfMonth": "0"}),
        json!({"dayOfWeek": "0"}),
        json!({"dayOfWeek": "8"}),
        json!({"month": "2", "dayOfMonth": "30"}),
        json!({"year": "2026"}),
        json!({"second": ["1"]}),
        json!({"second": "0,".repeat(100)}),
    ] {
        assert!(schedule(&fields).is_err(), "{fields}");
    }
}

fn field(from: u64, to: u64) -> impl Strategy<Value = Option<String>> {
    let element = prop_oneof![
        (from..=to).prop_map(|number| number.to_string()),
        (from..=to, from..=to).prop_map(|(a, b)| format!("[{}-{}]", a.min(b), a.max(b))),
        (from..=to, 1..20_u64).prop_map(|(first, step)| format!("{first}/{step}")),
    ];
    prop::option::weighted(
        0.4,
        prop::collection::vec(element, 1..3).prop_map(|all| all.join(",")),
    )
}

fn schedules() -> impl Strategy<Value = Schedule> {
    let fields = FIELDS.map(|(_, from, to)| field(from, to));
    fields.prop_filter_map("a schedule", |texts| {
        let given = FIELDS.iter().zip(&texts);
        Schedule::parse(given.filter_map(|((name, ..), text)| Some((*name, text.as_deref()?)))).ok()
    })
}

/// Whether a second is one of the schedule's, by its date as text.
fn is_one(schedule: &Schedule, second: u64) -> bool {
    let text = Timestamp {
        unix_micros: (second * 1_000_000).cast_signed(),
    }
    .to_string();
    let number = |at: std::ops::Range<usize>| text[at].parse::<u64>().expect("a number");
    let numbers = [
        number(17..19),
        number(14..16),
        number(11..13),
        number(8..10),
        number(5..7),
    ];
    let days = second / DAY_SECONDS;
    let weekday = [4, 5, 6, 7, 1, 2, 3][(days % 7) as usize];
    numbers
        .into_iter()
        .chain([weekday])
        .enumerate()
        .all(|(at, number)| schedule.matches(at, number))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_next_time_matches_and_none_before_it_does(
        schedule in schedules(),
        after in 0..4_000_000_000_u64,
    ) {
        let next = schedule.next(after).expect("it comes again");
        prop_assert!(next > after);
        prop_assert!(is_one(&schedule, next));
        for second in after + 1..next.min(after + 10_000) {
            prop_assert!(!is_one(&schedule, second), "{second}");
        }
        // From anywhere between, too.
        let between = after + (next - after) / 2;
        prop_assert_eq!(schedule.next(between.min(next - 1)), Some(next));
    }

    #[test]
    fn a_schedule_is_read_back_from_its_json(schedule in schedules()) {
        let json = schedule.to_json();
        prop_assert_eq!(Schedule::of_json(json.as_object().expect("an object")), Ok(schedule));
    }

    #[test]
    fn any_text_is_answered(name in "[a-zA-Z]{0,12}", text in "[-0-9,/\\[\\]a ]{0,20}") {
        drop(Schedule::parse([(name.as_str(), text.as_str())]));
        drop(Schedule::parse([("hour", text.as_str())]));
    }
}
