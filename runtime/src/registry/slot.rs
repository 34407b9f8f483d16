//! How a site finds its instance: once.

use std::sync::OnceLock;

use super::{
    registry::{Registry, registry},
    shelf::Shelved,
    site::Site,
};

/// A site's reference to its policy.
pub struct Slot<P: 'static> {
    site: &'static Site,
    index: usize,
    policy: OnceLock<&'static P>,
}

/// A policy that a site can have.
pub trait Resolve: Sized {
    /// The instance for the `index`th policy of a site.
    fn resolve(registry: &Registry, site: &Site, index: usize) -> &'static Self;
}

impl<P: Shelved> Resolve for P {
    fn resolve(registry: &Registry, site: &Site, index: usize) -> &'static Self {
        registry.resolve(site, index)
    }
}

impl<P: Resolve> Slot<P> {
    /// For the `index`th policy of a site, counted from the outermost.
    #[must_use]
    pub const fn new(site: &'static Site, index: usize) -> Self {
        Self {
            site,
            index,
            policy: OnceLock::new(),
        }
    }

    /// The instance; looked up by name at the first call only.
    #[inline]
    pub fn get(&self) -> &'static P {
        #[cfg(feature = "test-util")]
        if let Some(registry) = crate::test::current() {
            return P::resolve(&registry, self.site, self.index);
        }
        self.policy
            .get_or_init(|| P::resolve(&registry(), self.site, self.index))
    }
}
