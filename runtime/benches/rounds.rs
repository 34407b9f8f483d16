//! Cases measured in turns, again and again, so that what disturbs the machine disturbs all of them.

use std::{
    collections::HashMap,
    future::Future,
    hint::black_box,
    time::{Duration, Instant},
};

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use tokio::runtime::Runtime;

/// Calls in one `block_on`.
pub(crate) const CALLS: u32 = 10_000;

/// A case: its group and its name there.
pub(crate) type Id = (&'static str, &'static str);

/// Runs a number of times, and says how long that took.
type Measure<'c> = Box<dyn FnMut(u64) -> Duration + 'c>;

struct Case<'c> {
    id: Id,
    /// Each time.
    calls: u64,
    measure: Measure<'c>,
}

#[derive(Default)]
pub(crate) struct Cases<'c>(Vec<Case<'c>>);

/// What a call of each case takes in each round, in nanoseconds.
#[derive(Default)]
pub(crate) struct Times(HashMap<Id, Vec<f64>>);

impl<'c> Cases<'c> {
    /// `call`, many times after each other on this thread.
    pub(crate) fn add<T, F: Future<Output = T>>(
        &mut self,
        id: Id,
        runtime: &'c Runtime,
        call: impl Fn(u32) -> F + 'c,
    ) {
        self.add_measure(id, CALLS.into(), move |times| {
            time(runtime, times, async || {
                for x in 0..CALLS {
                    black_box(call(x).await);
                }
            })
        });
    }

    pub(crate) fn add_measure(
        &mut self,
        id: Id,
        calls: u64,
        measure: impl FnMut(u64) -> Duration + 'c,
    ) {
        self.0.push(Case {
            id,
            calls,
            measure: Box::new(measure),
        });
    }

    pub(crate) fn run(mut self, rounds: usize) -> Times {
        let mut criterion = Criterion::default()
            .without_plots()
            .nresamples(1_001)
            .warm_up_time(Duration::from_millis(20))
            .measurement_time(Duration::from_millis(60))
            .sample_size(40);
        let mut times = Times::default();
        for round in 1..=rounds {
            for case in &mut self.0 {
                let time = case.measure(&mut criterion, round);
                times.add(case.id, time);
            }
            // Nobody always comes first.
            self.0.reverse();
        }
        criterion.final_summary();
        times
    }
}

/// How long it takes to run that so many times on this thread.
pub(crate) fn time(runtime: &Runtime, times: u64, mut calls: impl AsyncFnMut()) -> Duration {
    let start = Instant::now();
    for _ in 0..times {
        runtime.block_on(calls());
    }
    start.elapsed()
}

impl Case<'_> {
    fn measure(&mut self, criterion: &mut Criterion, round: usize) -> f64 {
        let (group, name) = self.id;
        let mut samples = Vec::new();
        let mut group = criterion.benchmark_group(group);
        group.throughput(Throughput::Elements(self.calls));
        group.sampling_mode(SamplingMode::Flat);
        group.bench_function(BenchmarkId::new(name, round), |bencher| {
            bencher.iter_custom(|times| {
                let took = (self.measure)(times);
                samples.push(took.as_nanos() as f64 / (times * self.calls) as f64);
                took
            });
        });
        group.finish();
        undisturbed(samples)
    }
}

impl Times {
    pub(crate) fn add(&mut self, id: Id, time: f64) {
        self.0.entry(id).or_default().push(time);
    }

    pub(crate) fn of(&self, id: Id) -> &[f64] {
        match self.0.get(&id) {
            Some(times) => times,
            None => panic!("{} of {} was not measured", id.1, id.0),
        }
    }
}

/// The lower quartile: what else runs on the machine makes some samples longer, and none shorter.
fn undisturbed(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 4).copied().unwrap_or(f64::NAN)
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() % 2 {
        _ if sorted.is_empty() => f64::NAN,
        0 => (sorted[middle - 1] + sorted[middle]) / 2.0,
        _ => sorted[middle],
    }
}
