//! What shared state must survive, against real servers: one module a fault.
//!
//! Every test starts servers of its own, and several instances of a service, each with a registry and a
//! store of its own, as if they were processes; [`processes`] has real ones.

mod answers;
mod circuit;
mod clocks;
mod cluster;
mod crowd;
mod dropped;
mod flushed;
mod forbidden;
mod full;
mod instance;
mod killed;
mod load;
mod places;
mod processes;
mod runtimes;
mod sentinels;
mod silent;
mod starts;

use std::time::Duration;

/// How long a call may take, whatever happens: its deadline, 50 ms, and a machine that has much else to
/// do. Every outage here lasts longer than this, so that a call that waits for its end is found out.
const ENDS: Duration = Duration::from_secs(1);

/// Far more than what is waited for takes.
const SOON: Duration = Duration::from_secs(20);
