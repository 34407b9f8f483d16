//! For tests of your own code: a registry and state of their own.
//!
//! Parallel tests of one program share its registry, and with `tokio::time::pause()` each has a clock
//! of its own: a breaker that one test opened would refuse the calls of another. [`isolated`] keeps
//! them apart.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let test = steadfast::test::isolated();
//! // Annotated functions called on this thread now use policies in their initial state.
//! assert!(test.registry().snapshot().policies.iter().all(|policy| policy.name != "left over"));
//! # }
//! ```

use std::{
    cell::RefCell,
    future::Future,
    marker::PhantomData,
    pin::pin,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use crate::{event::Sink, registry::Registry};

/// How many isolations there are in the program: where there is none, sites look no further.
static ISOLATIONS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static REGISTRIES: RefCell<Vec<Registry>> = const { RefCell::new(Vec::new()) };
}

/// Keeps a test's registry in force on this thread. Dropping it puts the former one back.
///
/// It stays on its thread: a `#[tokio::test]` holds it across its awaits, and all that it spawns runs on
/// the same thread. On a multi-threaded runtime, wrap what is spawned in [`Isolated::scope`].
#[must_use = "the isolation ends when this is dropped"]
#[derive(Debug)]
pub struct Isolated {
    registry: Registry,
    on_this_thread: PhantomData<*const ()>,
}

/// Gives this test a registry of its own, in which every policy is in its initial state.
///
/// Policies of an isolated registry are never freed: sites keep references to them. They are small.
pub fn isolated() -> Isolated {
    let registry = Registry::with(Sink::new());
    enter(&registry);
    Isolated {
        registry,
        on_this_thread: PhantomData,
    }
}

impl Isolated {
    /// The test's registry.
    #[must_use]
    pub fn registry(&self) -> Registry {
        self.registry.clone()
    }

    /// Runs a future under this registry on whatever thread polls it: for what is spawned on a
    /// multi-threaded runtime.
    pub fn scope<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        scope(self.registry.clone(), future)
    }
}

async fn scope<F: Future>(registry: Registry, future: F) -> F::Output {
    let mut future = pin!(future);
    std::future::poll_fn(|context| {
        enter(&registry);
        let _leave = Leave;
        future.as_mut().poll(context)
    })
    .await
}

/// Has a task that is spawned here run under the registry that is in force here.
pub(crate) fn inherit<F: Future>(future: F) -> impl Future<Output = F::Output> + use<F> {
    let registry = current();
    async move {
        match registry {
            Some(registry) => scope(registry, future).await,
            None => future.await,
        }
    }
}

impl Drop for Isolated {
    fn drop(&mut self) {
        drop(Leave);
    }
}

struct Leave;

impl Drop for Leave {
    fn drop(&mut self) {
        REGISTRIES.with_borrow_mut(|registries| registries.pop());
        Sink::leave();
        ISOLATIONS.fetch_sub(1, Relaxed);
    }
}

fn enter(registry: &Registry) {
    REGISTRIES.with_borrow_mut(|registries| registries.push(registry.clone()));
    registry.sink().enter();
    ISOLATIONS.fetch_add(1, Relaxed);
}

/// The isolated registry of this thread.
pub(crate) fn current() -> Option<Registry> {
    if ISOLATIONS.load(Relaxed) == 0 {
        return None;
    }
    REGISTRIES.with_borrow(|registries| registries.last().cloned())
}
