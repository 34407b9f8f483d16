//! One server: its connections, and the making of those that are missing.

use std::{
    future::Future,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use crate::store::StoreError;

use super::{
    backoff,
    dial::{Route, dial},
    errand::Errand,
    plan::Plan,
    script::Scripts,
    wire::Wire,
};

pub(super) struct Node {
    pub(super) route: Route,
    /// A place for each connection.
    wires: Vec<Option<Wire>>,
    /// The one connection that is being made, or waited with.
    mending: Option<Mending>,
    /// Why it was lost, or could not be reached, the last time.
    fault: Option<StoreError>,
    failures: u32,
    /// When the latest attempt began, and how long the one before it took.
    began: Instant,
    lasted: Duration,
    /// When it was last of use.
    pub(super) used: Instant,
}

type Mending = Pin<Box<dyn Future<Output = Result<Wire, StoreError>>>>;

/// A connection that lived this long was sound: the next one is made at once when it breaks.
const SOUND: Duration = Duration::from_secs(1);

impl Node {
    pub(super) fn new(route: Route, connections: usize, now: Instant) -> Self {
        Self {
            route,
            wires: (0..connections).map(|_| None).collect(),
            mending: None,
            fault: None,
            failures: 0,
            began: now,
            lasted: Duration::ZERO,
            used: now,
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.wires.iter().any(Option::is_some)
    }

    /// Why it cannot be used now; `None` while it can, or was not tried yet.
    pub(super) fn fault(&self) -> Option<&StoreError> {
        self.fault.as_ref().filter(|_| !self.is_up())
    }

    pub(super) fn is_idle(&self) -> bool {
        self.wires.iter().flatten().all(Wire::is_idle)
    }

    pub(super) fn places(&self) -> usize {
        self.wires.len()
    }

    pub(super) fn wire(&mut self, place: usize) -> Option<&mut Wire> {
        self.wires.get_mut(place)?.as_mut()
    }

    pub(super) fn wires(&mut self) -> impl Iterator<Item = &mut Wire> {
        self.wires.iter_mut().flatten()
    }

    /// A connection for keys of a slot: always the same, as long as it lives, so that what is sent in
    /// order is done in order.
    pub(super) fn place(&self, slot: impl FnOnce() -> Option<u16>) -> Option<usize> {
        if let [wire] = &self.wires[..] {
            return wire.as_ref().map(|_| 0);
        }
        let first = usize::from(slot().unwrap_or_default());
        (0..self.wires.len())
            .map(|next| (first + next) % self.wires.len())
            .find(|&place| self.wires[place].is_some())
    }

    /// Makes what is missing, one connection at a time. Ready when one was made, or could not be.
    pub(super) fn poll_mend(
        &mut self,
        cx: &mut Context<'_>,
        plan: &Rc<Plan>,
        scripts: &Scripts,
        now: Instant,
    ) -> Poll<Result<(), StoreError>> {
        let Some(place) = self.wires.iter().position(Option::is_none) else {
            return Poll::Pending;
        };
        let mending = self.mending.get_or_insert_with(|| {
            let chance = fastrand::f64();
            let wait = backoff::delay(self.failures, self.fault.as_ref(), self.lasted, chance);
            self.began = now + wait;
            let (plan, route) = (Rc::clone(plan), self.route.clone());
            Box::pin(dial(plan, route, scripts.all(), wait))
        });
        let outcome = std::task::ready!(mending.as_mut().poll(cx));
        self.mending = None;
        self.lasted = now.saturating_duration_since(self.began);
        Poll::Ready(match outcome {
            Ok(wire) => {
                self.wires[place] = Some(wire);
                self.used = now;
                Ok(())
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                self.fault = Some(error.clone());
                Err(error)
            }
        })
    }

    /// A connection is of no more use: all who wait on it are given back.
    pub(super) fn lose(
        &mut self,
        place: usize,
        cause: StoreError,
        now: Instant,
    ) -> impl Iterator<Item = Errand> + use<> {
        let wire = self.wires.get_mut(place).and_then(Option::take);
        if let Some(wire) = &wire {
            self.failures = if wire.age(now) >= SOUND {
                0
            } else {
                self.failures.saturating_add(1)
            };
        }
        self.fault = Some(cause);
        wire.into_iter().flat_map(Wire::into_errands)
    }
}
