//! The one place that reads the wall clock.
//!
//! Everything that stores or sends a time asks here, so that a reader can find every use of the
//! wall clock, and so that the domain code of a system, which gets its times as arguments, never
//! has a reason to. Durations are measured with [`std::time::Instant`], which does not jump.

use jiff::Timestamp;

/// The wall-clock time now, in UTC with nanoseconds.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is where the clock is read")]
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    #[cfg(feature = "testing")]
    let now = crate::testing::jumped(now);
    now
}

/// Milliseconds since the Unix epoch; 0 before 1970.
#[must_use]
pub fn unix_ms() -> u64 {
    u64::try_from(now().as_millisecond()).unwrap_or(0)
}

/// Milliseconds since the Unix epoch as RFC 3339 text in UTC; those behind the year 9999 as its end.
#[must_use]
pub fn rfc3339(unix_ms: u64) -> String {
    let ms = i64::try_from(unix_ms).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(ms)
        .unwrap_or(Timestamp::MAX)
        .to_string()
}

/// Whole seconds since the Unix epoch, as JWT and X.509 count them; 0 before 1970.
#[must_use]
pub fn unix_seconds() -> u64 {
    u64::try_from(now().as_second()).unwrap_or(0)
}
