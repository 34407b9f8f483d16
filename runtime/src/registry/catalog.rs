//! All annotated functions that are linked into the program, and what they agree on.

use std::{collections::BTreeMap, sync::OnceLock};

use super::{
    declared::Declared,
    names::Names,
    shelf::Shelved,
    site::{Registered, Site},
};
use crate::{
    error::{ConfigError, Said},
    kind::PolicyKind,
    name::PolicyName,
    place::Place,
    policy::{
        Policy, kind_of,
        settings::{PRESET, PolicySettings, Written},
    },
};

/// Every site, and what its policies are called.
struct Catalog {
    sites: Vec<&'static Site>,
    names: Names,
    /// Who declares a policy. A load asks for each that there is: to look through all sites each time would
    /// take seconds where they are thousands.
    declared: BTreeMap<PolicyKind, Declarations>,
}

/// Of one kind, by name: those that declare it, in the order of their places.
type Declarations = BTreeMap<PolicyName, Vec<(&'static Site, &'static Declared)>>;

fn catalog() -> &'static Catalog {
    static CATALOG: OnceLock<Catalog> = OnceLock::new();
    CATALOG.get_or_init(|| {
        let mut sites: Vec<_> = inventory::iter::<Registered>
            .into_iter()
            .map(|r| r.0)
            .collect();
        sites.sort_by_key(|site| site.order());
        let names = Names::of(&sites);
        Catalog {
            declared: declarations_of(&sites, &names),
            names,
            sites,
        }
    })
}

fn declarations_of(sites: &[&'static Site], names: &Names) -> BTreeMap<PolicyKind, Declarations> {
    let mut all = BTreeMap::<_, Declarations>::new();
    for &site in sites {
        let named = site.policies.iter().enumerate();
        for (index, declared) in named.filter(|(_, declared)| !declared.supplied) {
            let of_kind = all.entry(declared.kind()).or_default();
            let of_name = of_kind.entry(names.get(site, index)).or_default();
            of_name.push((site, declared));
        }
    }
    all
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
fn declarations<P: Shelved>(
    name: &PolicyName,
) -> impl Iterator<Item = (&'static Site, &'static P::Settings)> + use<P> {
    declared::<P>(name).map(|(site, _, settings)| (site, settings))
}

fn declared<P: Shelved>(
    name: &PolicyName,
) -> impl Iterator<Item = (&'static Site, &'static Declared, &'static P::Settings)> + use<P> {
    let of_kind = catalog().declared.get(&kind_of::<P>());
    let of_name = of_kind.and_then(|of_kind| of_kind.get(name));
    of_name
        .into_iter()
        .flatten()
        .filter_map(|(site, declared)| {
            let settings = P::declared(&declared.settings)?;
            Some((*site, *declared, settings))
        })
}

/// Whether any site declares a policy of that kind and name.
pub(crate) fn declares<P: Shelved>(name: &PolicyName) -> bool {
    declarations::<P>(name).next().is_some()
}

/// The settings that the sites of a name give it, where the first of them does, and every mistake in how
/// they do. The first site in file and line order that gives settings decides.
pub(crate) struct Ruling<S> {
    pub(crate) settings: S,
    pub(crate) place: Option<Place>,
    pub(crate) mistakes: Vec<ConfigError>,
}

/// What the sites of a name give it.
pub(crate) fn rule<P: Shelved>(name: &PolicyName) -> Ruling<P::Settings> {
    let mut given = declarations::<P>(name).filter(|(_, settings)| !settings.is_empty());
    let Some((first_site, first)) = given.next() else {
        return Ruling {
            settings: P::Settings::default(),
            place: None,
            mistakes: Vec::new(),
        };
    };
    let mistakes = given.filter_map(|(site, settings)| {
        two_packages::<P>(name, first_site, site)
            .or_else(|| conflict::<P>(name, (first_site, first), (site, settings)))
    });
    Ruling {
        settings: *first,
        place: Some(first_site.place()),
        mistakes: mistakes.collect(),
    }
}

/// What a policy of these settings lacks, where a site relies on it.
pub(crate) fn lacks<P: Shelved>(name: &PolicyName, settings: &P::Settings) -> Option<ConfigError> {
    // A site that gives it with each call needs no setting, and serves nobody else.
    let (site, ..) = declared::<P>(name).find(|(_, declared, _)| !declared.varying)?;
    settings.missing().map(|setting| ConfigError::Undefined {
        kind: kind_of::<P>(),
        policy: name.clone(),
        setting,
        place: site.place(),
    })
}

/// Whether every site of that name gives with each call what others set.
pub(crate) fn varies<P: Shelved>(name: &PolicyName) -> bool {
    let mut varying = declared::<P>(name).map(|(_, declared, _)| declared.varying);
    varying.next() == Some(true) && varying.all(|varying| varying)
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

/// The policy of one kind of a function that is called so, by its path or by the end of it.
#[cfg(feature = "config")]
pub(crate) fn used_by<P: Shelved>(function: &str) -> Option<PolicyName> {
    let is_it = |site: &&&Site| {
        let before = site.function.strip_suffix(function);
        before.is_some_and(|before| before.is_empty() || before.ends_with("::"))
    };
    sites().iter().filter(is_it).find_map(|site| {
        let is_of_kind =
            |declared: &Declared| !declared.supplied && declared.kind() == kind_of::<P>();
        let index = site.policies.iter().position(is_of_kind)?;
        Some(name_of(site, index))
    })
}

/// The names of one kind that sites use, in order.
pub(crate) fn names<P: Shelved>() -> impl Iterator<Item = PolicyName> {
    let of_kind = catalog().declared.get(&kind_of::<P>());
    of_kind.into_iter().flat_map(BTreeMap::keys).cloned()
}
