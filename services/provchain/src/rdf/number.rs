//! JSON numbers as RDF literals (JSON-LD 1.1 API, section 8.6).

use serde_json::Number;

/// The lexical form of `number`, and whether it is that of an `xsd:double`.
///
/// Integers below 10²¹ are written in full unless `as_double` is set; everything else in the
/// canonical form of `xsd:double`. Capture refuses numbers that 64 bits would round, so the
/// form is exact.
pub fn canonical(number: &Number, as_double: bool) -> (String, bool) {
    let text = if number.is_f64() {
        // The shortest digits that read back as the same value, as `d.ddde±x`.
        format!("{:e}", number.as_f64().unwrap_or_default())
    } else {
        number.to_string()
    };
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.as_str()),
    };
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [whole, fraction].concat();
    let digits = digits.trim_end_matches('0');
    // The power of ten of the first digit.
    let exponent = exponent.parse::<i32>().unwrap_or_default()
        + i32::try_from(whole.len()).unwrap_or_default()
        - 1;
    if digits.is_empty() {
        return (if as_double { "0.0E0" } else { "0" }.to_owned(), as_double);
    }
    let places = i32::try_from(digits.len()).unwrap_or_default() - 1;
    if !as_double && (places..21).contains(&exponent) {
        let zeros = usize::try_from(exponent - places).unwrap_or_default();
        return (format!("{sign}{digits}{}", "0".repeat(zeros)), false);
    }
    let (first, rest) = digits.split_at(1);
    let rest = if rest.is_empty() { "0" } else { rest };
    (format!("{sign}{first}.{rest}E{exponent}"), true)
}

#[cfg(test)]
mod tests {
    use super::canonical;

    fn form(json: &str, as_double: bool) -> String {
        canonical(&json.parse().expect("a JSON number"), as_double).0
    }

    #[test]
    fn whole_numbers_are_written_in_full() {
        for (json, expected) in [
            ("0", "0"),
            ("-0.0", "0"),
            ("10", "10"),
            ("26.0", "26"),
            ("-1200e2", "-120000"),
            ("1e20", "100000000000000000000"),
            ("18446744073709551615", "18446744073709551615"),
        ] {
            assert_eq!(form(json, false), expected, "{json}");
        }
    }

    #[test]
    fn other_numbers_have_the_canonical_form_of_a_double() {
        for (json, expected) in [
            ("200.5", "2.005E2"),
            ("0.1", "1.0E-1"),
            ("-0.00123", "-1.23E-3"),
            ("1e21", "1.0E21"),
        ] {
            assert_eq!(form(json, false), expected, "{json}");
        }
        for (json, expected) in [("0", "0.0E0"), ("26", "2.6E1"), ("160", "1.6E2")] {
            assert_eq!(form(json, true), expected, "{json}");
        }
    }
}
