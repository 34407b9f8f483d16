//! The parent: starts Redis, the partner and the workers, and does to them what the story says.

use crate::{
    partner::Partner,
    screen::Screen,
    story::{Chapter, WORKERS},
    worker::Assignment,
};
use std::{
    env, io,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver, Sender},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use steadfast_servers::RedisServer;

/// All that happened.
pub(crate) struct Course {
    /// When calls reached the partner, since the start.
    pub(crate) arrivals: Vec<Duration>,
    pub(crate) happenings: Vec<Happening>,
    /// When each chapter was done to the fleet: the kill, the port that answers again.
    pub(crate) chapters: Vec<(Chapter, Duration)>,
}

/// Something that a worker saw.
#[derive(Clone, Debug)]
pub(crate) struct Happening {
    pub(crate) worker: usize,
    pub(crate) at: Duration,
    pub(crate) what: String,
}

/// What became of a worker's calls in half a second: good, failed, limited, refused by the breaker.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Calls(pub(crate) [u32; 4]);

enum Said {
    Calls(Calls),
    Happened(Happening),
}

struct Worker(Child);

/// A worker must not outlive its parent's interest.
impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn run(screen: &mut Screen) -> io::Result<Course> {
    let redis = RedisServer::builder()
        .try_start()
        .map_err(io::Error::other)?;
    let (start, epoch) = (Instant::now(), since_epoch());
    let partner = Partner::start(start)?;
    let assignment = Assignment {
        partner: partner.address(),
        redis: redis.url(),
    };
    let (say, hear) = mpsc::channel();
    let workers = (0..WORKERS).map(|worker| begin(worker, &assignment, epoch, say.clone()));
    let _workers = workers.collect::<io::Result<Vec<_>>>()?;

    let mut course = Course {
        arrivals: Vec::new(),
        happenings: Vec::new(),
        chapters: Vec::new(),
    };
    screen.head()?;
    for pair in Chapter::ALL.windows(2) {
        let (chapter, next) = (pair[0], pair[1]);
        screen.chapter(start.elapsed(), chapter.title())?;
        match chapter {
            Chapter::PartnerFails => partner.set_fails(true),
            Chapter::PartnerIsBack => partner.set_fails(false),
            Chapter::RedisIsKilled => redis.kill(),
            Chapter::RedisIsBack => redis.try_restart().map_err(io::Error::other)?,
            Chapter::Calm | Chapter::End => {}
        }
        course.chapters.push((chapter, start.elapsed()));
        watch(&mut course, screen, &partner, &hear, (start, next.begins()))?;
    }
    course.arrivals = partner.arrivals();
    Ok(course)
}

/// Shows what happens until then, a line every half a second.
fn watch(
    course: &mut Course,
    screen: &mut Screen,
    partner: &Partner,
    hear: &Receiver<Said>,
    (start, until): (Instant, Duration),
) -> io::Result<()> {
    const LINE: Duration = Duration::from_millis(500);
    let mut line = start.elapsed() + LINE;
    let (mut calls, mut news) = (Calls::default(), Vec::new());
    while start.elapsed() < until {
        let wait = line.min(until).saturating_sub(start.elapsed());
        match hear.recv_timeout(wait) {
            Ok(Said::Calls(more)) => calls.add(more),
            Ok(Said::Happened(happening)) => {
                news.push(happening.clone());
                course.happenings.push(happening);
            }
            Err(_) => {
                let now = start.elapsed();
                let since = now.saturating_sub(LINE);
                let came = partner.arrivals().iter().filter(|at| **at >= since).count();
                screen.line(now, came, calls, &news)?;
                (calls, news) = (Calls::default(), Vec::new());
                line += LINE;
            }
        }
    }
    Ok(())
}

impl Calls {
    fn add(&mut self, more: Self) {
        for (sum, more) in self.0.iter_mut().zip(more.0) {
            *sum += more;
        }
    }
}

fn begin(
    worker: usize,
    assignment: &Assignment,
    epoch: Duration,
    say: Sender<Said>,
) -> io::Result<Worker> {
    let mut child = Command::new(env::current_exe()?)
        .envs(assignment.variables())
        .stdout(Stdio::piped())
        .spawn()?;
    let out = child.stdout.take();
    thread::spawn(move || {
        for line in out.into_iter().flat_map(|out| BufReader::new(out).lines()) {
            let Ok(line) = line else { return };
            let Some(said) = understand(worker, &line, epoch) else {
                continue;
            };
            if say.send(said).is_err() {
                return;
            }
        }
    });
    Ok(Worker(child))
}

fn understand(worker: usize, line: &str, epoch: Duration) -> Option<Said> {
    let mut words = line.split_whitespace();
    match words.next()? {
        "calls" => {
            let mut calls = Calls::default();
            for count in &mut calls.0 {
                *count = words.next()?.parse().ok()?;
            }
            Some(Said::Calls(calls))
        }
        "event" => {
            let at = Duration::from_micros(words.next()?.parse().ok()?).saturating_sub(epoch);
            let what = words.next()?.to_owned();
            Some(Said::Happened(Happening { worker, at, what }))
        }
        _ => None,
    }
}

fn since_epoch() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}
