//! One connection: what is to be written, and who waits for what comes back, in order.

use std::{
    collections::VecDeque,
    future::poll_fn,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use crate::store::StoreError;

use super::{
    errand::Errand,
    resp::{self, Parsed, Resp},
    script::{Known, ScriptId},
    stream::{Stream, unreachable},
};

pub(super) struct Wire {
    stream: Stream,
    out: Vec<u8>,
    written: usize,
    input: Vec<u8>,
    start: usize,
    end: usize,
    /// What the next answer takes at least: there is no use in looking at less.
    least: usize,
    owed: VecDeque<Owed>,
    /// Scripts that were sent as text.
    loaded: Vec<bool>,
    born: Instant,
    /// When the server was last heard of.
    heard: Instant,
    /// Since when it owes an answer and says nothing.
    quiet_from: Instant,
    /// Answers that were not there in time, since it was heard of.
    late: u32,
    /// How long its first answer took.
    pub(super) round_trip: Duration,
}

/// Whose answer comes next.
#[derive(Debug)]
pub(super) enum Owed {
    Errand(Way, Errand),
    /// Nobody's any more.
    Late,
    /// A sign of life.
    Beat,
    /// A cluster's table.
    Table,
    /// One of several that belong together.
    Part,
}

/// How an errand was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Way {
    /// Its script as text, not as digest.
    pub(super) by_text: bool,
    /// With `ASKING` before it.
    pub(super) asking: bool,
}

const CHUNK: usize = 16 << 10;
/// Buffers that were needed once for something large are not kept.
const KEPT: usize = 256 << 10;
/// What may wait to be written.
const MOST_UNWRITTEN: usize = 32 << 20;
/// Late answers in a row, before a silent connection is given up.
const MOST_LATE: u32 = 3;
/// A connection on which nothing happens is asked for a sign of life this often.
const BEAT: Duration = Duration::from_secs(1);

impl Wire {
    pub(super) fn new(stream: Stream, now: Instant) -> Self {
        Self {
            stream,
            out: Vec::new(),
            written: 0,
            input: vec![0; CHUNK],
            start: 0,
            end: 0,
            least: 0,
            owed: VecDeque::new(),
            loaded: Vec::new(),
            born: now,
            heard: now,
            quiet_from: now,
            late: 0,
            round_trip: Duration::ZERO,
        }
    }

    /// Sends a command of its own, and waits for its answer: while a connection is being made.
    pub(super) async fn ask(&mut self, parts: &[&[u8]]) -> Result<Resp, StoreError> {
        self.say(parts);
        self.answer().await
    }

    /// Sends a command whose answer is waited for later.
    pub(super) fn say(&mut self, parts: &[&[u8]]) {
        resp::command(&mut self.out, parts);
        self.owed.push_back(Owed::Part);
    }

    pub(super) async fn answer(&mut self) -> Result<Resp, StoreError> {
        poll_fn(|cx| {
            // Not written wholly is no reason not to read.
            if let Poll::Ready(Err(error)) = self.poll_write(cx) {
                return Poll::Ready(Err(error));
            }
            let (_, resp) = ready!(self.poll_reply(cx, Instant::now()))?;
            Poll::Ready(Ok(resp))
        })
        .await
    }

    pub(super) fn has_loaded(&mut self, script: usize) {
        if self.loaded.len() <= script {
            self.loaded.resize(script + 1, false);
        }
        self.loaded[script] = true;
    }

    /// Whether so much waits to be written that more has no chance.
    pub(super) fn is_clogged(&self) -> bool {
        self.out.len() - self.written > MOST_UNWRITTEN
    }

    /// Puts an errand on its way.
    pub(super) fn send(
        &mut self,
        errand: Errand,
        known: Option<(ScriptId, &Known)>,
        mut way: Way,
        prefix: &[u8],
        now: Instant,
    ) {
        if way.asking {
            resp::command(&mut self.out, &[b"ASKING"]);
            self.owe(Owed::Part, now);
        }
        if let Some((id, _)) = known
            && !self.loaded.get(id.0).is_some_and(|loaded| *loaded)
        {
            // What is sent after it comes after it, and finds the script there.
            way.by_text = true;
            self.has_loaded(id.0);
        }
        errand.write(
            known.map(|(_, known)| known),
            way.by_text,
            prefix,
            &mut self.out,
        );
        self.owe(Owed::Errand(way, errand), now);
    }

    pub(super) fn ask_for_table(&mut self, now: Instant) {
        resp::command(&mut self.out, &[b"CLUSTER", b"SLOTS"]);
        self.owe(Owed::Table, now);
    }

    /// Asks for a sign of life where there was none for long.
    pub(super) fn beat(&mut self, now: Instant) {
        if self.owed.is_empty() && now.duration_since(self.heard) >= BEAT {
            resp::command(&mut self.out, &[b"PING"]);
            self.owe(Owed::Beat, now);
        }
    }

    fn owe(&mut self, owed: Owed, now: Instant) {
        if self.owed.is_empty() {
            self.quiet_from = now;
        }
        self.owed.push_back(owed);
    }

    /// Writes what there is to write.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StoreError>> {
        if self.out.is_empty() {
            return Poll::Ready(Ok(()));
        }
        while self.written < self.out.len() {
            let written = ready!(self.stream.poll_write(cx, &self.out[self.written..]))
                .map_err(|error| unreachable(&error))?;
            if written == 0 {
                return Poll::Ready(Err(closed()));
            }
            self.written += written;
        }
        ready!(self.stream.poll_flush(cx)).map_err(|error| unreachable(&error))?;
        self.out.clear();
        self.out.shrink_to(KEPT);
        self.written = 0;
        Poll::Ready(Ok(()))
    }

    /// The next answer, and whose it is.
    pub(super) fn poll_reply(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
    ) -> Poll<Result<(Owed, Resp), StoreError>> {
        loop {
            if let Some(resp) = self.parse()? {
                // A server that speaks unasked (its clients are too many) has something to say at once.
                let owed = match (self.owed.pop_front(), &resp) {
                    (Some(owed), _) => owed,
                    (None, Resp::Error(_)) => Owed::Part,
                    (None, _) => return Poll::Ready(Err(malformed())),
                };
                return Poll::Ready(Ok((owed, resp)));
            }
            self.make_room();
            let room = &mut self.input[self.end..];
            match ready!(self.stream.poll_read(cx, room)) {
                Ok(0) => return Poll::Ready(Err(closed())),
                Ok(read) => self.end += read,
                Err(error) => return Poll::Ready(Err(unreachable(&error))),
            }
            (self.heard, self.quiet_from, self.late) = (now, now, 0);
        }
    }

    fn parse(&mut self) -> Result<Option<Resp>, StoreError> {
        let there = &self.input[self.start..self.end];
        if there.len() < self.least.max(1) {
            return Ok(None);
        }
        match resp::parse(there).map_err(|_| malformed())? {
            Parsed::Whole(resp, used) => {
                self.start += used;
                self.least = 0;
                Ok(Some(resp))
            }
            Parsed::Part(least) => {
                self.least = least;
                Ok(None)
            }
        }
    }

    fn make_room(&mut self) {
        if self.start > 0 {
            self.input.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == self.input.len() {
            self.input.resize(self.input.len() * 2, 0);
        } else if self.end == 0 && self.input.len() > KEPT {
            self.input.truncate(CHUNK);
            self.input.shrink_to_fit();
        }
    }

    /// Takes out the errands whose time is over, and says when that of the next one is.
    pub(super) fn sweep(&mut self, now: Instant, late: &mut Vec<Errand>) -> Option<Instant> {
        let mut next: Option<Instant> = None;
        for owed in &mut self.owed {
            let Owed::Errand(_, errand) = owed else {
                continue;
            };
            if errand.due > now {
                next = Some(next.map_or(errand.due, |next| next.min(errand.due)));
            } else if let Owed::Errand(_, errand) = std::mem::replace(owed, Owed::Late) {
                self.late = self.late.saturating_add(1);
                late.push(errand);
            }
        }
        next
    }

    /// Whether it owes answers, and has said nothing for so long that it is of no more use.
    pub(super) fn is_dead(&self, now: Instant, silence: Duration) -> bool {
        let quiet = now.saturating_duration_since(self.quiet_from);
        !self.owed.is_empty()
            && (quiet >= silence && self.late >= MOST_LATE || quiet >= silence.max(BEAT))
    }

    pub(super) fn is_idle(&self) -> bool {
        self.owed.is_empty()
    }

    /// How long it has been of use.
    pub(super) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.born)
    }

    /// All that were promised an answer.
    pub(super) fn into_errands(self) -> impl Iterator<Item = Errand> {
        self.owed.into_iter().filter_map(|owed| match owed {
            Owed::Errand(_, errand) => Some(errand),
            _ => None,
        })
    }
}

fn closed() -> StoreError {
    StoreError::Unreachable {
        problem: "the server closed the connection".to_owned(),
    }
}

fn malformed() -> StoreError {
    StoreError::Unreachable {
        problem: "what answers is no Redis server".to_owned(),
    }
}
