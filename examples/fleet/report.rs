//! What the fleet did, against what it is bound to.

use crate::{
    fleet::{Course, Happening},
    story::{BURST, Chapter, PROBES, RATE, WORKERS},
};
use std::time::Duration;

/// One line of the conclusion.
pub(crate) struct Finding {
    pub(crate) text: String,
    pub(crate) holds: bool,
}

const SECOND: Duration = Duration::from_secs(1);

/// What one instance cannot see is counted by the partner: its arrivals are the fleet's total.
pub(crate) fn findings(course: &Course) -> Vec<Finding> {
    let at = |chapter| course.begin(chapter);
    let bucket = RATE + BURST;
    let shares = WORKERS as u32 * (RATE / 4 + BURST / 4);
    vec![
        course.busiest(
            "before",
            (at(Chapter::Calm), at(Chapter::PartnerFails)),
            bucket,
        ),
        course.opening(),
        course.probing(),
        course.busiest(
            "while Redis was away (after the switch, which may add a burst)",
            (
                at(Chapter::RedisIsKilled) + SECOND,
                at(Chapter::RedisIsBack),
            ),
            shares,
        ),
        course.busiest(
            "over the kill and the return, at worst",
            (
                at(Chapter::RedisIsKilled),
                at(Chapter::RedisIsBack) + 2 * SECOND,
            ),
            // What Redis had given out, each worker's own bucket, and a bucket of the new server.
            RATE + 2 * BURST + BURST,
        ),
        course.return_of_redis(),
        course.busiest(
            "after",
            (at(Chapter::RedisIsBack) + 2 * SECOND, at(Chapter::End)),
            bucket,
        ),
    ]
}

impl Course {
    fn begin(&self, chapter: Chapter) -> Duration {
        let told = self.chapters.iter().find(|(other, _)| *other == chapter);
        told.map_or(chapter.begins(), |(_, at)| *at)
    }

    fn within(&self, (from, to): (Duration, Duration)) -> &[Duration] {
        let first = self.arrivals.partition_point(|at| *at < from);
        let last = self.arrivals.partition_point(|at| *at < to);
        &self.arrivals[first..last]
    }

    /// The most calls of the fleet in any second.
    fn busiest(&self, when: &str, span: (Duration, Duration), bound: u32) -> Finding {
        let calls = self.within(span);
        let in_second = |(first, at): (usize, &Duration)| {
            calls[first..].partition_point(|other| *other < *at + SECOND)
        };
        let most = calls.iter().enumerate().map(in_second).max().unwrap_or(0);
        let length = span.1.saturating_sub(span.0).as_secs_f64().max(0.001);
        let mean = calls.len() as f64 / length;
        Finding {
            text: format!(
                "{when}: {mean:.0} calls a second, {most} in the busiest (bound {bound})"
            ),
            holds: most as u32 <= bound && !calls.is_empty(),
        }
    }

    /// When each worker saw that for the first time after `from`.
    fn first_sights(&self, what: &str, from: Duration) -> Vec<Duration> {
        let sight = |worker| {
            let seen = |h: &&Happening| h.worker == worker && h.at >= from && h.what == what;
            self.happenings.iter().find(seen).map(|h| h.at)
        };
        (0..WORKERS).filter_map(sight).collect()
    }

    /// The circuit opens for all.
    fn opening(&self) -> Finding {
        let fails = self.begin(Chapter::PartnerFails);
        let mut opened = self.first_sights("open", fails);
        opened.sort();
        let (Some(first), Some(last)) = (opened.first(), opened.last()) else {
            return Finding {
                text: "the circuit did not open".to_owned(),
                holds: false,
            };
        };
        let spread = *last - *first;
        Finding {
            text: format!(
                "the circuit opened at {} of {WORKERS} workers within {} ms of the first (bound 500 ms)",
                opened.len(),
                spread.as_millis()
            ),
            holds: opened.len() == WORKERS && spread <= Duration::from_millis(500),
        }
    }

    /// While it is open, a few probes reach the partner.
    fn probing(&self) -> Finding {
        let mut opened = self.first_sights("open", self.begin(Chapter::PartnerFails));
        opened.sort();
        let all_open = opened.last().copied().unwrap_or_default() + Duration::from_millis(100);
        let probes = self
            .within((all_open, self.begin(Chapter::PartnerIsBack)))
            .len();
        // At most one recovery in each 1.5 s of an outage of 3 s.
        let bound = 2 * PROBES as usize;
        Finding {
            text: format!(
                "while it was open, {probes} probes of the whole fleet reached the partner (bound {bound})"
            ),
            holds: probes <= bound,
        }
    }

    fn return_of_redis(&self) -> Finding {
        let back = self.begin(Chapter::RedisIsBack);
        let joined = self.first_sights("store_up", self.begin(Chapter::RedisIsKilled));
        let last = joined.iter().max().copied().unwrap_or(Duration::MAX);
        let after = last.saturating_sub(back);
        Finding {
            text: format!(
                "{} of {WORKERS} workers were one again {} ms after Redis answered (bound 1 s)",
                joined.len(),
                after.as_millis()
            ),
            holds: joined.len() == WORKERS && after <= SECOND,
        }
    }
}
