//! Threads that live as long as the benches, as a server's do; each has a runtime of its own.

use std::{
    future::Future,
    hint::black_box,
    sync::{
        Arc, Barrier,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::runtime::{self, Runtime};

use crate::rounds::CALLS;

/// What a thread is to do, on its runtime, so many times.
pub(crate) type Work = Arc<dyn Fn(&Runtime, u64) + Send + Sync>;

pub(crate) struct Threads {
    jobs: Vec<Sender<Job>>,
    done: Receiver<(Instant, Instant)>,
}

struct Job {
    work: Work,
    times: u64,
    start: Arc<Barrier>,
}

impl Threads {
    pub(crate) fn new(number: usize) -> Self {
        let (finished, done) = channel();
        let jobs = (0..number)
            .map(|_| {
                let (job, jobs) = channel();
                let finished = finished.clone();
                thread::spawn(move || work(&jobs, &finished));
                job
            })
            .collect();
        Self { jobs, done }
    }

    /// Lets `number` of them do it, and takes the time from the first start to the last end.
    pub(crate) fn run(&self, number: usize, work: &Work, times: u64) -> Duration {
        let start = Arc::new(Barrier::new(number));
        for thread in &self.jobs[..number] {
            let (work, start) = (Arc::clone(work), Arc::clone(&start));
            thread.send(Job { work, times, start }).unwrap();
        }
        let spans: Vec<_> = (0..number).map(|_| self.done.recv().unwrap()).collect();
        let first = spans.iter().map(|span| span.0).min();
        let last = spans.iter().map(|span| span.1).max();
        last.unwrap() - first.unwrap()
    }
}

fn work(jobs: &Receiver<Job>, finished: &Sender<(Instant, Instant)>) {
    let runtime = runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    for job in jobs {
        job.start.wait();
        let start = Instant::now();
        (job.work)(&runtime, job.times);
        finished.send((start, Instant::now())).unwrap();
    }
}

/// Calls after each other.
pub(crate) fn calls<T, F: Future<Output = T>>(
    call: impl Fn(u32) -> F + Send + Sync + 'static,
) -> Work {
    Arc::new(move |runtime, times| {
        for _ in 0..times {
            runtime.block_on(async {
                for x in 0..CALLS {
                    black_box(call(x).await);
                }
            });
        }
    })
}

/// The same as two tasks of one runtime.
pub(crate) fn two_tasks<T, F: Future<Output = T> + Send>(
    runtime: &Runtime,
    times: u64,
    call: impl Fn(u32) -> F + Copy + Send + Sync + 'static,
) -> Duration {
    let task = || {
        tokio::spawn(async move {
            for _ in 0..times {
                for x in 0..CALLS {
                    black_box(call(x).await);
                }
            }
        })
    };
    let start = Instant::now();
    runtime.block_on(async {
        for task in [task(), task()] {
            task.await.unwrap();
        }
    });
    start.elapsed()
}
