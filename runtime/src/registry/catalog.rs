//! All annotated functions that are linked into the program, and what they agree on.

use std::sync::OnceLock;

use super::{
    declared::Declared,
    names::Names,
    shelf::{Shelf, Shelved},
    site::{Registered, Site},
};
use crate::{
    error::{ConfigError, Said},
    name::PolicyName,
    policy::{
        Policy, kind_of,
        settings::{PRESET, PolicySettings, Written},
    },
};

/// Every site, and what its policies are called.
struct Catalog {
    sites: Vec<&'static Site>,
    names: Names,
}

fn catalog() -> &'static Catalog {
    static CATALOG: OnceLock<Catalog> = OnceLock::new();
    CATALOG.get_or_init(|| {
        let mut sites: Vec<_> = inventory::iter::<Registered>
            .into_iter()
            .map(|r| r.0)
            .collect();
        sites.sort_by_key(|site| site.order());
        Catalog {
            names: Names::of(&sites),
            sites,
        }
    })
}

/// Every site, in the order of their places.
pub(crate) fn sites() -> &'static [&'static Site] {
    &catalog().sites
}

/// The name of a site's policy. One without a name belongs to its function, and is called by the
/// function's path; functions that share a path are told apart by their places.
pub(crate) fn name_of(site: &Site, index: usize) -> PolicyName {
    catalog().names.get(site, index)
}

/// The declarations of one kind and name, in the order of their places.
fn declarations<'n, P: Shelved>(
    name: &'n PolicyName,
) -> impl Iterator<Item = (&'static Site, &'static P::Settings)> + 'n {
    declared::<P>(name).map(|(site, _, settings)| (site, settings))
}

fn declared<'n, P: Shelved>(
    name: &'n PolicyName,
) -> impl Iterator<Item = (&'static Site, &'static Declared, &'static P::Settings)> + 'n {
    sites().iter().flat_map(move |site| {
        let named = move |(index, declared): (usize, &'static Declared)| {
            let settings = P::declared(&declared.settings).filter(|_| !declared.supplied)?;
            (name_of(site, index) == *name).then_some((*site, declared, settings))
        };
        site.policies.iter().enumerate().filter_map(named)
    })
}

/// Whether any site declares a policy of that kind and name.
pub(crate) fn declares<P: Shelved>(name: &PolicyName) -> bool {
    declarations::<P>(name).next().is_some()
}

/// The first site in file and line order that gives settings decides.
pub(crate) fn definer<P: Shelved>(
    name: &PolicyName,
) -> Option<(&'static Site, &'static P::Settings)> {
    declarations::<P>(name).find(|(_, settings)| !settings.is_empty())
}

/// The settings in force for a name, and every mistake in how the sites give them.
pub(crate) struct Ruling<S> {
    pub(crate) settings: S,
    pub(crate) mistakes: Vec<ConfigError>,
}

/// What the sites of a name give it.
pub(crate) fn rule<P: Shelved>(name: &PolicyName) -> Ruling<P::Settings> {
    let mut given = declarations::<P>(name).filter(|(_, settings)| !settings.is_empty());
    let Some((first_site, first)) = given.next() else {
        return complete::<P>(name, P::Settings::default(), Vec::new());
    };
    let mistakes = given.filter_map(|(site, settings)| {
        two_packages::<P>(name, first_site, site)
            .or_else(|| conflict::<P>(name, (first_site, first), (site, settings)))
    });
    let mistakes = mistakes.collect();
    complete::<P>(name, *first, mistakes)
}

fn complete<P: Shelved>(
    name: &PolicyName,
    settings: P::Settings,
    mut mistakes: Vec<ConfigError>,
) -> Ruling<P::Settings> {
    // A site that gives it with each call needs no setting, and serves nobody else.
    let joining = declared::<P>(name).find(|(_, declared, _)| !declared.varying);
    if let (Some(setting), Some((site, _, _))) = (settings.missing(), joining) {
        mistakes.push(ConfigError::Undefined {
            kind: kind_of::<P>(),
            policy: name.clone(),
            setting,
            place: site.place(),
        });
    }
    Ruling {
        settings: settings.harmless(),
        mistakes,
    }
}

fn two_packages<P: Policy>(name: &PolicyName, first: &Site, second: &Site) -> Option<ConfigError> {
    (first.package != second.package).then(|| ConfigError::TwoPackages {
        kind: kind_of::<P>(),
        policy: name.clone(),
        first: Said::boxed(first.package, first.place()),
        second: Said::boxed(second.package, second.place()),
    })
}

fn conflict<P: Policy>(
    name: &PolicyName,
    (first_site, first): (&Site, &P::Settings),
    (second_site, second): (&Site, &P::Settings),
) -> Option<ConfigError> {
    difference(first, second).map(|(setting, first, second)| ConfigError::Conflict {
        kind: kind_of::<P>(),
        policy: name.clone(),
        setting,
        first: Said::boxed(first, first_site.place()),
        second: Said::boxed(second, second_site.place()),
    })
}

/// The first setting in which two sets differ, as they are in force; what they started from is no
/// difference.
pub(crate) fn difference<S: PolicySettings>(
    first: &S,
    second: &S,
) -> Option<(&'static str, String, String)> {
    let pairs = first.effective().into_iter().zip(second.effective());
    pairs
        .filter(|(a, b)| a.value != b.value && a.name != PRESET)
        .map(|(a, b)| (a.name, a.value, b.value))
        .next()
}

/// A site whose settings differ from `installed`.
pub(crate) fn dissenter<P: Shelved>(
    name: &PolicyName,
    installed: &P::Settings,
) -> Option<(&'static Site, (&'static str, String, String))> {
    declarations::<P>(name)
        .filter(|(_, settings)| !settings.is_empty())
        .find_map(|(site, settings)| Some((site, difference(settings, installed)?)))
}

/// Every mistake in what the sites say of one kind of policy. A name that was installed is complete.
pub(crate) fn mistakes<P: Shelved>(shelf: &Shelf<P>) -> Vec<ConfigError> {
    let installed = |error: &ConfigError| matches!(error, ConfigError::Undefined { policy, .. } if shelf.installed(policy).is_some());
    names::<P>()
        .iter()
        .flat_map(|name| rule::<P>(name).mistakes)
        .filter(|error| !installed(error))
        .collect()
}

/// The names whose state is to be shared.
pub(crate) fn shared<P: Shelved>() -> impl Iterator<Item = PolicyName> {
    let is_shared = |name: &PolicyName| rule::<P>(name).settings.is_shared();
    names::<P>().into_iter().filter(is_shared)
}

/// The names of one kind, in order.
fn names<P: Shelved>() -> Vec<PolicyName> {
    let mut names: Vec<PolicyName> = sites()
        .iter()
        .flat_map(|site| {
            let named = site.policies.iter().enumerate();
            named
                .filter(|(_, declared)| {
                    !declared.supplied && P::declared(&declared.settings).is_some()
                })
                .map(|(index, _)| name_of(site, index))
        })
        .collect();
    names.sort();
    names.dedup();
    names
}
