//! Limits whose rules change while they are in use, against the most naive that can be right.

use std::time::Duration;

use proptest::prelude::*;

use super::{
    adaptive::AdaptiveSettings,
    decision::Decision,
    gcra::{Bucket, Gcra},
    limit::{Limit, LimitState},
};
use crate::{
    clock::{Nanos, nanos},
    rate::Rate,
};

const START: Nanos = Nanos((1 << 60) + 12_345_678);
const EPOCH: u128 = 1_700_000_000_300_000_000;

/// Which rules: the algorithm, the rate, and the size of a bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Rules {
    kind: usize,
    count: u32,
    per: Duration,
    burst: u32,
}

const BUCKET: usize = 0;
const FIXED: usize = 1;
const LOG: usize = 2;
const COUNTERS: usize = 3;
const ADAPTIVE: usize = 4;

impl Rules {
    fn limit(self) -> Limit {
        let rate = Rate::new(self.count, self.per);
        match self.kind {
            BUCKET => Limit::bucket(rate, self.burst),
            FIXED => Limit::fixed_window(rate, START, EPOCH),
            LOG => Limit::sliding_log(rate),
            COUNTERS => Limit::sliding_counter(rate),
            _ => Limit::adaptive(AdaptiveSettings {
                rate,
                min_rate: None,
                interval: Duration::from_millis(700),
                threshold: 0.5,
                backoff: 0.5,
                recovery: 2.0,
            }),
        }
        .expect("a limit")
    }

    /// What it lets through at most in so long a time, to a permit.
    fn at_most(self, time: Duration) -> u64 {
        let (per, time) = (self.per.as_nanos(), time.as_nanos());
        let count = u128::from(self.count);
        let whole = match self.kind {
            BUCKET => u128::from(self.burst) + count * time / per,
            ADAPTIVE => count + count * time / per,
            LOG => count * (time / per + 1),
            _ => count * (time / per + 2),
        };
        u64::try_from(whole).expect("a number of permits")
    }
}

fn rules_of(kind: impl Strategy<Value = usize>) -> impl Strategy<Value = Rules> {
    let per = prop_oneof![Just(1_000u64), Just(300), 100u64..5_000, Just(86_400_000)];
    (kind, 1u32..12, per, 1u32..12).prop_map(|(kind, count, per, burst)| Rules {
        kind,
        count,
        per: Duration::from_millis(per),
        burst,
    })
}

#[derive(Clone, Debug)]
enum Step {
    Take(u64, u32),
    Change(u64, Rules),
}

fn steps(kind: usize) -> impl Strategy<Value = Vec<Step>> {
    let by = || prop_oneof![4 => 0u64..400, 1 => Just(0u64), 1 => 0u64..6_000];
    let take = (by(), 0u32..7).prop_map(|(by, cost)| Step::Take(by * 1_000_003, cost));
    let change = (by(), rules_of(Just(kind)));
    let change = change.prop_map(|(by, rules)| Step::Change(by * 1_000_003, rules));
    prop::collection::vec(prop_oneof![5 => take, 1 => change], 1..120)
}

/// A limit under rules that change.
struct Live {
    rules: Rules,
    limit: Limit,
    state: LimitState,
    front: u64,
    now: Nanos,
}

impl Live {
    fn new(rules: Rules) -> Self {
        let limit = rules.limit();
        Self {
            rules,
            limit,
            state: limit.unused(START),
            front: 0,
            now: START,
        }
    }

    fn take(&mut self, by: u64, cost: u32) -> Decision {
        self.now = Nanos(self.now.0 + by);
        self.limit.take(&mut self.state, self.now, cost)
    }

    fn change(&mut self, by: u64, rules: Rules) {
        self.now = Nanos(self.now.0 + by);
        let new = rules.limit().overdrawn();
        new.carry(&self.limit, &mut self.state, self.now, &mut self.front);
        (self.rules, self.limit) = (rules, new);
    }
}

/// Runs the steps through a limit and whatever is to agree with it.
fn beside<M>(
    rules: Rules,
    steps: Vec<Step>,
    model: &mut M,
    take: impl Fn(&mut M, Rules, u64, u32, Decision) -> Result<(), TestCaseError>,
    change: impl Fn(&mut M, Rules, Rules, u64),
) -> Result<(), TestCaseError> {
    let mut live = Live::new(rules);
    for step in steps {
        match step {
            Step::Take(by, cost) => {
                let decision = live.take(by, cost);
                take(model, live.rules, live.now.0, cost, decision)?;
            }
            Step::Change(by, rules) => {
                let old = live.rules;
                live.change(by, rules);
                change(model, old, rules, live.now.0);
            }
        }
    }
    Ok(())
}

/// Permits that are out of a bucket, as a fraction, and when that was so.
#[derive(Default)]
struct Debt(f64, u64);

impl Debt {
    fn pass(&mut self, rules: Rules, now: u64) {
        let passed = now.saturating_sub(self.1.max(START.0)) as f64;
        let flowed = passed * f64::from(rules.count) / rules.per.as_nanos() as f64;
        *self = Self((self.0 - flowed).max(0.0), now);
    }
}

/// All that was taken, and since when it counts where a window was cut short by a change.
#[derive(Default)]
struct Windows {
    taken: Vec<(u64, u32)>,
    since: u64,
    until: u64,
}

/// Where the window of the wall clock begins, and where it ends.
fn window(rules: Rules, now: u64) -> (u64, u64) {
    let per = u128::from(nanos(rules.per));
    let wall = u128::from(now - START.0) + EPOCH;
    let start = i128::try_from(wall / per * per).expect("a time") - EPOCH as i128;
    let start = (i128::from(START.0) + start) as u64;
    (start, start + nanos(rules.per))
}

impl Windows {
    fn since(&self, rules: Rules, now: u64) -> u64 {
        match now < self.until {
            true => self.since,
            false => window(rules, now).0,
        }
    }
}

/// What the present window has taken, and the one before.
#[derive(Default)]
struct Two {
    window: u64,
    used: u32,
    last: u32,
}

impl Two {
    fn roll(&mut self, rules: Rules, now: u64) {
        let window = now / nanos(rules.per);
        while self.window < window {
            (self.last, self.used) = (self.used, 0);
            self.window += 1;
            if self.last == 0 {
                self.window = window;
            }
        }
    }
}

proptest! {
    /// What is out stays out, but no more than fits; and it comes back at the rate in force.
    #[test]
    fn a_bucket_keeps_what_is_out(rules in rules_of(Just(BUCKET)), steps in steps(BUCKET)) {
        const NEARLY: f64 = 1e-6;
        let take = |debt: &mut Debt, rules: Rules, now, cost, decision: Decision| {
            debt.pass(rules, now);
            let over = debt.0 + f64::from(cost) - f64::from(rules.burst);
            if cost > 0 && over.abs() > NEARLY {
                prop_assert_eq!(decision.allowed, over < 0.0);
            }
            if decision.allowed {
                debt.0 += f64::from(cost);
            } else if let Some(wait) = decision.retry_after {
                let per_permit = rules.per.as_secs_f64() / f64::from(rules.count);
                let late = wait.as_secs_f64() - over * per_permit;
                prop_assert!(late.abs() < 1e-6 + NEARLY * per_permit, "{late} s");
            }
            Ok(())
        };
        let change = |debt: &mut Debt, old: Rules, new: Rules, now| {
            debt.pass(old, now);
            debt.0 = debt.0.min(2.0 * f64::from(new.burst));
        };
        beside(rules, steps, &mut Debt::default(), take, change)?;
    }

    /// Exact under any rules: only what had expired under a shorter time is not known to a longer one.
    #[test]
    fn a_log_counts_what_it_still_knows(rules in rules_of(Just(LOG)), steps in steps(LOG)) {
        let take = |log: &mut Vec<(u64, u32)>, rules: Rules, now, cost, decision: Decision| {
            let per = nanos(rules.per);
            log.retain(|&(at, _)| at + per > now);
            let used = |from: u64| -> u32 {
                log.iter().filter(|(at, _)| at + per > from).map(|(_, cost)| cost).sum()
            };
            prop_assert_eq!(decision.allowed, cost == 0 || used(now) + cost <= rules.count);
            // Something is free only when something expires.
            let ready = std::iter::once(now)
                .chain(log.iter().map(|(at, _)| at + per))
                .find(|&then| used(then) + cost <= rules.count);
            if cost > 0 {
                let wait = ready.map(|ready| Duration::from_nanos(ready - now));
                prop_assert_eq!(decision.retry_after, wait);
            }
            if decision.allowed && cost > 0 {
                log.push((now, cost));
            }
            Ok(())
        };
        beside(rules, steps, &mut Vec::new(), take, |_, _, _, _| {})?;
    }

    /// A window that was begun under other rules counts until the one that runs now ends.
    #[test]
    fn a_window_counts_what_the_one_before_the_change_took(
        rules in rules_of(Just(FIXED)), steps in steps(FIXED),
    ) {
        let take = |windows: &mut Windows, rules: Rules, now, cost, decision: Decision| {
            let since = windows.since(rules, now);
            let used: u32 = windows.taken.iter().filter(|(at, _)| *at >= since).map(|(_, cost)| cost).sum();
            prop_assert_eq!(decision.allowed, cost == 0 || used + cost <= rules.count);
            if !decision.allowed && cost <= rules.count {
                let wait = Duration::from_nanos(window(rules, now).1 - now);
                prop_assert_eq!(decision.retry_after, Some(wait));
            }
            if decision.allowed {
                windows.taken.push((now, cost));
            }
            Ok(())
        };
        let change = |windows: &mut Windows, old: Rules, new: Rules, now| {
            if old.per != new.per {
                windows.since = windows.since(old, now);
                windows.until = window(new, now).1;
            }
        };
        beside(rules, steps, &mut Windows::default(), take, change)?;
    }

    #[test]
    fn two_counters_go_on_as_the_present_and_the_last(
        rules in rules_of(Just(COUNTERS)), steps in steps(COUNTERS),
    ) {
        let take = |two: &mut Two, rules: Rules, now, cost, decision: Decision| {
            two.roll(rules, now);
            let per = u128::from(nanos(rules.per));
            let fits = |at: u64| {
                let left = per - u128::from(at % nanos(rules.per));
                let weighed = (u128::from(two.last) * left).div_ceil(per);
                weighed + u128::from(two.used) + u128::from(cost) <= u128::from(rules.count)
            };
            prop_assert_eq!(decision.allowed, cost == 0 || fits(now));
            let end = (two.window + 1) * nanos(rules.per);
            if let Some(wait) = decision.retry_after.filter(|wait| !decision.allowed && now + nanos(*wait) < end) {
                let ready = now + nanos(wait);
                prop_assert!(fits(ready) && !fits(ready - 1), "the very moment");
            }
            if decision.allowed {
                two.used += cost;
            }
            Ok(())
        };
        let change = |two: &mut Two, old: Rules, new: Rules, now| {
            two.roll(old, now);
            two.window = now / nanos(new.per);
        };
        let first = Two { window: START.0 / nanos(rules.per), ..Two::default() };
        beside(rules, steps, &mut { first }, take, change)?;
    }

    /// Whatever changes, algorithms included: between two changes no more gets through than the rules in
    /// force let through. So in any time it is no more than the sum.
    #[test]
    fn each_time_between_changes_keeps_to_its_rules(
        rules in rules_of(0usize..5),
        steps in prop::collection::vec(
            (0u64..500, 0u32..7, prop::option::weighted(0.1, rules_of(0usize..5)), 0u8..6), 1..150,
        ),
    ) {
        let mut live = Live::new(rules);
        let mut taken: Vec<(Nanos, u32)> = Vec::new();
        for (by, cost, change, ended) in steps {
            if let Some(rules) = change {
                live.change(by * 1_000_003, rules);
                taken.clear();
            }
            if live.take(by * 1_000_003, cost).allowed {
                live.limit.report(&mut live.state, live.now, ended > 2);
                taken.push((live.now, cost));
            }
            let mut sum = 0;
            for &(at, cost) in taken.iter().rev() {
                sum += u64::from(cost);
                let time = live.now.since(at);
                prop_assert!(sum <= live.rules.at_most(time), "{sum} in {time:?}");
            }
        }
    }

    /// A permit that has long come back is not given back a second time, however often and to whatever
    /// the rules were changed.
    #[test]
    fn what_has_come_back_is_not_given_back(
        first in rules_of(0usize..5),
        between in prop::collection::vec((rules_of(0usize..5), 0u64..3_000), 0..6),
        last in rules_of(prop_oneof![Just(BUCKET), Just(ADAPTIVE)]),
    ) {
        let mut live = Live::new(first);
        let largest = live.limit.largest();
        let mark = live.take(0, largest).mark;
        // It has come back by then.
        let back = 2 * nanos(first.per) * u64::from(first.burst);
        live.take(back, 0);
        for (rules, millis) in between {
            live.change(millis * 1_000_000, rules);
            live.take(0, 1);
        }
        live.change(0, last);
        live.take(1 << 52, 0);
        let whole = live.limit.largest();
        prop_assert!(live.take(0, whole).allowed);
        live.limit.refund(&mut live.state, live.now, mark, largest);
        prop_assert!(!live.take(0, 1).allowed);
    }

    /// A permit that is out and is given back gives back itself, and never more.
    #[test]
    fn what_is_out_comes_back_once(
        first in rules_of(Just(BUCKET)),
        between in prop::collection::vec(rules_of(Just(BUCKET)), 0..6),
        taken in 1u32..12,
    ) {
        let mut live = Live::new(first);
        let marks: Vec<_> = (0..taken)
            .filter_map(|_| Some(live.take(0, 1)).filter(|decision| decision.allowed))
            .map(|decision| decision.mark)
            .collect();
        for rules in between {
            live.change(0, rules);
        }
        let free = |live: &mut Live| live.take(0, 0).remaining;
        let before = free(&mut live);
        for (given, mark) in marks.iter().enumerate() {
            live.limit.refund(&mut live.state, live.now, *mark, 1);
            prop_assert!(free(&mut live) <= before + given as u32 + 1);
        }
    }
}

#[test]
fn a_permit_that_is_out_comes_back_whole_where_permits_have_as_many_units() {
    let gcra = |count, burst| Gcra::new(Rate::per_second(count), burst).expect("a bucket");
    let (old, new) = (gcra(10, 5), gcra(9, 7));
    let mut bucket = Bucket::UNUSED;
    let taken = bucket.take(&old, START, 5);
    assert!(taken.allowed);
    bucket.carry(&old, &new, START);
    assert_eq!(bucket.take(&new, START, 0).remaining, 2);
    bucket.refund(&new, START, taken.mark, 3);
    assert_eq!(bucket.take(&new, START, 0).remaining, 5);
}

#[test]
fn an_adaptive_limit_keeps_its_share_of_the_rate() {
    let rules = |count| Rules {
        kind: ADAPTIVE,
        count,
        per: Duration::from_secs(1),
        burst: 1,
    };
    let mut live = Live::new(rules(100));
    live.limit.report(&mut live.state, live.now, false);
    live.take(700_000_000, 0);
    assert_eq!(live.limit.size(&live.state, live.now), 50);
    assert!(live.take(0, 20).allowed);
    live.change(0, rules(40));
    assert_eq!(live.limit.size(&live.state, live.now), 20);
    assert!(!live.take(0, 1).allowed, "20 are out");
    live.change(0, rules(1_000));
    assert_eq!(live.take(0, 0).remaining, 480);
}
