//! `init`: a configuration file to begin with.

use std::io::{self, Write};

use super::plain::plain;
use crate::{
    config::{self, render},
    kind::PolicyKind,
    place::Place,
    policy::{
        settings::{PRESET, Setting},
        spelling::{Described, Shape, built_in_presets},
    },
    registry::{
        Registry,
        configuration::{Listed, described},
        listing::Site,
    },
};

const HEAD: &str = "\
# Settings over those of the attributes. Each line stands for what holds now: take the `#` away, and
# change it. What is left out stays as it is. A change is taken over while the program runs, if it
# watches this file.
#
# `enabled = false` takes a policy out, `preset = \"..\"` starts from a preset, `force = \"open\"` or
# `\"closed\"` holds a circuit breaker there, and `\"none\"` takes away what the attribute writes.
# A preset of your own, for any kind of policy:
#
# [preset.retry.gentle]
# max_attempts = 2
";

pub(super) fn print(registry: &Registry, out: &mut dyn Write) -> io::Result<()> {
    write!(out, "{HEAD}")?;
    let sites = registry.sites();
    for policy in registry.policies() {
        print_policy(&policy, &sites, out)?;
    }
    Ok(())
}

fn print_policy(policy: &Listed, sites: &[Site], out: &mut dyn Write) -> io::Result<()> {
    let Listed {
        kind,
        name,
        settings,
        brought,
        installed,
    } = policy;
    writeln!(out)?;
    let is_of = |site: &&Site| {
        let mut policies = site.policies.iter();
        policies.any(|of| of.kind == *kind && of.name.as_ref() == Some(name))
    };
    for site in sites.iter().filter(is_of) {
        writeln!(out, "# {} ({}:{})", site.function, site.file, site.line)?;
    }
    if let Some(Place { file, line, .. }) = installed {
        writeln!(out, "# installed ({file}:{line})")?;
    }
    writeln!(out, "# as variables: {}..", config::prefix(*kind, name))?;
    writeln!(out, "[{kind}.{}]", render::key(name))?;
    for Described { name, doc, shape } in described(*kind) {
        let setting = settings.iter().find(|setting| setting.name == *name);
        let is_said =
            |setting: &&Setting| !brought.contains(name) && !is_own_preset(*kind, setting);
        let Some(setting) = setting.filter(is_said) else {
            continue;
        };
        for line in plain(doc).lines() {
            writeln!(out, "## {}", line.trim())?;
        }
        if let Some(choices) = choices(*shape) {
            writeln!(out, "## {choices}")?;
        }
        writeln!(out, "# {name} = {}", render::value(*shape, &setting.value))?;
    }
    for setting in settings.iter().filter(|setting| is_extra(setting.name)) {
        let text = match setting.value.as_str() {
            flag @ ("true" | "false") => flag.to_owned(),
            text => render::text(text),
        };
        writeln!(out, "# {} = {text}", setting.name)?;
    }
    Ok(())
}

/// What a setting can be that is one of a few words.
fn choices(shape: Shape) -> Option<String> {
    let (words, or) = match shape {
        Shape::Word(words) => (words, "."),
        Shape::WordOrNumber(words) => (words, ", or a fraction such as 0.1."),
        _ => return None,
    };
    let quoted: Vec<_> = words.iter().map(|word| render::text(word)).collect();
    Some(format!("One of {}{or}", quoted.join(", ")))
}

/// It is defined in a file that need not be there beside this one. All that it says stands here, too.
fn is_own_preset(kind: PolicyKind, setting: &Setting) -> bool {
    let built_in = built_in_presets(described(kind));
    let value = setting.value.as_str();
    setting.name == PRESET && value != config::NONE && !built_in.contains(&value)
}

fn is_extra(name: &str) -> bool {
    [config::ENABLED, config::FORCE].contains(&name)
}
