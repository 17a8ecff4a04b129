//! A figure over several rounds.

use serde::Serialize;

/// The median of some values, with the lowest and the highest.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The lowest.
    pub low: f64,
    /// The middle one, or the mean of the two in the middle.
    pub median: f64,
    /// The highest.
    pub high: f64,
}

impl Spread {
    /// The spread of these values; `None` when there are none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (low, high) = (*values.first()?, *values.last()?);
        let (lower, upper) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        Some(Self {
            low,
            median: f64::midpoint(lower, upper),
            high,
        })
    }

    /// The spread of `ours` by `theirs`, round by round: what one round did to both at once
    /// cancels out, which it would not in a ratio of two medians.
    pub fn of_ratios(ours: &[f64], theirs: &[f64]) -> Option<Self> {
        Self::of(ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs))
    }

    /// `1.15 (1.02–1.31)`, with so many decimals.
    #[must_use]
    pub fn text(&self, decimals: usize) -> String {
        let Self { low, median, high } = self;
        format!("{median:.decimals$} ({low:.decimals$}–{high:.decimals$})")
    }

    /// As [`text`](Self::text), and only the value when there is but one.
    #[must_use]
    pub fn brief(&self, decimals: usize) -> String {
        match self {
            Self { low, median, high } if low.total_cmp(high).is_eq() => {
                format!("{median:.decimals$}")
            }
            spread => spread.text(decimals),
        }
    }
}

/// The value that the share `quantile` (0 to 1) of the values does not exceed: the nearest rank,
/// so that it is one of the values. `None` when there are none.
#[must_use]
pub fn quantile(values: &[f64], quantile: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a rank among as many values as fit into memory"
    )]
    let rank = (quantile * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_is_between_the_two_in_the_middle() {
        let spread = Spread::of([4.0, 1.0, 3.0, 2.0]).unwrap();
        assert_eq!(spread.text(1), "2.5 (1.0–4.0)");
        assert_eq!(Spread::of([7.0]).unwrap().text(0), "7 (7–7)");
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn a_round_that_was_slow_for_both_does_not_widen_the_ratio() {
        let spread = Spread::of_ratios(&[20.0, 10.0, 20.0], &[10.0, 5.0, 10.0]).unwrap();
        assert_eq!((spread.low, spread.high), (2.0, 2.0));
    }

    #[test]
    fn a_quantile_is_the_nearest_rank() {
        let values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(quantile(&values, 0.5), Some(50.0));
        assert_eq!(quantile(&values, 0.99), Some(99.0));
        assert_eq!(quantile(&values[..3], 0.99), Some(100.0));
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn one_value_is_told_without_a_range() {
        assert_eq!(Spread::of([2.0]).unwrap().brief(1), "2.0");
        assert_eq!(Spread::of([1.0, 3.0]).unwrap().brief(0), "2 (1–3)");
    }
}
