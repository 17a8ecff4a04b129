//! Answers kept in this process.

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::Answer;
use super::name::Name;

/// What the cache itself needs for an answer, in bytes: measured, rounded up.
const OVERHEAD_BYTES: usize = 512;

/// A typical answer: how many there may be is reckoned with it, not bounded by it.
const TYPICAL_BYTES: usize = 16 << 10;

#[derive(Clone)]
struct Bytes;

impl Weighter<Name, Answer> for Bytes {
    fn weight(&self, _: &Name, answer: &Answer) -> u64 {
        (answer.bytes() + OVERHEAD_BYTES) as u64
    }
}

/// As many answers as there is room for; those that are asked for seldom make room.
pub(super) struct Process {
    answers: Option<Cache<Name, Answer, Bytes>>,
    answer_bytes_max: usize,
}

impl Process {
    /// Room for `bytes_max` bytes; for none, nothing is kept.
    pub fn new(bytes_max: usize, answer_bytes_max: usize) -> Self {
        let answers = (bytes_max > 0)
            .then(|| Cache::with_weighter(bytes_max / TYPICAL_BYTES, bytes_max as u64, Bytes));
        Self {
            answers,
            answer_bytes_max,
        }
    }

    /// Whether nothing is ever kept.
    pub fn is_off(&self) -> bool {
        self.answers.is_none()
    }

    pub fn find(&self, name: &Name) -> Option<Answer> {
        self.answers.as_ref()?.get(name)
    }

    pub fn keep(&self, name: &Name, answer: Answer) {
        if let Some(answers) = &self.answers
            && answer.bytes() <= self.answer_bytes_max
        {
            answers.insert(*name, answer);
            tell(answers.weight());
        }
    }

    pub fn forget(&self, name: &Name) {
        if let Some(answers) = &self.answers {
            answers.remove(name);
            tell(answers.weight());
        }
    }

    pub fn clear(&self) {
        if let Some(answers) = &self.answers {
            answers.clear();
            tell(answers.weight());
        }
    }

    #[cfg(test)]
    fn bytes(&self) -> u64 {
        self.answers.as_ref().map_or(0, Cache::weight)
    }
}

#[expect(clippy::cast_precision_loss, reason = "bytes for a graph")]
fn tell(bytes: u64) {
    metrics::gauge!("provchain_cache_bytes").set(bytes as f64);
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn answer(bytes: usize) -> Answer {
        Answer {
            headers: HeaderMap::new(),
            body: vec![7; bytes].into(),
        }
    }

    fn name(number: u32) -> Name {
        let mut name = [0; 32];
        name[..4].copy_from_slice(&number.to_be_bytes());
        Name(name)
    }

    #[test]
    fn what_is_kept_never_takes_more_than_it_may() {
        const ROOM: usize = 1 << 20;
        let process = Process::new(ROOM, 64 << 10);
        let mut found = 0;
        for number in 0..2_000 {
            process.keep(
                &name(number),
                answer(1 + (number as usize * 37) % (20 << 10)),
            );
            assert!(process.bytes() <= ROOM as u64);
            found += u32::from(process.find(&name(number)).is_some());
        }
        assert!(found > 1_000, "{found} of 2000 were kept at all");
        process.keep(&name(9_999), answer((64 << 10) + 1));
        assert_eq!(process.find(&name(9_999)), None);
        process.clear();
        assert_eq!((process.bytes(), process.find(&name(1_999))), (0, None));
    }

    #[test]
    fn without_room_nothing_is_kept() {
        let process = Process::new(0, 1 << 20);
        process.keep(&name(1), answer(10));
        assert_eq!(process.find(&name(1)), None);
    }
}
