//! `list`: every protected function, and what protects none.

use std::io::{self, Write};

use super::count;
use crate::{
    name::PolicyName,
    place::Place,
    registry::{
        Registry,
        listing::{Definition, Origin, Site, SitePolicy, SiteSetting},
    },
};

/// How much of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// The settings that somebody wrote.
    Written,
    /// All settings.
    All,
    /// All of it, for programs.
    Json,
}

/// All that there is.
#[derive(serde::Serialize)]
struct List {
    functions: Vec<Site>,
    /// Policies that no function joins.
    installed: Vec<SitePolicy>,
}

pub(super) fn print(registry: &Registry, form: Form, out: &mut dyn Write) -> io::Result<()> {
    let list = List {
        functions: registry.sites(),
        installed: registry.installed(),
    };
    if form == Form::Json {
        serde_json::to_writer_pretty(&mut *out, &list)?;
        return writeln!(out);
    }
    if list.functions.is_empty() {
        writeln!(
            out,
            "No function that is linked into this program is protected."
        )?;
    }
    for (nth, site) in list.functions.iter().enumerate() {
        if nth > 0 {
            writeln!(out)?;
        }
        print_site(site, form, out)?;
    }
    print_installed(&list.installed, form, out)?;
    print_sum(&list, form, out)
}

fn print_installed(installed: &[SitePolicy], form: Form, out: &mut dyn Write) -> io::Result<()> {
    if installed.is_empty() {
        return Ok(());
    }
    writeln!(out, "\ninstalled, and joined by no function")?;
    for policy in installed {
        let here = policy.definition.installed();
        let here = here.map(|place| (place.file, place.line));
        let place = here.map_or_else(String::new, |(file, line)| format!(" {file}:{line}"));
        print_policy(policy, policy.name.as_ref(), &place, here, form, out)?;
    }
    Ok(())
}

fn print_sum(list: &List, form: Form, out: &mut dyn Write) -> io::Result<()> {
    let List {
        functions,
        installed,
    } = list;
    if functions.is_empty() && installed.is_empty() {
        return Ok(());
    }
    let policies: usize = functions.iter().map(|site| site.policies.len()).sum();
    let more = match installed.len() {
        0 => String::new(),
        n => format!(", {n} installed"),
    };
    writeln!(
        out,
        "\n{}, {}{more}",
        count(functions.len(), "function", "functions"),
        count(policies, "policy", "policies")
    )?;
    if form == Form::Written {
        writeln!(
            out,
            "Settings that have their defaults are left out: `list --all` has them."
        )?;
    }
    Ok(())
}

fn print_site(site: &Site, form: Form, out: &mut dyn Write) -> io::Result<()> {
    let Site {
        function,
        file,
        line,
        ..
    } = site;
    writeln!(out, "{function}  {file}:{line}")?;
    for policy in &site.policies {
        let name = policy.name.as_ref().filter(|name| **name != site.function);
        let remark = match &policy.definition {
            Definition::Supplied => "supplied with each call",
            Definition::Installed { .. } => "installed",
            Definition::Attribute { place } if place.file != *file || place.line != *line => {
                "joined"
            }
            _ => "",
        };
        print_policy(policy, name, remark, Some((file, *line)), form, out)?;
    }
    Ok(())
}

/// `here`: the place that is named above.
fn print_policy(
    policy: &SitePolicy,
    name: Option<&PolicyName>,
    remark: &str,
    here: Option<(&str, u32)>,
    form: Form,
    out: &mut dyn Write,
) -> io::Result<()> {
    let kind = policy.kind;
    let name = name.map_or_else(String::new, |name| format!("`{name}`"));
    let line = format!("  {kind:<16} {name} {remark}");
    writeln!(out, "{}", line.trim_end())?;
    let is_shown = |setting: &&SiteSetting| form == Form::All || setting.origin != Origin::BuiltIn;
    for setting in policy.settings.iter().filter(is_shown) {
        let SiteSetting {
            name,
            value,
            origin,
        } = setting;
        let is_here = |place: &Place| Some((place.file, place.line)) == here;
        let origin = match origin {
            Origin::Attribute { place } if is_here(place) => "attribute".to_owned(),
            Origin::Installed { place } if is_here(place) => "installed".to_owned(),
            other => other.to_string(),
        };
        writeln!(out, "    {name:<20} {value:<14} {origin}")?;
    }
    Ok(())
}
