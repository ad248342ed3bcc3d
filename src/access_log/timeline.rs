//! Counts requests over time, in memory that does not grow.

use super::timestamp::Timestamp;

/// The number of intervals.
pub const INTERVALS: usize = 48;

const MILLIS: i64 = 1000;

/// Counts per interval. The intervals are as short as they can be for all moments seen to fit in.
#[derive(Debug, Clone)]
pub struct Timeline {
    counts: [u32; INTERVALS],
    /// The number of the first interval, counted from 1970.
    start: i64,
    /// The length of an interval in seconds, a power of two.
    seconds: i64,
    /// Any moment that was counted: it knows the clock.
    clock: Option<Timestamp>,
}

impl Default for Timeline {
    fn default() -> Self {
        Self { counts: [0; INTERVALS], start: 0, seconds: 1, clock: None }
    }
}

impl Timeline {
    /// Counts a request.
    pub fn add(&mut self, time: Timestamp) {
        let second = time.millis().div_euclid(MILLIS);
        if self.clock.is_none() {
            self.clock = Some(time);
            self.start = second;
        }
        loop {
            let interval = second.div_euclid(self.seconds);
            if interval < self.start && self.room_behind() >= self.start - interval {
                let shift = usize::try_from(self.start - interval).unwrap_or(INTERVALS);
                self.counts.rotate_right(shift);
                self.start = interval;
            }
            match usize::try_from(interval - self.start) {
                Ok(at) if at < INTERVALS => {
                    self.counts[at] = self.counts[at].saturating_add(1);
                    return;
                }
                _ => self.coarsen(),
            }
        }
    }

    /// The moment at which the first interval begins, the length of an interval in seconds, and the counts up to the
    /// last that is not 0. `None` where no moment is known.
    pub fn intervals(&self) -> Option<(Timestamp, i64, &[u32])> {
        let begin = self.clock?.at(self.start * self.seconds * MILLIS);
        let end = self.counts.iter().rposition(|&count| count > 0)? + 1;
        Some((begin, self.seconds, &self.counts[..end]))
    }

    /// Empty intervals at the end.
    fn room_behind(&self) -> i64 {
        self.counts.iter().rev().take_while(|&&count| count == 0).count() as i64
    }

    /// Makes the intervals twice as long.
    fn coarsen(&mut self) {
        let mut counts = [0; INTERVALS];
        let start = self.start.div_euclid(2);
        for (at, count) in self.counts.iter().enumerate() {
            let interval = (self.start + at as i64).div_euclid(2) - start;
            // Half as many as there were, and one more where the first is odd.
            let sum = &mut counts[usize::try_from(interval).unwrap_or_default()];
            *sum = u32::saturating_add(*sum, *count);
        }
        (self.counts, self.start, self.seconds) = (counts, start, self.seconds * 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn time(second: i64) -> Timestamp {
        Timestamp::from_unix(second as f64).unwrap()
    }

    proptest! {
        /// Whatever order they come in, every request is in the interval that its moment falls in.
        #[test]
        fn every_request_is_counted_where_it_belongs(seconds in prop::collection::vec(0_i64..4_000_000_000, 1..60)) {
            let mut timeline = Timeline::default();
            seconds.iter().for_each(|&second| timeline.add(time(second)));
            let (begin, length, counts) = timeline.intervals().unwrap();
            prop_assert_eq!(counts.iter().sum::<u32>() as usize, seconds.len());
            prop_assert!(counts[0] > 0 || seconds.iter().all(|s| s * 1000 >= begin.millis() + length * 1000));
            for (at, &count) in counts.iter().enumerate() {
                let from = begin.millis() / 1000 + at as i64 * length;
                let expected = seconds.iter().filter(|&&s| s >= from && s < from + length).count();
                prop_assert_eq!(count as usize, expected);
            }
        }
    }

    #[test]
    fn intervals_are_as_short_as_they_can_be() {
        let mut timeline = Timeline::default();
        (100..148).for_each(|second| timeline.add(time(second)));
        assert_eq!(timeline.intervals().unwrap().1, 1);
        timeline.add(time(148));
        assert_eq!(timeline.intervals().unwrap().1, 2);
        assert!(Timeline::default().intervals().is_none());
    }
}
