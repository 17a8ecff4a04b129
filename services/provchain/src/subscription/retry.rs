//! How long to wait before a delivery that failed is tried again.

/// The first pause, and the longest, in milliseconds.
const FIRST_MS: u64 = 1_000;
const LONGEST_MS: u64 = 10 * 60 * 1_000;

/// The pause after so many failures in a row. It doubles each time up to a limit; which part of its
/// second half is waited is `random`'s choice, so that those who failed together do not all come back
/// together.
#[must_use]
pub fn pause_ms(failures: u32, random: u64) -> u64 {
    let doubled = FIRST_MS.saturating_mul(1_u64 << failures.saturating_sub(1).min(20));
    let longest = doubled.min(LONGEST_MS);
    longest / 2 + random % (longest / 2 + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pauses_double_up_to_ten_minutes() {
        let longest = |failures| pause_ms(failures, pause_ms(failures, 0));
        assert_eq!([1, 2, 3, 4].map(longest), [1_000, 2_000, 4_000, 8_000]);
        assert_eq!([11, 100, u32::MAX].map(longest), [LONGEST_MS; 3]);
    }

    proptest! {
        #[test]
        fn a_pause_is_at_least_half_of_what_it_may_be(failures in 1..u32::MAX, random: u64) {
            let pause = pause_ms(failures, random);
            let half = pause_ms(failures, 0);
            prop_assert!(half <= pause && pause <= 2 * half, "{pause} {half}");
        }
    }
}
