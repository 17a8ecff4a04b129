//! The pace of a long run, window by window.

use std::time::Duration;

/// The pace in each full window of `size` things, in things a second. `done` says when how many
/// were done, in the order of time; a batch that ends a window counts for it as a whole.
#[must_use]
pub fn paces(done: &[(Duration, usize)], size: usize) -> Vec<f64> {
    let mut paces = Vec::new();
    let (mut begin, mut count) = (Duration::ZERO, 0_usize);
    for &(at, more) in done {
        count += more;
        if count >= size {
            #[expect(clippy::cast_precision_loss, reason = "a count of thousands")]
            paces.push(count as f64 / (at - begin).as_secs_f64());
            (begin, count) = (at, 0);
        }
    }
    paces
}

/// How the pace changed from the first quarter of the windows to the last, in percent: below 0, it
/// fell. The first window is left out: it warms up. `None` with fewer than five windows.
#[must_use]
pub fn trend_percent(paces: &[f64]) -> Option<f64> {
    let warm = paces.get(1..).filter(|warm| warm.len() >= 4)?;
    let quarter = warm.len() / 4;
    // Equal numbers of things: the harmonic mean is the pace over all of them.
    let pace = |part: &[f64]| {
        #[expect(clippy::cast_precision_loss, reason = "a handful of windows")]
        let count = part.len() as f64;
        count / part.iter().map(|pace| 1.0 / pace).sum::<f64>()
    };
    let (first, last) = (pace(&warm[..quarter]), pace(&warm[warm.len() - quarter..]));
    Some((last / first - 1.0) * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_ends_with_the_batch_that_fills_it() {
        let second = Duration::from_secs;
        let done = [
            (second(1), 100),
            (second(2), 100),
            (second(6), 200),
            (second(7), 50),
        ];
        assert_eq!(paces(&done, 200), [100.0, 50.0]);
        assert_eq!(paces(&done, 1_000), [0.0; 0]);
    }

    #[test]
    fn a_run_at_half_the_pace_in_the_end_has_fallen_by_half() {
        assert_eq!(trend_percent(&[1.0, 100.0, 80.0, 60.0, 50.0]), Some(-50.0));
        assert_eq!(trend_percent(&[1.0, 100.0, 100.0, 100.0, 100.0]), Some(0.0));
        assert_eq!(trend_percent(&[100.0; 4]), None);
    }
}
