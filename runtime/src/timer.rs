//! A timer for a future that seldom needs one.

use std::{
    cell::RefCell,
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;
use tokio::time::Sleep;

use crate::{clock::Nanos, waiter::sleep_until};

pin_project! {
    struct Room {
        #[pin]
        sleep: Option<Sleep>,
    }
}

/// One pointer, for a tokio timer is larger than all else that a call keeps. The rooms that timers lie
/// in are used again, on the thread where the last one ended: arming one allocates nothing as a rule.
pub(crate) struct Timer(Option<Pin<Box<Room>>>);

/// Rooms that a thread keeps for later.
const KEPT: usize = 128;

thread_local! {
    static ROOMS: RefCell<Vec<Pin<Box<Room>>>> = const { RefCell::new(Vec::new()) };
}

impl Timer {
    pub(crate) const fn unarmed() -> Self {
        Self(None)
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn is_armed(&self) -> bool {
        self.0.is_some()
    }

    /// From now on it rings at `deadline`.
    pub(crate) fn arm(&mut self, deadline: Nanos) {
        // Made first: without a runtime it panics, and no room is lost.
        let sleep = sleep_until(deadline);
        let kept = ROOMS.try_with(|rooms| rooms.borrow_mut().pop());
        let mut room = kept
            .ok()
            .flatten()
            .unwrap_or_else(|| Box::pin(Room { sleep: None }));
        room.as_mut().project().sleep.set(Some(sleep));
        self.0 = Some(room);
    }

    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let room = self.0.as_mut().map(|room| room.as_mut().project());
        match room.and_then(|room| room.sleep.as_pin_mut()) {
            Some(sleep) => sleep.poll(context),
            None => Poll::Pending,
        }
    }
}

impl Drop for Timer {
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn drop(&mut self) {
        if let Some(room) = self.0.take() {
            Room::keep(room);
        }
    }
}

impl Room {
    #[inline(never)]
    fn keep(mut room: Pin<Box<Self>>) {
        // What the timer holds (a waker, its place in the runtime) is let go now.
        room.as_mut().project().sleep.set(None);
        // A thread that ends keeps nothing.
        let _ = ROOMS.try_with(|rooms| {
            let mut rooms = rooms.borrow_mut();
            if rooms.len() < KEPT {
                rooms.push(room);
            }
        });
    }
}
