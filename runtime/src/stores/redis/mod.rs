//! A store on Redis or Valkey: one server, Sentinel, or Cluster.
//!
//! ```text
//! store, builder      what users see
//! plan ← url, tls     what is to be reached, and how; all checked before anything is opened
//! desk → inbox        where callers hand in jobs, and the thread takes them
//! thread → driver     the thread, and all that happens on it
//! fleet → node → wire the servers there are; one of them; one connection
//! dial, sentinel      how a connection is made and proven
//! errand, script      one job under way; the text and digest of what it runs
//! resp, fault         what is on the wire; what its errors mean
//! ```
//!
//! The client is Steadfast's own, for what it must not do: send a command again that may have been
//! applied, make a caller wait for a reconnect, or take a slow connection for a dead one.

mod backoff;
mod builder;
mod cluster;
mod desk;
mod dial;
mod driver;
mod errand;
mod fault;
mod fleet;
mod inbox;
mod members;
mod node;
mod plan;
mod resp;
mod script;
mod sentinel;
mod store;
mod stream;
#[cfg(all(test, not(steadfast_loom)))]
mod tests;
mod thread;
#[cfg(feature = "redis-tls")]
mod tls;
mod url;
mod wire;

pub use builder::RedisStoreBuilder;
pub use store::RedisStore;
