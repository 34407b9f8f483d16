//! What callers put in, and one thread takes out: all of it at once, woken once.

use std::task::Waker;

use crate::sync::{Mutex, lock};

pub(super) struct Inbox<T>(Mutex<State<T>>);

struct State<T> {
    items: Vec<T>,
    /// The thread's, while it sleeps. Whoever takes it wakes the thread, so that it is woken once.
    waker: Option<Waker>,
    closed: bool,
}

impl<T> Inbox<T> {
    pub(super) fn new() -> Self {
        Self(Mutex::new(State {
            items: Vec::new(),
            waker: None,
            closed: false,
        }))
    }

    /// Puts something in; gives it back once the inbox is closed.
    pub(super) fn put(&self, item: T) -> Option<T> {
        let mut state = lock(&self.0);
        if state.closed {
            return Some(item);
        }
        state.items.push(item);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        None
    }

    /// All that is there, in exchange for an empty list; `false` once the inbox is closed.
    pub(super) fn take(&self, into: &mut Vec<T>) -> bool {
        debug_assert!(
            into.is_empty(),
            "what is given in exchange would be taken for new"
        );
        let mut state = lock(&self.0);
        std::mem::swap(&mut state.items, into);
        !state.closed
    }

    /// Leaves a waker and says yes, unless there is something to do.
    pub(super) fn rest(&self, waker: &Waker) -> bool {
        let mut state = lock(&self.0);
        let idle = state.items.is_empty() && !state.closed;
        if idle && !state.waker.as_ref().is_some_and(|w| w.will_wake(waker)) {
            state.waker = Some(waker.clone());
        }
        idle
    }

    pub(super) fn close(&self) {
        let waker = {
            let mut state = lock(&self.0);
            state.closed = true;
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

#[cfg(all(test, steadfast_loom))]
mod models {
    use loom::{
        sync::Arc,
        thread::{self, Thread},
    };

    use super::*;

    struct Unpark(Thread);

    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }

    /// What the thread took until the inbox was closed, or so much was there. It sleeps only where the
    /// inbox lets it.
    fn drain(inbox: &Inbox<u32>, most: usize) -> Vec<u32> {
        let waker = std::sync::Arc::new(Unpark(thread::current())).into();
        let (mut all, mut taken) = (Vec::new(), Vec::new());
        loop {
            let open = inbox.take(&mut taken);
            all.append(&mut taken);
            if !open || all.len() >= most {
                return all;
            }
            if inbox.rest(&waker) {
                thread::park();
            }
        }
    }

    /// Two callers, and a thread that sleeps whenever there is nothing. Nobody wakes it but they: a
    /// wake-up that was lost would be a deadlock here.
    #[test]
    fn all_that_is_put_in_is_taken() {
        loom::model(|| {
            let inbox = Arc::new(Inbox::new());
            for item in 1..=2 {
                let inbox = Arc::clone(&inbox);
                thread::spawn(move || assert_eq!(inbox.put(item), None));
            }
            let mut all = drain(&inbox, 2);
            all.sort_unstable();
            assert_eq!(all, [1, 2]);
        });
    }

    #[test]
    fn closing_loses_nothing() {
        loom::model(|| {
            let inbox = Arc::new(Inbox::new());
            let caller = {
                let inbox = Arc::clone(&inbox);
                thread::spawn(move || inbox.put(1))
            };
            let closer = {
                let inbox = Arc::clone(&inbox);
                thread::spawn(move || inbox.close())
            };
            let all = drain(&inbox, 2);
            let back = caller.join().expect("no panic");
            closer.join().expect("no panic");
            assert_eq!(all.len() + usize::from(back.is_some()), 1);
        });
    }
}
