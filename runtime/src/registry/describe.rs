//! From what attributes say to what is shown of them.

#[allow(clippy::wildcard_imports)]
use super::policies::*;
use super::{
    catalog::{self, name_of},
    declared::{AnySettings, Declared},
    in_force,
    listing::{Definition, Origin, Site as Listed, SitePolicy, SiteSetting},
    registry::Registry,
    shelf::{Shelf, Shelved},
    site::Site,
};
use crate::{
    name::PolicyName,
    policy::{
        kind_of,
        settings::{PRESET, PolicySettings, Setting},
    },
};

/// Every site, as it stands in a registry.
pub(super) fn sites(registry: &Registry) -> Vec<Listed> {
    let listed = |site: &&'static Site| Listed {
        function: site.function,
        file: site.file,
        line: site.line,
        package: site.package,
        policies: (0..site.policies.len())
            .map(|index| policy(registry, site, index))
            .collect(),
    };
    catalog::sites().iter().map(listed).collect()
}

macro_rules! describe {
    ($($handle:ident: $Policy:ident, $Settings:ident, $Builder:ident;)*) => {
        fn policy(registry: &Registry, site: &Site, index: usize) -> SitePolicy {
            let declared = &site.policies[index];
            let name = || name_of(site, index);
            match declared.settings {
                _ if declared.supplied => supplied(declared),
                $(AnySettings::$Policy(_) => {
                    described(registry, &registry.shelves().$handle, name(), declared.varying)
                })*
            }
        }

        /// The policies that were installed and that no site joins.
        #[cfg(feature = "cli")]
        pub(super) fn installed(registry: &Registry) -> Vec<SitePolicy> {
            let mut all = Vec::new();
            $(all.extend(alone(registry, &registry.shelves().$handle));)*
            all
        }
    };
}
policies!(describe);

#[cfg(feature = "cli")]
fn alone<P: Shelved>(registry: &Registry, shelf: &Shelf<P>) -> Vec<SitePolicy> {
    let names = shelf.names().into_iter();
    let alone = names.filter(|name| !catalog::declares::<P>(name));
    let described = |name| described(registry, shelf, name, false);
    alone.map(described).collect()
}

fn supplied(declared: &Declared) -> SitePolicy {
    SitePolicy {
        kind: declared.kind(),
        name: None,
        definition: Definition::Supplied,
        settings: Vec::new(),
    }
}

fn described<P: Shelved>(
    registry: &Registry,
    shelf: &Shelf<P>,
    name: PolicyName,
    varying: bool,
) -> SitePolicy {
    let defined = in_force::defined(shelf, &name);
    let (base, definition) = (defined.base.settings, defined.definition.clone());
    let resolved = registry.in_force::<P>(&name, defined);
    let keeps_preset = !resolved.origins.contains_key(PRESET);
    let describe = |Setting { name, value }: Setting| {
        let is_brought = varying && resolved.settings.brought().contains(&name);
        let (value, origin) = match resolved.origins.get(name) {
            _ if is_brought => ("of the call".to_owned(), Origin::Call),
            Some(origin) => (value, origin.clone()),
            None => (value, origin(&base, keeps_preset, &definition, name)),
        };
        SiteSetting {
            name,
            value,
            origin,
        }
    };
    SitePolicy {
        kind: kind_of::<P>(),
        name: Some(name),
        settings: resolved.shown().into_iter().map(describe).collect(),
        definition,
    }
}

/// Where a setting comes from that no configuration says; `keeps_preset`: nor does it name another.
fn origin<S: PolicySettings>(
    base: &S,
    keeps_preset: bool,
    definition: &Definition,
    name: &str,
) -> Origin {
    if base.is_written(name) {
        return definition.origin();
    }
    match keeps_preset && base.is_preset(name) {
        true => Origin::Preset,
        false => Origin::BuiltIn,
    }
}
