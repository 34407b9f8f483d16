//! What one policy has published.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
};

use ::metrics::{Counter, Gauge, Histogram, Key, Label, Metadata, Recorder};
use once_cell::race::OnceBox;

use super::{
    series::{Series, SeriesKind},
    spread::Spreads,
};
use crate::{lock::lock, name::PolicyName};

/// A number that a policy has, and the series that it goes to.
#[derive(Debug)]
pub(crate) struct Line {
    series: Series,
    /// Beside the policy's name.
    labels: Vec<(&'static str, &'static str)>,
    /// Of a histogram: the value that came so often.
    value: f64,
    /// Whether there is a series before there is anything in it.
    shown_empty: bool,
}

impl Line {
    pub(crate) fn new(series: Series) -> Self {
        Self {
            series,
            labels: Vec::new(),
            value: 0.0,
            shown_empty: true,
        }
    }

    pub(crate) fn with(mut self, label: &'static str, value: &'static str) -> Self {
        self.labels.push((label, value));
        self
    }

    /// So many times this value of a histogram.
    pub(crate) fn times(series: Series, value: u32) -> Self {
        Self {
            value: f64::from(value),
            ..Self::new(series)
        }
    }

    /// Only once there is something.
    pub(crate) fn once_it_happens(mut self) -> Self {
        self.shown_empty = false;
        self
    }
}

/// What a policy shows: its lines, and the histogram that it tells each value of, if there is one.
#[derive(Debug)]
pub(crate) struct Lines {
    pub(crate) lines: Vec<Line>,
    pub(crate) told: Option<Series>,
}

/// A policy whose numbers are published.
pub(crate) trait Metered: Send + Sync + 'static {
    fn meter(&self) -> &Meter;

    /// Its numbers now, one for each line. Counts are those since it was made, whatever was reset.
    fn read(&self) -> Vec<u64>;
}

/// Where gauges stand: one level for each, over all policies of one registry that have that name. Clones
/// are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Levels(Arc<Mutex<HashMap<Key, Level>>>);

type Level = Arc<AtomicI64>;

impl Levels {
    /// Whether they are those of the registry in force on this thread. In tests each has a clock of its own,
    /// and so have its circuits: on another thread they are in another state.
    #[cfg(feature = "test-util")]
    fn are_of_this_thread(&self) -> bool {
        Arc::ptr_eq(&self.0, &crate::event::Sink::current().levels().0)
    }

    #[cfg(not(feature = "test-util"))]
    #[allow(clippy::unused_self)] // there is but one registry
    fn are_of_this_thread(&self) -> bool {
        true
    }

    fn of(&self, key: &Key) -> Level {
        let mut levels = lock(&self.0);
        Arc::clone(levels.entry(key.clone()).or_default())
    }
}

/// How far a policy's numbers are published, and where to.
///
/// Only what has been added since goes out: so the counts of several policies of one name add up, and it
/// does not matter when a recorder comes, nor who publishes. Gauges add up in their [`Levels`].
#[derive(Debug)]
pub(crate) struct Meter {
    lines: &'static Lines,
    /// The first label of all. What has none is the only one of its kind.
    name: Option<PolicyName>,
    /// Those of its registry.
    levels: Levels,
    books: Mutex<Vec<Book>>,
    /// There as soon as there is a recorder.
    told: OnceLock<Histogram>,
    spreads: OnceBox<Spreads>,
    bond: Bond,
}

/// The recorder that somebody's figures go to: the first that there was. In tests each thread may have its
/// own, and brings there what has happened to the policies of others, too.
#[derive(Debug, Default)]
pub(super) struct Bond(OnceLock<usize>);

impl Bond {
    /// Whether it is this one.
    pub(super) fn is_with(&self, recorder: &dyn Recorder) -> bool {
        let this = std::ptr::from_ref(recorder).cast::<()>().addr();
        *self.0.get_or_init(|| this) == this
    }
}

/// One line's.
#[derive(Debug, Default)]
struct Book {
    handle: Option<Handle>,
    published: u64,
}

#[derive(Debug, Clone)]
enum Handle {
    Counter(Counter),
    Gauge(Gauge, Level),
    Histogram(Histogram),
}

impl Meter {
    pub(crate) fn new(lines: &'static Lines, name: Option<&PolicyName>, levels: &Levels) -> Self {
        let books = lines.lines.iter().map(|_| Book::default()).collect();
        Self {
            lines,
            name: name.cloned(),
            levels: levels.clone(),
            books: Mutex::new(books),
            told: OnceLock::new(),
            spreads: OnceBox::new(),
            bond: Bond::default(),
        }
    }

    /// Puts a value into the histogram of those that are told one by one: a time in nanoseconds, or a number.
    pub(crate) fn tell(&self, value: u64) {
        if self.told.get().is_some() {
            let make = || Box::new(Spreads::new());
            self.spreads.get_or_init(make).add(value);
        }
    }

    /// Takes to the recorder what was told.
    fn publish_told(&self, recorder: Option<&dyn Recorder>) {
        let (Some(series), Some(spreads)) = (self.lines.told, self.spreads.get()) else {
            return;
        };
        spreads.bring(&series, || {
            let now = recorder.map(|recorder| self.histogram(&series, recorder));
            now.or_else(|| self.told.get().cloned())
        });
    }

    /// As the recorder has it now: one that nothing happened to for a while it may have forgotten.
    fn histogram(&self, series: &Series, recorder: &dyn Recorder) -> Histogram {
        recorder.register_histogram(&key(series, self.name.as_ref(), &[]), &METADATA)
    }

    fn books(&self) -> MutexGuard<'_, Vec<Book>> {
        lock(&self.books)
    }
}

/// Publishes what is new; finds the handles where there is a recorder and they are not known yet.
///
/// A recorder is foreign code: nothing of the policy is locked while it runs.
pub(super) fn publish(policy: &dyn Metered, recorder: Option<&dyn Recorder>) {
    let meter = policy.meter();
    let recorder = recorder.filter(|&recorder| meter.bond.is_with(recorder));
    if let Some(recorder) = recorder {
        register(policy, recorder);
    }
    if !meter.books().iter().any(|book| book.handle.is_some()) {
        return;
    }
    let news = {
        let mut books = meter.books();
        // Read under the lock: what was read earlier is published earlier.
        let numbers = policy.read();
        meter.note(&mut books, &numbers, meter.levels.are_of_this_thread())
    };
    meter.bring(news, recorder);
    meter.publish_told(recorder);
}

/// The same for the last time: a policy that is gone is in no state, and holds nothing.
pub(crate) fn close(policy: &dyn Metered) {
    let meter = policy.meter();
    let mut numbers = policy.read();
    for (number, line) in numbers.iter_mut().zip(&meter.lines.lines) {
        if line.series.kind == SeriesKind::Gauge {
            *number = 0;
        }
    }
    let news = meter.note(&mut meter.books(), &numbers, true);
    meter.bring(news, None);
    meter.publish_told(None);
}

type News = (&'static Line, Handle, u64);

impl Meter {
    /// Notes what is published now: also where nothing is new, for a recorder may forget what nobody touches.
    fn note(&self, books: &mut [Book], numbers: &[u64], with_gauges: bool) -> Vec<News> {
        let mut news = Vec::new();
        for ((book, &number), line) in books.iter_mut().zip(numbers).zip(&self.lines.lines) {
            if let Some(handle) = &book.handle {
                if matches!(handle, Handle::Gauge(..)) && !with_gauges {
                    continue;
                }
                let added = number.wrapping_sub(book.published);
                if let Handle::Gauge(_, level) = handle {
                    level.fetch_add(added.cast_signed(), Relaxed);
                }
                news.push((line, handle.clone(), added));
                book.published = number;
            }
        }
        news
    }

    fn bring(&self, news: Vec<News>, recorder: Option<&dyn Recorder>) {
        for (line, handle, added) in news {
            match (handle, recorder) {
                (Handle::Histogram(_), Some(recorder)) if added > 0 => {
                    // As the recorder has it now, too.
                    Handle::of(line, self, recorder).publish(line, added);
                }
                (handle, _) => handle.publish(line, added),
            }
        }
    }
}

fn register(policy: &dyn Metered, recorder: &dyn Recorder) {
    let meter = policy.meter();
    let missing = missing(policy, meter);
    for index in missing {
        let line = &meter.lines.lines[index];
        line.series.describe(recorder);
        let handle = Handle::of(line, meter, recorder);
        // Whoever came first: both are handles of one series.
        meter.books()[index].handle.get_or_insert(handle);
    }
    if let (Some(series), None) = (meter.lines.told, meter.told.get()) {
        series.describe(recorder);
        let _ = meter.told.set(meter.histogram(&series, recorder));
    }
}

/// The lines that are to have a handle, and have none.
fn missing(policy: &dyn Metered, meter: &Meter) -> Vec<usize> {
    let without: Vec<usize> = {
        let books = meter.books();
        let without = books.iter().enumerate();
        let without = without.filter(|(_, book)| book.handle.is_none());
        without.map(|(index, _)| index).collect()
    };
    if without.is_empty() {
        return without;
    }
    let numbers = policy.read();
    let is_due = |&index: &usize| meter.lines.lines[index].shown_empty || numbers[index] > 0;
    without.into_iter().filter(is_due).collect()
}

pub(super) static METADATA: Metadata<'static> =
    Metadata::new("steadfast", ::metrics::Level::INFO, Some("steadfast"));

fn key(series: &Series, name: Option<&PolicyName>, labels: &[(&'static str, &'static str)]) -> Key {
    let name = name.map(|name| Label::new("policy", name.as_str().to_owned()));
    let others = labels
        .iter()
        .map(|&(label, value)| Label::from_static_parts(label, value));
    Key::from_parts(
        series.name,
        name.into_iter().chain(others).collect::<Vec<_>>(),
    )
}

impl Handle {
    fn of(line: &Line, meter: &Meter, recorder: &dyn Recorder) -> Self {
        let key = key(&line.series, meter.name.as_ref(), &line.labels);
        match line.series.kind {
            SeriesKind::Counter => Self::Counter(recorder.register_counter(&key, &METADATA)),
            SeriesKind::Gauge => {
                let level = meter.levels.of(&key);
                Self::Gauge(recorder.register_gauge(&key, &METADATA), level)
            }
            SeriesKind::Histogram => Self::Histogram(recorder.register_histogram(&key, &METADATA)),
        }
    }

    fn publish(self, line: &Line, added: u64) {
        match self {
            Self::Counter(counter) => counter.increment(added),
            // Who comes last has the newest level, or the next round has.
            #[allow(clippy::cast_precision_loss)] // of so many calls at once
            Self::Gauge(gauge, level) => gauge.set(level.load(Relaxed) as f64),
            Self::Histogram(_) if added == 0 => {}
            Self::Histogram(histogram) => {
                histogram.record_many(line.value, usize::try_from(added).unwrap_or(usize::MAX));
            }
        }
    }
}
