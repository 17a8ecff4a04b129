//! Dates with times and offsets (`xsd:dateTimeStamp`, RFC 3339).

use std::fmt;

/// A point in time, as the standard's `eventTime` gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Microseconds since the beginning of 1970 in UTC; finer fractions are cut off.
    pub unix_micros: i64,
}

impl Timestamp {
    /// Reads `2005-04-03T20:33:31.116-06:00`. The year has four digits, the offset is required.
    pub fn parse(text: &str) -> Option<Self> {
        let (date, time) = text.split_once('T')?;
        let mut date = date.split('-');
        let (year, month, day) = (
            digits(date.next()?, 4)?,
            digits(date.next()?, 2)?,
            digits(date.next()?, 2)?,
        );
        if date.next().is_some() || !(1..=12).contains(&month) {
            return None;
        }
        if day < 1 || day > days_of_month(year, month) {
            return None;
        }
        let offset_start = time.find(['Z', '+', '-'])?;
        let (clock, offset) = time.split_at(offset_start);
        let offset_minutes = match offset {
            "Z" => 0,
            offset => offset_minutes(offset)?,
        };
        let (clock, fraction) = match clock.split_once('.') {
            Some((clock, fraction)) => (clock, Some(fraction)),
            None => (clock, None),
        };
        let mut clock = clock.split(':');
        let (hour, minute, second) = (
            digits(clock.next()?, 2)?,
            digits(clock.next()?, 2)?,
            digits(clock.next()?, 2)?,
        );
        if clock.next().is_some() || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let micros = match fraction {
            None => 0,
            Some(fraction) => {
                if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
                    return None;
                }
                format!("{fraction:0<6}")[..6].parse().ok()?
            }
        };
        let minutes = (days_from_epoch(year, month, day) * 24 + hour) * 60 + minute;
        let seconds = (minutes - offset_minutes) * 60 + second;
        Some(Self {
            unix_micros: seconds * 1_000_000 + micros,
        })
    }
}

impl fmt::Display for Timestamp {
    /// In UTC to the millisecond, as `2005-04-03T20:33:31.116Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.unix_micros.div_euclid(1000);
        let (days, millis) = (millis.div_euclid(86_400_000), millis.rem_euclid(86_400_000));
        let (seconds, millis) = (millis / 1000, millis % 1000);
        let (year, month, day) = date_of(days);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{millis:03}Z",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60
        )
    }
}

/// The minutes of `+02:00` or `-06:00`, up to fourteen hours (`eventTimeZoneOffset`).
pub fn offset_minutes(text: &str) -> Option<i64> {
    let sign = match text.bytes().next()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = text[1..].split_once(':')?;
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    let total = hours * 60 + minutes;
    (minutes < 60 && total <= 14 * 60).then_some(sign * total)
}

fn digits(text: &str, count: usize) -> Option<i64> {
    let is_number = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar.
fn days_from_epoch(year: i64, month: i64, day: i64) -> i64 {
    // Years that begin in March put the leap day at the end.
    let year = if month > 2 { year } else { year - 1 };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year
        - 719_468
}

/// The year, month and day that is `days` after 1970-01-01.
pub(crate) fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::{Timestamp, offset_minutes};

    fn seconds(text: &str) -> Option<i64> {
        Some(Timestamp::parse(text)?.unix_micros / 1_000_000)
    }

    #[test]
    fn times_are_read_with_their_offset() {
        assert_eq!(seconds("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(seconds("2000-03-01T00:00:00Z"), Some(951_868_800));
        assert_eq!(
            seconds("2024-02-29T23:59:59.999+14:00"),
            Some(1_709_200_799)
        );
        assert_eq!(
            seconds("2005-04-03T20:33:31.116000-06:00"),
            Some(1_112_582_011)
        );
        assert_eq!(
            Timestamp::parse("1970-01-01T00:00:00.0000019Z").map(|time| time.unix_micros),
            Some(1)
        );
    }

    #[test]
    fn every_day_prints_as_it_is_read() {
        for days in (-200_000..200_000).step_by(13) {
            let time = Timestamp {
                unix_micros: days * 86_400_000_000 + 45_296_789_000,
            };
            let text = time.to_string();
            assert!(text.ends_with("T12:34:56.789Z"), "{text}");
            assert_eq!(Timestamp::parse(&text), Some(time), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2005-04-03",
            "2005-04-03T20:33:31",
            "2005-04-03 20:33:31Z",
            "2005-4-3T20:33:31Z",
            "2005-13-03T20:33:31Z",
            "2005-02-29T20:33:31Z",
            "2005-04-03T24:00:00Z",
            "2005-04-03T20:33:60Z",
            "2005-04-03T20:33:31.Z",
            "2005-04-03T20:33:31+15:00",
            "2005-04-03T20:33:31+0200",
            "2005-04-03T20:33:31Zulu",
            "2005-04-03t20:33:31z",
            "+2005-04-03T20:33:31Z",
            "2005-04-03T+1:33:31Z",
            "２005-04-03T20:33:31Z",
        ] {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }

    #[test]
    fn offsets_reach_fourteen_hours() {
        assert_eq!(offset_minutes("-06:30"), Some(-390));
        assert_eq!(offset_minutes("+14:00"), Some(840));
        for text in [
            "+14:01", "+02:60", "02:00", "Z", "+2:00", "+02:000", "é02:00",
        ] {
            assert_eq!(offset_minutes(text), None, "{text}");
        }
    }
}
