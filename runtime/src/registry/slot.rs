//! How a site finds its instances: once.

use std::sync::OnceLock;

#[cfg(feature = "metrics")]
use crate::metrics::Times;
use crate::{call::Call, timed::Timed};

use super::{
    registry::{Registry, registry},
    shelf::Shelved,
    site::Site,
};

/// A site's references to its policies: of `(Retry, (CircuitBreaker, ()))`, for example.
///
/// One for the whole stack: a call looks once whether they are there.
pub struct Slot<S: Stacked> {
    site: &'static Site,
    policies: OnceLock<S::Handles>,
    #[cfg(feature = "metrics")]
    times: OnceLock<&'static Times>,
}

/// A place in a stack.
pub trait Resolve {
    /// What the site keeps of the policy.
    type Handle: Copy + Send + Sync + 'static;

    /// The instance for the `index`th policy of a site.
    fn resolve(registry: &Registry, site: &Site, index: usize) -> Self::Handle;
}

impl<P: Shelved + Sync> Resolve for P {
    type Handle = &'static P;

    fn resolve(registry: &Registry, site: &Site, index: usize) -> &'static P {
        registry.resolve(site, index)
    }
}

/// Stands where the site brings its own policy with each call.
#[derive(Debug)]
pub struct Supplied;

impl Resolve for Supplied {
    type Handle = ();

    fn resolve(_: &Registry, _: &Site, _: usize) {}
}

/// The policies of a stack from the `index`th on, outermost first.
pub trait Stacked {
    /// What the site keeps of them.
    type Handles: Copy + Send + Sync + 'static;

    /// The instances.
    fn resolve(registry: &Registry, site: &Site, index: usize) -> Self::Handles;
}

impl Stacked for () {
    type Handles = ();

    fn resolve(_: &Registry, _: &Site, _: usize) {}
}

impl<P: Resolve, S: Stacked> Stacked for (P, S) {
    type Handles = (P::Handle, S::Handles);

    fn resolve(registry: &Registry, site: &Site, index: usize) -> Self::Handles {
        let first = P::resolve(registry, site, index);
        (first, S::resolve(registry, site, index + 1))
    }
}

impl<S: Stacked> Slot<S> {
    /// For the stack of a site.
    #[must_use]
    pub const fn new(site: &'static Site) -> Self {
        Self {
            site,
            policies: OnceLock::new(),
            #[cfg(feature = "metrics")]
            times: OnceLock::new(),
        }
    }

    /// The instances; looked up by name at the first call only.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub fn get(&self) -> S::Handles {
        #[cfg(feature = "test-util")]
        if let Some(registry) = crate::test::current() {
            return S::resolve(&registry, self.site, 0);
        }
        match self.policies.get() {
            Some(policies) => *policies,
            None => self.find(),
        }
    }

    #[cold]
    fn find(&self) -> S::Handles {
        let find = || S::resolve(&registry(), self.site, 0);
        *self.policies.get_or_init(find)
    }

    /// Takes the time of a call from now on, if somebody wants to know.
    #[cfg_attr(not(debug_assertions), inline(always))]
    #[cfg_attr(not(feature = "metrics"), allow(clippy::unused_self))]
    pub fn time(&self, call: &Call) -> Timed {
        #[cfg(feature = "metrics")]
        return self.times().begin(call);
        #[cfg(not(feature = "metrics"))]
        {
            let _ = call;
            Timed
        }
    }

    #[cfg(feature = "metrics")]
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn times(&self) -> &'static Times {
        #[cfg(feature = "test-util")]
        if let Some(registry) = crate::test::current() {
            return registry.times(self.site.function);
        }
        match self.times.get() {
            Some(times) => times,
            None => self.find_times(),
        }
    }

    #[cfg(feature = "metrics")]
    #[cold]
    fn find_times(&self) -> &'static Times {
        self.times
            .get_or_init(|| registry().times(self.site.function))
    }
}
