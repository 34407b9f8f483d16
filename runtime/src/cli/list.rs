//! `list`: every protected function.

use std::io::{self, Write};

use super::count;
use crate::registry::{
    Registry,
    listing::{Definition, Origin, Site, SitePolicy, SiteSetting},
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

pub(super) fn print(registry: &Registry, form: Form, out: &mut dyn Write) -> io::Result<()> {
    let sites = registry.sites();
    if form == Form::Json {
        serde_json::to_writer_pretty(&mut *out, &sites)?;
        return writeln!(out);
    }
    if sites.is_empty() {
        return writeln!(
            out,
            "No function that is linked into this program is protected."
        );
    }
    for (nth, site) in sites.iter().enumerate() {
        if nth > 0 {
            writeln!(out)?;
        }
        print_site(site, form, out)?;
    }
    let policies: usize = sites.iter().map(|site| site.policies.len()).sum();
    let functions = sites.len();
    writeln!(
        out,
        "\n{}, {}",
        count(functions, "function", "functions"),
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
        print_policy(site, policy, form, out)?;
    }
    Ok(())
}

fn print_policy(
    site: &Site,
    policy: &SitePolicy,
    form: Form,
    out: &mut dyn Write,
) -> io::Result<()> {
    let kind = policy.kind;
    let name = policy.name.as_ref().filter(|name| **name != site.function);
    let name = name.map_or_else(String::new, |name| format!("`{name}`"));
    let remark = match &policy.definition {
        Definition::Supplied => "supplied with each call",
        Definition::Attribute { place } if place.file != site.file || place.line != site.line => {
            "joined"
        }
        _ => "",
    };
    let line = format!("  {kind:<16} {name} {remark}");
    writeln!(out, "{}", line.trim_end())?;
    let is_shown = |setting: &&SiteSetting| form == Form::All || setting.origin != Origin::BuiltIn;
    for setting in policy.settings.iter().filter(is_shown) {
        let SiteSetting {
            name,
            value,
            origin,
        } = setting;
        let origin = match origin {
            // It is the line above.
            Origin::Attribute { place } if place.file == site.file && place.line == site.line => {
                "attribute".to_owned()
            }
            other => other.to_string(),
        };
        writeln!(out, "    {name:<20} {value:<14} {origin}")?;
    }
    Ok(())
}
