//! From what attributes say to what is shown of them.

#[allow(clippy::wildcard_imports)]
use super::policies::*;
use super::{
    catalog::{self, name_of},
    declared::{AnySettings, Declared},
    listing::{Definition, Origin, Site as Listed, SitePolicy, SiteSetting},
    shelf::{Installed, Shelf, Shelved, Shelves},
    site::Site,
};
use crate::{
    name::PolicyName,
    policy::{
        kind_of,
        settings::{PolicySettings, Setting},
    },
};

/// Every site, as it stands in a registry.
pub(super) fn sites(shelves: &Shelves) -> Vec<Listed> {
    let listed = |site: &&'static Site| Listed {
        function: site.function,
        file: site.file,
        line: site.line,
        package: site.package,
        policies: (0..site.policies.len())
            .map(|index| policy(shelves, site, index))
            .collect(),
    };
    catalog::sites().iter().map(listed).collect()
}

macro_rules! describe {
    ($($handle:ident: $Policy:ident, $Settings:ident, $Builder:ident;)*) => {
        fn policy(shelves: &Shelves, site: &Site, index: usize) -> SitePolicy {
            let declared = &site.policies[index];
            let name = || name_of(site, index);
            match declared.settings {
                _ if declared.supplied => supplied(declared),
                $(AnySettings::$Policy(_) => described(&shelves.$handle, declared, name()),)*
            }
        }
    };
}
policies!(describe);

fn supplied(declared: &Declared) -> SitePolicy {
    SitePolicy {
        kind: declared.kind(),
        name: None,
        definition: Definition::Supplied,
        settings: Vec::new(),
    }
}

fn described<P: Shelved>(shelf: &Shelf<P>, declared: &Declared, name: PolicyName) -> SitePolicy {
    let (written, definition) = definition(shelf, &name);
    let settings = written.effective().into_iter();
    SitePolicy {
        kind: kind_of::<P>(),
        name: Some(name),
        settings: settings
            .map(|setting| described_setting(&written, &definition, declared, setting))
            .collect(),
        definition,
    }
}

/// The settings of a name, as written, and where that is: what was installed is in force, since it was
/// there before the first call.
fn definition<P: Shelved>(shelf: &Shelf<P>, name: &PolicyName) -> (P::Settings, Definition) {
    if let Some(Installed { settings, place }) = shelf.installed(name) {
        return (settings, Definition::Installed { place });
    }
    match catalog::definer::<P>(name) {
        Some((site, settings)) => {
            let place = site.place();
            (*settings, Definition::Attribute { place })
        }
        None => (P::Settings::default(), Definition::BuiltIn),
    }
}

fn described_setting<S: PolicySettings>(
    written: &S,
    definition: &Definition,
    declared: &Declared,
    Setting { name, value }: Setting,
) -> SiteSetting {
    let is_missing = written.missing() == Some(name);
    let (value, origin) = match is_missing && declared.varying {
        true => ("of the call".to_owned(), Origin::Call),
        false if written.is_written(name) => (value, definition.origin()),
        false if written.is_preset(name) => (value, Origin::Preset),
        false => (value, Origin::BuiltIn),
    };
    SiteSetting {
        name,
        value,
        origin,
    }
}
