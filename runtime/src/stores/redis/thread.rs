//! The store's own thread, with a runtime and a clock that nobody else stops.

use std::{future::poll_fn, sync::Arc};

use crate::store::StoreError;

use super::{
    desk::Desk,
    driver::{Driver, Opened},
    plan::Plan,
};

/// Begins to work on what is handed in at the desk, until it closes.
///
/// # Errors
/// The system has no thread to give.
pub(super) fn begin(
    desk: &Arc<Desk>,
    plan: Plan,
    opened: Option<Opened>,
) -> Result<(), StoreError> {
    let desk = Arc::clone(desk);
    std::thread::Builder::new()
        .name("steadfast-redis".into())
        .spawn(move || run(desk, plan, opened))
        .map(drop)
        .map_err(|error| StoreError::Unreachable {
            problem: format!("no thread for it: {error}"),
        })
}

fn run(desk: Arc<Desk>, plan: Plan, opened: Option<Opened>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // For names that have to be looked up.
        .max_blocking_threads(2)
        .build();
    match runtime {
        Ok(runtime) => {
            runtime.block_on(async move {
                let mut driver = Driver::new(desk, plan, opened);
                poll_fn(|cx| driver.poll(cx)).await;
            });
            // A name that is still being looked up keeps nobody waiting.
            runtime.shutdown_background();
        }
        Err(error) => {
            let cause = StoreError::Unreachable {
                problem: format!("no runtime for it: {error}"),
            };
            desk.give_up(cause.clone());
            if let Some(opened) = opened {
                let _ = opened.send(Err(cause));
            }
        }
    }
}
