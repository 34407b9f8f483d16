//! What the policies of all sites are called.

use std::{collections::HashMap, ptr};

use super::{declared::Declared, site::Site};
use crate::{kind::PolicyKind, name::PolicyName};

/// The names of the policies of every site. Worked out for all sites at once: each depends on who else
/// has the same path.
pub(super) struct Names(HashMap<usize, Vec<PolicyName>>);

/// The sites of one path that have an unnamed policy of one kind, in the order of their places.
type Rivals = HashMap<(&'static str, PolicyKind), Vec<&'static Site>>;

impl Names {
    pub(super) fn of(sites: &[&'static Site]) -> Self {
        let rivals = rivals(sites);
        let named = |site: &&'static Site| {
            let names = (0..site.policies.len()).map(|index| name(site, index, &rivals));
            (ptr::from_ref(*site).addr(), names.collect())
        };
        Self(sites.iter().map(named).collect())
    }

    /// The name of a site's policy.
    pub(super) fn get(&self, site: &Site, index: usize) -> PolicyName {
        match self.0.get(&ptr::from_ref(site).addr()) {
            Some(names) => names[index].clone(),
            // Not in the catalog: as if it were alone.
            None => name(site, index, &Rivals::new()),
        }
    }
}

fn rivals(sites: &[&'static Site]) -> Rivals {
    let mut rivals = Rivals::new();
    for &site in sites {
        for declared in site.policies.iter().filter(|d| d.name.is_none()) {
            let of_path = rivals.entry((site.function, declared.kind())).or_default();
            // Once, also where it has two of the kind.
            if of_path.last().is_none_or(|last| !ptr::eq(*last, site)) {
                of_path.push(site);
            }
        }
    }
    rivals
}

/// A policy without a name belongs to its function, and is called by the function's path; functions
/// that share a path are told apart by their places.
fn name(site: &Site, index: usize, rivals: &Rivals) -> PolicyName {
    let declared = &site.policies[index];
    if let Some(name) = declared.name {
        return PolicyName::from_static(name);
    }
    // Timeouts may stand at several heights of one stack; the outermost has the plain name.
    let is_like = |d: &&Declared| d.name.is_none() && d.kind() == declared.kind();
    let above = site.policies[..index].iter().filter(is_like).count();
    let rivals = rivals.get(&(site.function, declared.kind()));
    let own = own_name(site, rivals.map_or(&[], Vec::as_slice));
    match above {
        0 => own,
        nth => format!("{own}#{}", nth + 1).into(),
    }
}

/// The name of the function, told apart from others of its path.
fn own_name(site: &Site, rivals: &[&'static Site]) -> PolicyName {
    if rivals.len() <= 1 {
        return PolicyName::from_static(site.function);
    }
    let Site {
        function,
        file,
        line,
        column,
        ..
    } = site;
    let here = |other: &&&Site| other.file == *file && other.line == *line;
    let neighbours: Vec<_> = rivals.iter().filter(here).collect();
    if neighbours.len() <= 1 {
        return format!("{function}@{file}:{line}").into();
    }
    // Of one line, as from one macro call: the column, and the order in the source.
    let nth = neighbours.iter().position(|other| ptr::eq(**other, site));
    format!(
        "{function}@{file}:{line}:{column}#{}",
        nth.unwrap_or_default()
    )
    .into()
}
