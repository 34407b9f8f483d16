//! All that happens on the store's thread.

use std::{
    future::Future,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::{
    sync::oneshot,
    time::{Sleep, sleep_until},
};

use crate::store::{StoreError, TICK};

use super::{
    cluster,
    desk::{Desk, Standing},
    dial::{self, Route},
    errand::{Errand, reply},
    fault::{Fault, fault},
    fleet::{Fleet, NodeId, Pick},
    members::Members,
    plan::Plan,
    resp::Resp,
    script::Scripts,
    wire::{Owed, Way},
};

/// Told whether the store could be reached, the first time that it was tried.
pub(super) type Opened = oneshot::Sender<Result<(), StoreError>>;

pub(super) struct Driver {
    desk: Arc<Desk>,
    plan: Rc<Plan>,
    scripts: Scripts,
    fleet: Fleet,
    members: Members,
    opened: Option<Opened>,
    /// Taken from the desk: kept for its room.
    taken: Vec<Errand>,
    /// Errands that wait for a connection, or for keys that are on their way between servers.
    parked: Vec<Errand>,
    /// When those are looked at again, if nothing happens before.
    unpark: Option<Instant>,
    /// No errand ends before this. Where it is too early, nothing is lost but a look.
    due: Option<Instant>,
    tick: Instant,
    /// A cluster's table may be out of date.
    stale: bool,
    timer: Pin<Box<Sleep>>,
    armed: Instant,
}

/// How often an errand is sent on to another server.
const MOST_HOPS: u8 = 8;
/// Keys on their way between servers have arrived within milliseconds.
const AGAIN: Duration = Duration::from_millis(4);

impl Driver {
    pub(super) fn new(desk: Arc<Desk>, plan: Plan, opened: Option<Opened>) -> Self {
        let now = Instant::now();
        Self {
            desk,
            fleet: Fleet::new(&plan, now),
            plan: Rc::new(plan),
            scripts: Scripts::default(),
            members: Members::default(),
            opened,
            taken: Vec::new(),
            parked: Vec::new(),
            unpark: None,
            due: None,
            tick: now,
            stale: false,
            timer: Box::pin(sleep_until(now.into())),
            armed: now,
        }
    }

    /// Goes round until there is nothing to do; over when the store is closed.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let now = Instant::now();
            self.on_time(now);
            let open = self.desk.inbox.take(&mut self.taken);
            let mut taken = std::mem::take(&mut self.taken);
            for errand in taken.drain(..) {
                self.route(errand, now);
            }
            self.taken = taken;
            if !open {
                self.write_the_last(cx);
                return Poll::Ready(());
            }
            let mut moved = false;
            for id in self.fleet.ids() {
                moved |= self.poll_node(id, cx, now);
            }
            self.judge(now);
            if moved || !self.desk.inbox.rest(cx.waker()) {
                continue;
            }
            if self.poll_timer(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// What was handed in before the end is at least sent: a permit that is given back, say.
    fn write_the_last(&mut self, cx: &mut Context<'_>) {
        for node in self.fleet.nodes() {
            for wire in node.wires() {
                let _ = wire.poll_write(cx);
            }
        }
    }

    /// Sets the timer only where it would come too late: mostly it is early, and set anew then.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let next = [self.due, self.unpark].into_iter().flatten();
        let next = next.fold(self.tick, Instant::min);
        if next < self.armed || self.timer.is_elapsed() {
            self.timer.as_mut().reset(next.into());
            self.armed = next;
        }
        self.timer.as_mut().poll(cx)
    }

    fn on_time(&mut self, now: Instant) {
        if self.tick <= now {
            self.tick = now + TICK;
            self.on_tick(now);
        }
        if self.due.is_some_and(|due| due <= now) {
            self.sweep(now);
        }
        if self.unpark.is_some_and(|at| at <= now) {
            self.unpark(now);
        }
    }

    fn on_tick(&mut self, now: Instant) {
        self.members.attach(self.desk.newcomers());
        if let Standing::Down { cause, .. } = self.desk.standing() {
            self.members.down(&cause);
        }
        self.members.tick();
        self.find_dead(now);
        for node in self.fleet.nodes() {
            node.wires().for_each(|wire| wire.beat(now));
        }
        if self.stale || self.fleet.has_gaps() {
            self.ask_for_table(now);
        }
    }

    /// Ends what has taken too long.
    fn sweep(&mut self, now: Instant) {
        let mut late = Vec::new();
        let mut due: Option<Instant> = None;
        let mut sooner = |next: Instant| due = Some(due.map_or(next, |due| due.min(next)));
        for node in self.fleet.nodes() {
            for wire in node.wires() {
                wire.sweep(now, &mut late).map(&mut sooner);
            }
        }
        let parked = std::mem::take(&mut self.parked);
        for errand in parked {
            if errand.due <= now {
                late.push(errand);
            } else {
                sooner(errand.due);
                self.parked.push(errand);
            }
        }
        self.due = due;
        for errand in late {
            let error = errand.too_late();
            self.desk.settle(errand, Err(error));
        }
        self.find_dead(now);
    }

    /// Gives up connections that owe answers and say nothing.
    fn find_dead(&mut self, now: Instant) {
        for id in self.fleet.ids() {
            let Some(node) = self.fleet.node(id) else {
                continue;
            };
            for place in 0..node.places() {
                let Some(node) = self.fleet.node(id) else {
                    break;
                };
                let plan = &self.plan;
                let dead = node
                    .wire(place)
                    .is_some_and(|wire| wire.is_dead(now, plan.silence(wire.round_trip)));
                if dead {
                    self.lose(id, place, self.plan.too_late(), now);
                }
            }
        }
    }

    fn lose(&mut self, id: NodeId, place: usize, cause: StoreError, now: Instant) {
        self.stale = true;
        let Some(node) = self.fleet.node(id) else {
            return;
        };
        let errands: Vec<Errand> = node.lose(place, cause.clone(), now).collect();
        // First the store is away, then its callers hear of it: who asks again is refused at once.
        self.judge(now);
        for errand in errands {
            self.desk.settle(errand, Err(cause.clone()));
        }
    }

    /// Says how the store is, where that has changed.
    fn judge(&mut self, now: Instant) {
        let up = self.fleet.is_up();
        if up && self.desk.is_up() {
            return;
        }
        match (self.desk.standing(), up) {
            (Standing::Connecting, true) => {
                if self.fleet.is_settled() {
                    self.desk.stand(Standing::Up);
                    self.open(Ok(()));
                    self.unpark(now);
                }
            }
            (Standing::Down { since, .. }, true) => {
                self.desk.stand(Standing::Up);
                self.members.up(now.saturating_duration_since(since));
                self.unpark(now);
            }
            (Standing::Up, false) => self.go_down(now, now),
            (Standing::Connecting, false) => {
                if self.fleet.hopeless().is_some() {
                    self.go_down(now, now);
                }
            }
            (Standing::Down { cause, since }, false) => {
                // It is told with its latest cause.
                if let Some(fault) = self.fleet.hopeless()
                    && fault != cause
                {
                    self.desk.stand(Standing::Down {
                        cause: fault,
                        since,
                    });
                }
            }
            (Standing::Up, true) => {}
        }
    }

    fn go_down(&mut self, since: Instant, now: Instant) {
        let unknown = || StoreError::NotReady {
            problem: "no server of the cluster answers".to_owned(),
        };
        let cause = self.fleet.hopeless().unwrap_or_else(unknown);
        self.desk.stand(Standing::Down {
            cause: cause.clone(),
            since,
        });
        self.members.attach(self.desk.newcomers());
        self.members.down(&cause);
        self.open(Err(cause));
        self.fleet.begin_again(&self.plan, now);
        self.unpark(now);
    }

    fn open(&mut self, outcome: Result<(), StoreError>) {
        if let Some(opened) = self.opened.take() {
            // Whoever does not wait any more does not want to know.
            let _ = opened.send(outcome);
        }
    }

    /// One server: makes connections, writes, reads.
    fn poll_node(&mut self, id: NodeId, cx: &mut Context<'_>, now: Instant) -> bool {
        let Some(node) = self.fleet.node(id) else {
            return false;
        };
        let mut moved = false;
        if let Poll::Ready(made) = node.poll_mend(cx, &self.plan, &self.scripts, now) {
            moved = true;
            match made {
                Ok(()) => self.on_connected(id, now),
                Err(_) => self.unpark(now),
            }
        }
        let places = self.fleet.node(id).map_or(0, |node| node.places());
        for place in 0..places {
            moved |= self.poll_wire(id, place, cx, now);
        }
        moved
    }

    fn on_connected(&mut self, id: NodeId, now: Instant) {
        self.desk.connected();
        if self.plan.is_cluster()
            && !self.fleet.is_up()
            && let Some(node) = self.fleet.node(id)
        {
            node.wires().for_each(|wire| wire.ask_for_table(now));
        }
        self.judge(now);
        self.unpark(now);
    }

    fn poll_wire(&mut self, id: NodeId, place: usize, cx: &mut Context<'_>, now: Instant) -> bool {
        let mut moved = false;
        loop {
            let Some(wire) = self.fleet.node(id).and_then(|node| node.wire(place)) else {
                return moved;
            };
            let outcome = match wire.poll_write(cx) {
                Poll::Ready(Err(error)) => Err(error),
                _ => match wire.poll_reply(cx, now) {
                    Poll::Pending => return moved,
                    Poll::Ready(outcome) => outcome,
                },
            };
            moved = true;
            match outcome {
                Ok((owed, resp)) => self.answered(id, place, owed, resp, now),
                Err(error) => self.lose(id, place, error, now),
            }
        }
    }

    fn answered(&mut self, id: NodeId, place: usize, owed: Owed, resp: Resp, now: Instant) {
        match (owed, resp) {
            (Owed::Errand(way, errand), Resp::Error(text)) => {
                self.failed(id, place, way, errand, &text, now);
            }
            (Owed::Errand(_, errand), resp) => {
                let outcome = reply(resp).ok_or(StoreError::BadReply);
                self.desk.settle(errand, outcome);
            }
            (Owed::Table, resp) => self.learn(id, place, resp, now),
            (Owed::Late | Owed::Beat | Owed::Part, Resp::Error(text)) => {
                if let Fault::Away(cause) = fault(&text) {
                    self.lose(id, place, cause, now);
                }
            }
            (Owed::Late | Owed::Beat | Owed::Part, _) => {}
        }
    }

    /// An error says whether the errand was run: only where it was not, it is sent again.
    fn failed(
        &mut self,
        id: NodeId,
        place: usize,
        way: Way,
        mut errand: Errand,
        text: &str,
        now: Instant,
    ) {
        match fault(text) {
            Fault::NoScript if !way.by_text => {
                let by_text = true;
                self.send(id, place, errand, Way { by_text, ..way }, now);
            }
            Fault::NoScript => self.desk.settle(errand, Err(StoreError::BadReply)),
            Fault::Moved { .. } | Fault::Ask { .. } if !self.plan.is_cluster() => {
                let cause = dial::part_of_a_cluster();
                self.desk.settle(errand, Err(cause));
            }
            Fault::Moved { slot, to } => {
                let to = self.resolve(id, to, now);
                self.fleet.moved(slot, to);
                self.stale = true;
                self.hop(errand, None, now);
            }
            Fault::Ask { to } => {
                let to = self.resolve(id, to, now);
                self.hop(errand, Some(to), now);
            }
            Fault::TryAgain(_) => {
                errand.hops = 0;
                self.park(errand, Some(now + AGAIN));
            }
            Fault::Away(cause) => {
                // Counted as its own error, and then those behind it.
                self.lose(id, place, cause.clone(), now);
                self.desk.settle(errand, Err(cause));
            }
            Fault::Plain(error) => {
                self.stale |= matches!(error, StoreError::NotReady { .. });
                let error = errand.scrub(error);
                self.desk.settle(errand, Err(error));
            }
        }
    }

    /// A server that has no name of its own is at the address of the one that spoke of it.
    fn resolve(&mut self, asked: NodeId, mut to: super::url::Address, now: Instant) -> NodeId {
        if to.host.is_empty()
            && let Some(node) = self.fleet.node(asked)
            && let Route::At(address) = &node.route
        {
            to.host.clone_from(&address.host);
        }
        let id = self.fleet.node_at(&to, &self.plan, now);
        if let Some(node) = self.fleet.node(id) {
            node.used = now;
        }
        id
    }

    /// Sends an errand to the server that was named.
    fn hop(&mut self, mut errand: Errand, ask: Option<NodeId>, now: Instant) {
        errand.hops += 1;
        if errand.hops > MOST_HOPS {
            // The servers do not agree: in a moment they may.
            errand.hops = 0;
            return self.park(errand, Some(now + AGAIN));
        }
        let Some(id) = ask else {
            return self.route(errand, now);
        };
        match self.fleet.pick_place(id, &errand, &self.plan.prefix) {
            Pick::To(id, place) => {
                let way = Way {
                    by_text: false,
                    asking: true,
                };
                self.send(id, place, errand, way, now);
            }
            // Back to where it came from, which names the server again.
            Pick::Wait => self.park(errand, Some(now + AGAIN)),
            Pick::Away(cause) => self.desk.settle(errand, Err(cause)),
        }
    }

    fn learn(&mut self, id: NodeId, place: usize, resp: Resp, now: Instant) {
        let asked = match self.fleet.node(id).map(|node| &node.route) {
            Some(Route::At(address)) => address.clone(),
            _ => return,
        };
        let cause = match resp {
            Resp::Error(text) if text.contains("cluster support disabled") => StoreError::BadUrl {
                problem: "the server is not one of a cluster: write `redis://`".to_owned(),
            },
            Resp::Error(text) => dial::refusal(&text),
            resp => match cluster::shares(resp, &asked) {
                Some(shares) if !shares.is_empty() => {
                    self.stale = false;
                    self.fleet.learn(&shares, &self.plan, now);
                    self.judge(now);
                    return self.unpark(now);
                }
                Some(_) => StoreError::NotReady {
                    problem: "the cluster has given no slots to its servers".to_owned(),
                },
                None => StoreError::BadReply,
            },
        };
        // A server that knows nothing of its cluster is of no use; one that only does not say it now is.
        if !self.fleet.is_up() {
            self.lose(id, place, cause, now);
        }
    }

    fn ask_for_table(&mut self, now: Instant) {
        if self.plan.is_cluster()
            && let Some(id) = self.fleet.any_up()
            && let Some(node) = self.fleet.node(id)
            && let Some(wire) = node.wires().next()
        {
            wire.ask_for_table(now);
        }
    }

    fn route(&mut self, errand: Errand, now: Instant) {
        match self.fleet.pick(&errand, &self.plan.prefix) {
            Pick::To(id, place) => {
                let way = Way {
                    by_text: false,
                    asking: false,
                };
                self.send(id, place, errand, way, now);
            }
            Pick::Wait => self.park(errand, None),
            // What was sent once and came back is an error; what never was, a refusal.
            Pick::Away(cause) if errand.sent => self.desk.settle(errand, Err(cause)),
            Pick::Away(cause) => self.desk.refuse(errand, cause),
        }
    }

    fn send(&mut self, id: NodeId, place: usize, mut errand: Errand, way: Way, now: Instant) {
        if errand.due <= now {
            // Its caller has gone on: what it would take, nobody would have.
            let error = errand.too_late();
            return self.desk.settle(errand, Err(error));
        }
        self.watch(&errand);
        let Some(wire) = self.fleet.node(id).and_then(|node| node.wire(place)) else {
            return self.park(errand, None);
        };
        if wire.is_clogged() {
            let error = self.desk.overloaded();
            return self.desk.settle(errand, Err(error));
        }
        let script = errand.script().map(|script| self.scripts.id(script));
        let known = script.map(|id| (id, self.scripts.get(id)));
        if !std::mem::replace(&mut errand.sent, true) {
            self.desk.sent();
        }
        wire.send(errand, known, way, &self.plan.prefix, now);
    }

    fn park(&mut self, errand: Errand, until: Option<Instant>) {
        self.watch(&errand);
        self.parked.push(errand);
        if let Some(until) = until {
            self.unpark = Some(self.unpark.map_or(until, |at| at.min(until)));
        }
    }

    /// Something has changed for those who wait.
    fn unpark(&mut self, now: Instant) {
        self.unpark = None;
        for errand in std::mem::take(&mut self.parked) {
            self.route(errand, now);
        }
    }

    fn watch(&mut self, errand: &Errand) {
        self.due = Some(self.due.map_or(errand.due, |due| due.min(errand.due)));
    }
}

/// The store was closed, or its thread has come to grief: nobody waits for ever.
impl Drop for Driver {
    fn drop(&mut self) {
        self.desk.stand(Standing::Down {
            cause: StoreError::Closed,
            since: Instant::now(),
        });
        self.desk.inbox.close();
        let mut left = Vec::new();
        self.desk.inbox.take(&mut left);
        left.append(&mut self.taken);
        left.append(&mut self.parked);
        for id in self.fleet.ids() {
            if let Some(node) = self.fleet.node(id) {
                for place in 0..node.places() {
                    left.extend(node.lose(place, StoreError::Closed, Instant::now()));
                }
            }
        }
        for errand in left {
            self.desk.settle(errand, Err(StoreError::Closed));
        }
    }
}
