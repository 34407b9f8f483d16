//! One attribute of a stack.

use super::{
    bulkhead::Bulkhead, circuit_breaker::CircuitBreaker, fallback::Fallback,
    rate_limited::RateLimited, retry::Retry, setting::Settings, timeout::Timeout,
};
use crate::{errors::Errors, kind::Kind, parse::reader::Reader};
use proc_macro2::{Span, TokenStream};
use syn::{Expr, Ident, LitStr, Path};

/// What only one kind of policy has.
pub(crate) enum Policy {
    Retry(Box<Retry>),
    CircuitBreaker(Box<CircuitBreaker>),
    RateLimited(Box<RateLimited>),
    Bulkhead(Bulkhead),
    Timeout(Timeout),
    Fallback(Box<Fallback>),
}

/// One attribute, read.
pub(crate) struct Layer {
    pub(crate) kind: Kind,
    /// Where the attribute stands.
    pub(crate) span: Span,
    pub(crate) name: Option<LitStr>,
    pub(crate) settings: Settings,
    /// The instance to use in place of the attribute's own.
    pub(crate) with: Option<Expr>,
    pub(crate) reject_with: Option<Expr>,
    /// How this crate is called here.
    pub(crate) krate: Option<Path>,
    pub(crate) policy: Policy,
}

impl Layer {
    pub(crate) fn read(kind: Kind, span: Span, tokens: TokenStream, errors: &mut Errors) -> Self {
        let mut reader = Reader::new(kind, tokens, errors);
        let name = match kind {
            Kind::Timeout => Timeout::name(&mut reader),
            _ => reader.name(),
        };
        let policy = match kind {
            Kind::Retry => Policy::Retry(Box::new(Retry::read(&mut reader))),
            Kind::CircuitBreaker => {
                Policy::CircuitBreaker(Box::new(CircuitBreaker::read(&mut reader)))
            }
            Kind::RateLimited => Policy::RateLimited(Box::new(RateLimited::read(&mut reader))),
            Kind::Bulkhead => Policy::Bulkhead(Bulkhead::read(&mut reader)),
            Kind::Timeout => Policy::Timeout(Timeout::read(&mut reader)),
            Kind::Fallback => Policy::Fallback(Box::new(Fallback::read(&mut reader, span))),
        };
        Self {
            kind,
            span,
            name,
            with: reader.expression("with", "&self.policy"),
            reject_with: reader.function("reject_with", "rejection"),
            krate: reader.path("crate", "::steadfast"),
            settings: reader.finish(),
            policy,
        }
    }

    /// Does this layer run what is inside it more than once?
    pub(crate) fn repeats(&self) -> bool {
        self.kind == Kind::Retry
    }

    /// The parameters copied for what lies inside.
    pub(crate) fn clones(&self) -> &[Ident] {
        match &self.policy {
            Policy::Retry(retry) => &retry.clone,
            Policy::Fallback(fallback) => &fallback.clone,
            _ => &[],
        }
    }

    /// Can this layer refuse a call by itself?
    pub(crate) fn refuses(&self) -> bool {
        match &self.policy {
            Policy::Retry(retry) => retry.until.is_some(),
            Policy::Fallback(_) => false,
            _ => true,
        }
    }
}
