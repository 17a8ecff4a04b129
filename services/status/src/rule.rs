//! When an incident begins and when it is over: after so many answers of one kind in a row.

use jiff::Timestamp;

/// What the last answers of a node come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It has answered often enough in a row.
    Up,
    /// It has failed often enough in a row, from this time on.
    Down(Timestamp),
    /// Neither: what was so before stays.
    Undecided,
}

/// The last answers of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Streak {
    /// Whether the last answer was good, and since when all were of that kind; absent before the
    /// first.
    last: Option<(bool, Timestamp)>,
    /// How many there were of that kind in a row.
    count: u32,
}

impl Streak {
    /// Takes an answer.
    pub fn seen(&mut self, up: bool, at: Timestamp) {
        match self.last {
            Some((last, _)) if last == up => self.count = self.count.saturating_add(1),
            _ => {
                self.last = Some((up, at));
                self.count = 1;
            }
        }
    }

    /// What they come to, when `enough` of a kind in a row decide.
    #[must_use]
    pub fn verdict(&self, enough: u32) -> Verdict {
        match self.last {
            Some((true, _)) if self.count >= enough => Verdict::Up,
            Some((false, since)) if self.count >= enough => Verdict::Down(since),
            _ => Verdict::Undecided,
        }
    }

    /// Since when its answers are as they are.
    #[must_use]
    pub fn since(&self) -> Option<Timestamp> {
        self.last.map(|(_, since)| since)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn an_incident_begins_with_the_first_of_enough_failures_in_a_row() {
        let mut streak = Streak::default();
        assert_eq!(streak.verdict(3), Verdict::Undecided);
        for (second, up) in [(1, false), (2, false), (3, true), (4, false), (5, false)] {
            streak.seen(up, at(second));
            assert_eq!(streak.verdict(3), Verdict::Undecided, "at {second}");
        }
        streak.seen(false, at(6));
        assert_eq!(streak.verdict(3), Verdict::Down(at(4)));
        streak.seen(true, at(7));
        assert_eq!(
            streak.verdict(3),
            Verdict::Undecided,
            "one success is not enough"
        );
    }

    proptest! {
        #[test]
        fn a_verdict_says_what_the_last_answers_were(answers in prop::collection::vec(any::<bool>(), 0..40), enough in 1u32..6) {
            let mut streak = Streak::default();
            for (second, up) in answers.iter().enumerate() {
                streak.seen(*up, at(i64::try_from(second).expect("small")));
            }
            let same = answers.iter().rev().take_while(|up| Some(*up) == answers.last()).count();
            let decided = same >= enough as usize;
            let expected = match answers.last() {
                Some(true) if decided => Verdict::Up,
                Some(false) if decided => Verdict::Down(at(i64::try_from(answers.len() - same).expect("small"))),
                _ => Verdict::Undecided,
            };
            prop_assert_eq!(streak.verdict(enough), expected);
        }
    }
}
