//! Functions as people write them: each file is one class of signature that attribute macros are known
//! to stumble over. Every annotated function is really called, and what came of it is checked.
#![allow(clippy::all)] // Written as people write, not as clippy would.

mod abi;
mod alone;
mod arguments;
mod associated;
mod async_traits;
mod attributes;
mod bodies;
mod captures;
mod constants;
mod drop_order;
mod generics;
mod impl_trait;
mod instrument;
mod lifetimes;
mod local;
mod macro_output;
mod names;
mod nested;
mod outcomes;
mod patterns;
mod receivers;
mod recursion;
mod returned_futures;
mod send;
mod shadowing;
mod siblings;
mod stacks;
mod support;
mod synchronous;
mod traits;
mod values;
