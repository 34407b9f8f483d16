//! Every limit against the most naive one that can be right, and what it lets through at worst.

use std::time::Duration;

use proptest::prelude::*;

use super::{
    Adapting, Answer, Ask, Bucket, Commit, Counters, Log, Ratio, Rules, WHOLE, Window, decide,
    scaled,
};
use crate::rate::Rate;

const START: i64 = 1_766_000_000_000_000;
const PER: i64 = 1_000_000;
const HOUR: i64 = 3_600_000_000;

/// One call after another; what expires is forgotten.
struct Kept<R: Rules> {
    rules: R,
    state: Option<R::State>,
    expires: i64,
}

impl<R: Rules> Kept<R> {
    fn new(rules: R) -> Self {
        Self {
            rules,
            state: None,
            expires: i64::MAX,
        }
    }

    fn ask(&mut self, now: i64, costs: &[i64], extra: i64) -> (Vec<Answer>, i64) {
        let state = self.state.take().filter(|_| self.expires > now);
        let calls = costs.iter().map(|&cost| Ask { cost, patience: 0 });
        let (decided, commit) = decide(&self.rules, state, now, calls, extra);
        match commit {
            Commit::Keep(state) => self.state = state,
            Commit::Put(state, ttl) => (self.state, self.expires) = (Some(state), now + ttl.max(1)),
        }
        (decided.answers, decided.granted)
    }

    fn take(&mut self, now: i64, cost: i64) -> Answer {
        self.ask(now, &[cost], 0).0[0]
    }
}

/// What was let through, and when.
type Taken = Vec<(i64, i64)>;

/// The most permits that were let through in any time of length `x`, both ends included.
fn most_in(taken: &Taken, x: i64) -> i64 {
    let starts = taken.iter().map(|(start, _)| *start);
    starts
        .map(|start| {
            let within = taken
                .iter()
                .filter(|(at, _)| (start..=start + x).contains(at));
            within.map(|(_, cost)| cost).sum()
        })
        .max()
        .unwrap_or(0)
}

/// Batches of calls on a clock that goes on.
fn batches() -> impl Strategy<Value = Vec<(i64, Vec<i64>, i64)>> {
    let pass = prop_oneof![0i64..PER / 5, Just(0), 0i64..3 * PER];
    let extra = prop_oneof![3 => Just(0i64), 1 => 0i64..4];
    let batch = (pass, prop::collection::vec(0i64..5, 0..6), extra);
    prop::collection::vec(batch, 1..80)
}

fn extreme() -> impl Strategy<Value = u32> {
    prop_oneof![Just(1), Just(u32::MAX), 1u32..20, 1u32..]
}

fn extreme_time() -> impl Strategy<Value = u64> {
    let second = 1_000_000_000;
    prop_oneof![Just(1), Just(second), Just(u64::MAX), 1..3 * second, 1u64..]
}

fn bucket(count: u32, burst: u32) -> Bucket {
    Bucket(Ratio::new(
        Rate::new(count, Duration::from_secs(1)),
        burst,
        1,
    ))
}

fn adapting(count: u32, well: i64, badly: i64) -> Adapting {
    let (ratio, scale) = scaled(Rate::new(count, Duration::from_secs(1)));
    Adapting {
        ratio,
        scale,
        lowest: WHOLE / 10,
        interval: PER,
        threshold: 800_000,
        backoff: 700_000,
        recovery: 1_200_000,
        well,
        badly,
    }
}

/// Drives it, checks what it says of the next call, and returns what it let through.
fn drive<R: Rules>(kept: &mut Kept<R>, batches: &[(i64, Vec<i64>, i64)]) -> Taken {
    let (mut now, mut taken) = (START, Vec::new());
    for (pass, costs, extra) in batches {
        now += pass;
        let (answers, granted) = kept.ask(now, costs, *extra);
        assert_eq!(answers.len(), costs.len(), "nobody waits");
        for (answer, cost) in answers.iter().zip(costs) {
            if answer.is_allowed() {
                taken.push((now, *cost));
            }
        }
        assert!(granted <= *extra);
        taken.push((now, granted));
    }
    taken
}

/// Refusals tell the first moment at which the call is let through, if nobody else comes.
fn check_retry<R: Rules<State: Clone> + Copy>(kept: &Kept<R>, now: i64, cost: i64) {
    let copy = || Kept {
        rules: kept.rules,
        state: kept.state.clone(),
        expires: kept.expires,
    };
    let answer = copy().take(now, cost);
    if answer.retry > 0 {
        assert!(
            copy().take(now + answer.retry, cost).is_allowed(),
            "{answer:?}"
        );
        assert!(
            !copy().take(now + answer.retry - 1, cost).is_allowed(),
            "{answer:?}"
        );
    }
    assert_eq!(answer.is_allowed(), answer.retry == 0);
    let there = copy().take(now, 0);
    assert!(there.remaining == 0 || copy().take(now, there.remaining).is_allowed());
    assert!(!copy().take(now, there.remaining + 1).is_allowed());
}

proptest! {
    #[test]
    fn a_bucket_gives_its_burst_and_its_rate_in_any_time(
        count in 1u32..20, burst in 1u32..20, batches in batches(), x in 0i64..3 * PER,
    ) {
        let mut kept = Kept::new(bucket(count, burst));
        let taken = drive(&mut kept, &batches);
        let most = i64::from(burst) + i64::from(count) * x / PER;
        prop_assert!(most_in(&taken, x) <= most);
        let now = taken.last().map_or(START, |taken| taken.0);
        for cost in 1..=i64::from(burst) {
            check_retry(&kept, now, cost);
        }
    }

    /// Units, one by one: a debt for each permit, and so many flow back in each microsecond.
    #[test]
    fn a_bucket_is_the_naive_one(count in 1u32..20, burst in 1u32..20, batches in batches()) {
        let rules = bucket(count, burst);
        let Ratio { permit, pace, .. } = rules.0;
        let mut kept = Kept::new(rules);
        let (mut now, mut debt) = (START, 0i64);
        for (pass, costs, extra) in &batches {
            now += pass;
            debt = (debt - pass * pace).max(0);
            let (answers, granted) = kept.ask(now, costs, *extra);
            let full = i64::from(burst) * permit;
            for (answer, cost) in answers.iter().zip(costs) {
                let allowed = *cost == 0 || debt + cost * permit <= full;
                prop_assert_eq!(answer.is_allowed(), allowed);
                debt += if allowed { cost * permit } else { 0 };
                prop_assert_eq!(answer.remaining, (full - debt) / permit);
                prop_assert_eq!(answer.reset, (debt + pace - 1) / pace);
            }
            let there = (full - debt) / permit;
            prop_assert_eq!(granted, there.min(*extra));
            debt += granted * permit;
        }
    }

    #[test]
    fn a_fixed_window_is_the_naive_one(count in 1i64..20, batches in batches()) {
        let mut kept = Kept::new(Window { per: PER, count });
        let taken = drive(&mut kept, &batches);
        let mut windows = std::collections::HashMap::new();
        for (at, cost) in &taken {
            *windows.entry(at / PER).or_insert(0) += cost;
        }
        prop_assert!(windows.values().all(|used| *used <= count));
        prop_assert!(most_in(&taken, PER) <= 2 * count);
        let now = taken.last().map_or(START, |taken| taken.0);
        for cost in 1..=count {
            check_retry(&kept, now, cost);
        }
        // Nothing was refused that would have fitted.
        let used = windows.get(&(now / PER)).copied().unwrap_or(0);
        prop_assert_eq!(kept.take(now, 0).remaining, count - used);
    }

    #[test]
    fn a_log_is_exact_in_any_window(count in 1i64..20, batches in batches()) {
        let mut kept = Kept::new(Log { per: PER, count });
        let taken = drive(&mut kept, &batches);
        // A permit taken at `t` is free again at `t + PER`.
        prop_assert!(most_in(&taken, PER - 1) <= count);
        let now = taken.last().map_or(START, |taken| taken.0);
        let used: i64 = taken.iter().filter(|(at, _)| *at > now - PER).map(|(_, cost)| cost).sum();
        prop_assert_eq!(kept.take(now, 0).remaining, count - used);
        for cost in 1..=count {
            check_retry(&kept, now, cost);
        }
        if let Some(state) = &kept.state {
            prop_assert!(i64::try_from(state.len()).unwrap() <= count, "a refused call leaves nothing");
        }
    }

    #[test]
    fn two_counters_are_the_naive_ones(count in 1i64..20, batches in batches()) {
        let mut kept = Kept::new(Counters::new(PER, count));
        let taken = drive(&mut kept, &batches);
        prop_assert!(most_in(&taken, PER) < 2 * count || count == 1 && most_in(&taken, PER - 1) < 2);
        let now = taken.last().map_or(START, |taken| taken.0);
        let in_window = |window: i64| -> i64 {
            taken.iter().filter(|(at, _)| at / PER == window).map(|(_, cost)| cost).sum()
        };
        let (used, last) = (in_window(now / PER), in_window(now / PER - 1));
        let weight = last * (PER - now % PER);
        prop_assert_eq!(kept.take(now, 0).remaining, (count - used - (weight + PER - 1) / PER).max(0));
        for cost in 1..=count {
            check_retry(&kept, now, cost);
        }
    }

    #[test]
    fn an_adaptive_limit_gives_no_more_than_its_rate_allows(
        count in 1u32..20, batches in batches(), well in 0i64..4, badly in 0i64..4, x in 0i64..3 * PER,
    ) {
        let mut kept = Kept::new(adapting(count, well, badly));
        let taken = drive(&mut kept, &batches);
        let most = i64::from(count) + i64::from(count) * x / PER;
        prop_assert!(most_in(&taken, x) <= most);
    }

    /// Whatever the server's clock did, nobody is locked out for longer than a window, and all that is
    /// gained is one burst.
    #[test]
    fn a_step_of_the_clock_costs_a_window_at_most_and_gains_a_burst(
        count in 1i64..12, batches in batches(), step in prop_oneof![Just(-HOUR), Just(HOUR), -2 * HOUR..2 * HOUR, -PER..PER],
        small in 1i64..5,
    ) {
        fn check<R: Rules>(rules: R, batches: &[(i64, Vec<i64>, i64)], step: i64, burst: i64, window: i64, cost: i64) {
            let mut kept = Kept::new(rules);
            let taken = drive(&mut kept, batches);
            let now = taken.last().map_or(START, |taken| taken.0) + step;
            let mut gained = 0;
            while kept.take(now, 1).is_allowed() {
                gained += 1;
            }
            assert!(gained <= burst, "{gained} at once after a step");
            // Refused ones at the new time, too: they must not move the end of it.
            let mut waited = 0;
            while waited < window && !kept.take(now + waited, cost).is_allowed() {
                waited += window / 16;
            }
            assert!(kept.take(now + window, cost).is_allowed() || waited < window);
        }
        let cost = small.min(count);
        let (n, burst) = (u32::try_from(count).unwrap(), count);
        check(bucket(n, n), &batches, step, burst, PER, cost);
        check(Window { per: PER, count }, &batches, step, burst, PER, cost);
        check(Log { per: PER, count }, &batches, step, burst, PER, cost);
        // All that was taken now still counts a little at the end of the next window.
        check(Counters::new(PER, count), &batches, step, burst, 2 * PER, cost);
        check(adapting(n, 1, 0), &batches, step, burst, PER + 10, cost);
    }

    /// What was taken stays taken, for as long as if the clock had stood still.
    #[test]
    fn a_clock_that_is_set_back_gains_nothing(count in 1i64..12, at in 0i64..PER, back in prop_oneof![1i64..2 * PER, 1i64..2 * HOUR]) {
        fn check<R: Rules>(rules: R, now: i64, back: i64, count: i64) {
            let mut kept = Kept::new(rules);
            assert!(kept.take(now, count).is_allowed());
            let refused = kept.take(now - back, 1);
            assert!(!refused.is_allowed(), "{refused:?}");
        }
        let (n, now) = (u32::try_from(count).unwrap(), START + at);
        check(bucket(n, n), now, back, count);
        check(Window { per: PER, count }, now, back, count);
        check(Log { per: PER, count }, now, back, count);
        check(Counters::new(PER, count), now, back, count);
        check(adapting(n, 0, 0), now, back, count);
    }

    /// Clocks that go back and forth: in real time no more than what each stretch between steps allows.
    #[test]
    fn many_steps_gain_a_limit_each_and_no_more(
        count in 1i64..12, steps in prop::collection::vec((0i64..PER / 4, prop_oneof![6 => Just(0i64), 1 => -HOUR..HOUR], 1i64..4), 1..120),
    ) {
        fn run<R: Rules>(rules: R, steps: &[(i64, i64, i64)]) -> (Taken, i64) {
            let (mut kept, mut real, mut offset, mut jumps) = (Kept::new(rules), START, 0, 0);
            let mut taken = Vec::new();
            for (pass, step, cost) in steps {
                real += pass;
                offset += step;
                jumps += i64::from(*step != 0);
                if kept.take(real + offset, *cost).is_allowed() {
                    taken.push((real, *cost));
                }
            }
            (taken, jumps)
        }
        let n = u32::try_from(count).unwrap();
        let (taken, jumps) = run(bucket(n, n), &steps);
        prop_assert!(most_in(&taken, PER) <= 2 * count + jumps * count);
        let (taken, jumps) = run(Log { per: PER, count }, &steps);
        prop_assert!(most_in(&taken, PER - 1) <= count + jumps * count);
        // Aligned windows: each side of a step may have an end of one in it.
        let (taken, jumps) = run(Window { per: PER, count }, &steps);
        prop_assert!(most_in(&taken, PER - 1) <= 2 * count * (jumps + 1));
        let (taken, jumps) = run(Counters::new(PER, count), &steps);
        prop_assert!(most_in(&taken, PER - 1) <= 2 * count * (jumps + 1));
    }

    /// What is given back is never more than what permits still hold: with it, no more is let through in
    /// any time than without.
    #[test]
    fn a_refund_lets_nobody_exceed_the_bucket(
        count in 1u32..12, steps in prop::collection::vec((0i64..PER / 3, 1i64..5, prop::option::of((0usize..6, 1i64..5))), 1..80),
        x in 0i64..2 * PER,
    ) {
        let rules = bucket(count, count);
        let mut kept = Kept::new(rules);
        // Permits in hand: when they were taken, how many, and their mark.
        let (mut now, mut held, mut taken): (_, Vec<(i64, i64, i64)>, Taken) = (START, Vec::new(), Vec::new());
        for (pass, cost, back) in steps {
            now += pass;
            let state = kept.state.take().filter(|_| kept.expires > now);
            let (decided, commit) = decide(&kept.rules, state, now, [Ask { cost, patience: 0 }], 0);
            match commit {
                Commit::Keep(state) => kept.state = state,
                Commit::Put(state, ttl) => (kept.state, kept.expires) = (Some(state), now + ttl.max(1)),
            }
            if decided.answers[0].is_allowed() {
                held.push((now, cost, decided.standing.mark));
            }
            if let Some((which, _)) = back && which < held.len() {
                // Not used after all.
                let (_, cost, mark) = held.remove(which);
                let state = kept.state.filter(|_| kept.expires > now);
                if let Some(refunded) = rules.refund(state.as_ref(), now, mark, cost) {
                    kept.state = Some(refunded.state);
                    kept.expires = now + refunded.ttl.max(1);
                }
            }
        }
        taken.extend(held.iter().map(|(at, cost, _)| (*at, *cost)));
        let most = i64::from(count) + i64::from(count) * x / PER;
        prop_assert!(most_in(&taken, x) <= most);
    }

    /// Nothing is lost by a key's expiry: what is worth nothing is as good as not there.
    #[test]
    fn an_expired_state_is_as_good_as_none(count in 1i64..12, batches in batches()) {
        fn run<R: Rules>(rules: R, batches: &[(i64, Vec<i64>, i64)], expires: bool) -> Vec<Answer> {
            let (mut kept, mut now, mut all) = (Kept::new(rules), START, Vec::new());
            for (pass, costs, extra) in batches {
                now += pass;
                all.extend(kept.ask(now, costs, *extra).0);
                if !expires {
                    kept.expires = i64::MAX;
                }
            }
            all
        }
        let n = u32::try_from(count).unwrap();
        prop_assert_eq!(run(bucket(n, n), &batches, true), run(bucket(n, n), &batches, false));
        let window = Window { per: PER, count };
        prop_assert_eq!(run(window, &batches, true), run(window, &batches, false));
        let log = Log { per: PER, count };
        prop_assert_eq!(run(log, &batches, true), run(log, &batches, false));
        let counters = Counters::new(PER, count);
        prop_assert_eq!(run(counters, &batches, true), run(counters, &batches, false));
    }

    #[test]
    fn numbers_stay_below_what_a_double_counts_exactly(
        count in 1u32.., burst in 1u32.., per in 1u64.., now in START..2 * START, cost in 1i64..=u32::MAX.into(),
    ) {
        let rate = Rate::new(count, Duration::from_nanos(per));
        let per = super::micros(rate.per());
        let count = i64::from(count);
        const MOST: i64 = 1 << 53;
        fn check<R: Rules>(rules: R, now: i64, cost: i64) -> bool {
            let mut kept = Kept::new(rules);
            let answers = [kept.take(now, cost), kept.take(now + 1, cost), kept.take(now, 0)];
            answers.iter().all(|a| [a.retry, a.remaining, a.reset].iter().all(|n| (-1..MOST).contains(n)))
        }
        prop_assert!(check(Bucket(Ratio::new(rate, burst, 1)), now, cost));
        let (window, log) = (Window { per, count }, Log { per, count });
        prop_assert!(check(window, now, cost));
        prop_assert!(check(log, now, cost));
        prop_assert!(check(Counters::new(per, count), now, cost));
    }

    /// From any settings to any others, too: in between, everything is taken.
    #[test]
    fn numbers_stay_below_it_from_one_extreme_to_another(
        rates in prop::collection::vec((extreme(), extreme_time()), 2..5), now in START..2 * START, passed in 0i64..3 * PER,
    ) {
        const MOST: i64 = 1 << 53;
        fn check<R: Rules + Copy>(all: &[R], count: impl Fn(&R) -> i64, now: i64, passed: i64) -> bool {
            let (mut kept, mut now) = (Kept::new(all[0]), now);
            all.iter().chain(all).all(|rules| {
                kept.rules = *rules;
                now += passed;
                let answers = [kept.take(now, 1), kept.take(now, count(rules)), kept.take(now, 0)];
                answers.iter().all(|a| [a.retry, a.remaining, a.reset].iter().all(|n| (-1..MOST).contains(n)))
            })
        }
        let rate = |&(count, per): &(u32, u64)| Rate::new(count, Duration::from_nanos(per));
        let buckets: Vec<_> = rates.iter().map(|of| Bucket(Ratio::new(rate(of), of.0, 1))).collect();
        prop_assert!(check(&buckets, |bucket| bucket.0.burst, now, passed));
        let counters: Vec<_> = rates.iter().map(|of| Counters::new(super::micros(rate(of).per()), of.0.into())).collect();
        prop_assert!(check(&counters, |counters| counters.count, now, passed));
        let adapting: Vec<_> = rates.iter().map(|of| {
            let (ratio, scale) = scaled(rate(of));
            Adapting { ratio, scale, ..adapting(1, 1, 1) }
        }).collect();
        prop_assert!(check(&adapting, |adapting| adapting.ratio.burst, now, passed));
    }
}

#[test]
fn an_adaptive_limit_backs_off_and_comes_back() {
    let mut kept = Kept::new(adapting(10, 0, 0));
    let mut limits = Vec::new();
    for second in 0..12 {
        let bad = i64::from(second < 4);
        kept.rules = adapting(10, 1 - bad, bad);
        kept.take(START + second * PER, 0);
        let view = kept.rules.view(kept.state.as_ref(), START + second * PER);
        limits.push(kept.rules.standing(&view).limit);
    }
    // As the local one: 0.7 of it for each bad second, 1.2 for each good one, from the second after.
    assert_eq!(limits, [10, 7, 5, 3, 2, 3, 3, 4, 5, 6, 7, 9]);
}

#[test]
fn one_who_waits_is_not_overtaken_in_a_batch() {
    let ask = |cost, patience| Ask { cost, patience };
    let rules = bucket(10, 10);
    let taken = decide(&rules, None, START, [ask(9, 0)], 0);
    let Commit::Put(state, _) = taken.1 else {
        panic!("it was taken")
    };
    let calls = [ask(5, 500_000), ask(1, 0)];
    let (decided, commit) = decide(&rules, Some(state), START, calls, 3);
    assert_eq!(
        decided.answers.len(),
        1,
        "what is behind it is left undecided"
    );
    assert_eq!((decided.answers[0].retry, decided.granted), (400_000, 0));
    assert_eq!(commit, Commit::Keep(Some(state)));
    // One that cannot wait so long is refused, and no longer in the way.
    let calls = [ask(5, 399_999), ask(1, 0)];
    let (decided, _) = decide(&rules, Some(state), START, calls, 0);
    assert!(decided.answers[1].is_allowed());
}

/// Calls of instances that go by different settings: which of them, when, and at which cost.
fn mixed() -> impl Strategy<Value = Vec<(usize, i64, i64)>> {
    let pass = prop_oneof![0i64..PER / 20, Just(0), 0i64..3 * PER];
    prop::collection::vec((0usize..3, pass, 1i64..4), 1..200)
}

/// Asks one record by the settings of each, and returns what was let through, by whom.
fn drive_mixed<R: Rules + Copy>(all: &[R], calls: &[(usize, i64, i64)]) -> Vec<(usize, i64, i64)> {
    let (mut kept, mut now, mut taken) = (Kept::new(all[0]), START, Vec::new());
    for &(who, pass, cost) in calls {
        now += pass;
        kept.rules = all[who % all.len()];
        if kept.take(now, cost).is_allowed() {
            taken.push((who, now, cost));
        }
    }
    taken
}

/// While a change is rolled out, instances go by the old and by the new settings at one record.
mod rolling_change {
    use super::*;

    fn by_all(taken: &[(usize, i64, i64)]) -> Taken {
        taken.iter().map(|&(_, at, cost)| (at, cost)).collect()
    }

    /// Whichever settings are left after it, calls are let through again after so long.
    fn nobody_is_stuck<R: Rules + Copy>(all: &[R], calls: &[(usize, i64, i64)], time: i64) {
        let often = PER / 10;
        for left in 0..all.len() {
            let mut calls = calls.to_vec();
            calls.extend((0..time / often).map(|_| (left, often, 1)));
            let taken = drive_mixed(all, &calls);
            let ends: i64 = calls.iter().map(|(_, pass, _)| pass).sum();
            assert!(
                taken
                    .last()
                    .is_some_and(|(_, at, _)| *at > START + ends - time)
            );
        }
    }

    proptest! {
        #[test]
        fn a_bucket_gives_what_the_larger_gives(
            sizes in prop::collection::vec((1u32..20, 1u32..20), 2..4), calls in mixed(), x in 0i64..3 * PER,
        ) {
            let all: Vec<_> = sizes.iter().map(|&(count, burst)| bucket(count, burst)).collect();
            let (count, burst) = sizes.iter().fold((0, 0), |(a, b), &(c, d)| (c.max(a), d.max(b)));
            let most = i64::from(burst) + i64::from(count) * x / PER;
            prop_assert!(most_in(&by_all(&drive_mixed(&all, &calls)), x) <= most);
            nobody_is_stuck(&all, &calls, 60 * PER);
        }

        #[test]
        fn an_adaptive_limit_gives_what_the_larger_gives(
            counts in prop::collection::vec(1u32..20, 2..4), calls in mixed(), x in 0i64..3 * PER,
        ) {
            let all: Vec<_> = counts.iter().map(|&count| adapting(count, 1, 0)).collect();
            let count = counts.iter().copied().max().unwrap();
            let most = i64::from(count) + i64::from(count) * x / PER;
            prop_assert!(most_in(&by_all(&drive_mixed(&all, &calls)), x) <= most);
            nobody_is_stuck(&all, &calls, 60 * PER);
        }

        #[test]
        fn counts_of_windows_give_what_the_larger_gives(
            counts in prop::collection::vec(1i64..20, 2..4), calls in mixed(),
        ) {
            let count = counts.iter().copied().max().unwrap();
            let windows: Vec<_> = counts.iter().map(|&count| Window { per: PER, count }).collect();
            prop_assert!(most_in(&by_all(&drive_mixed(&windows, &calls)), PER) <= 2 * count);
            nobody_is_stuck(&windows, &calls, 5 * PER);
            let logs: Vec<_> = counts.iter().map(|&count| Log { per: PER, count }).collect();
            prop_assert!(most_in(&by_all(&drive_mixed(&logs, &calls)), PER - 1) <= count);
            // Two counters: the larger alone would have let through each of them, too.
            let counters: Vec<_> = counts.iter().map(|&count| Counters::new(PER, count)).collect();
            let mut larger = Kept::new(Counters::new(PER, count));
            for (_, at, cost) in drive_mixed(&counters, &calls) {
                prop_assert!(larger.take(at, cost).is_allowed());
            }
        }

        /// Windows of different lengths: no more than the old and the new ones let through together, twice
        /// each in a window at worst; and both go on.
        #[test]
        fn windows_of_different_lengths_give_what_both_give_and_go_on(
            sizes in prop::collection::vec((1i64..20, 1i64..5), 2..4), calls in mixed(), x in 0i64..5,
        ) {
            let x = x * PER;
            let most: i64 = sizes.iter().map(|&(count, per)| 2 * count * (x / (per * PER) + 2)).sum();
            let windows: Vec<_> = sizes.iter().map(|&(count, per)| Window { per: per * PER, count }).collect();
            prop_assert!(most_in(&by_all(&drive_mixed(&windows, &calls)), x) <= most);
            let logs: Vec<_> = sizes.iter().map(|&(count, per)| Log { per: per * PER, count }).collect();
            prop_assert!(most_in(&by_all(&drive_mixed(&logs, &calls)), x) <= most);
            let counters: Vec<_> = sizes.iter().map(|&(count, per)| Counters::new(per * PER, count)).collect();
            prop_assert!(most_in(&by_all(&drive_mixed(&counters, &calls)), x) <= most);
        }
    }

    /// Many calls of each, more often than windows end.
    #[test]
    fn two_counters_of_different_lengths_go_on() {
        let all = [Counters::new(PER, 10), Counters::new(2 * PER, 30)];
        let calls: Vec<_> = (0..2_000).map(|n| (n, PER / 50, 1)).collect();
        let taken = drive_mixed(&all, &calls);
        let late = taken
            .iter()
            .filter(|(_, at, _)| *at > START + 20 * PER)
            .count();
        assert!(
            (100..=20 * (10 + 15) + 2 * (10 + 30)).contains(&late),
            "{late} in 20 s"
        );
    }
}
