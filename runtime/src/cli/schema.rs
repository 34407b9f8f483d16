//! `schema`: the JSON Schema of the configuration file.

use std::{
    collections::BTreeSet,
    io::{self, Write},
};

use serde_json::{Map, Value, json};

use super::plain::plain;
use crate::{
    config::{ENABLED, FORCE},
    kind::PolicyKind,
    policy::{
        settings::PRESET,
        spelling::{Described, Shape, built_in_presets},
    },
    registry::{
        Registry,
        configuration::{Listed, described},
    },
};

pub(super) fn print(registry: &Registry, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &schema(&registry.policies()))?;
    writeln!(out)
}

/// Draft 7: what editors of TOML know.
fn schema(policies: &[Listed]) -> Value {
    let kinds = PolicyKind::ALL.map(|kind| (kind.as_str().to_owned(), of_kind(kind, policies)));
    let mut properties: Map<_, _> = kinds.into_iter().collect();
    properties.insert(PRESET.to_owned(), presets());
    let definitions = PolicyKind::ALL.into_iter().flat_map(|kind| {
        let policy = (kind.to_string(), settings(kind, true));
        [policy, (preset_of(kind), settings(kind, false))]
    });
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Configuration of Steadfast",
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
        "definitions": definitions.collect::<Map<_, _>>(),
    })
}

fn preset_of(kind: PolicyKind) -> String {
    format!("{kind}_preset")
}

fn table(of: impl IntoIterator<Item = (String, Value)>) -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": of.into_iter().collect::<Map<_, _>>(),
    })
}

/// The policies of a kind by their names.
fn of_kind(kind: PolicyKind, policies: &[Listed]) -> Value {
    let of_kind = policies.iter().filter(|policy| policy.kind == kind);
    let reference = json!({ "$ref": format!("#/definitions/{kind}") });
    let policy = |policy: &Listed| match policy.brought {
        [] => (policy.name.to_string(), reference.clone()),
        // What each call brings is not to be said here.
        brought => {
            let any = brought
                .iter()
                .map(|setting| json!({ "required": [setting] }));
            let not = json!({ "not": { "anyOf": any.collect::<Vec<_>>() } });
            (
                policy.name.to_string(),
                json!({ "allOf": [&reference, not] }),
            )
        }
    };
    table(of_kind.map(policy))
}

fn presets() -> Value {
    let kinds = PolicyKind::ALL.map(|kind| {
        let reference = format!("#/definitions/{}", preset_of(kind));
        let presets = json!({
            "type": "object",
            "additionalProperties": { "$ref": reference },
        });
        (kind.to_string(), presets)
    });
    let mut presets = table(kinds);
    presets["description"] = json!("Settings by a name that policies can start from.");
    presets
}

/// The settings of a kind.
fn settings(kind: PolicyKind, is_policy: bool) -> Value {
    let of_kind = described(kind);
    let mut settings: Map<_, _> = of_kind
        .iter()
        .map(|Described { name, doc, shape }| {
            let mut value = value(*shape);
            value["description"] = json!(words(doc));
            ((*name).to_owned(), value)
        })
        .collect();
    if is_policy {
        let words: BTreeSet<_> = built_in_presets(of_kind).iter().collect();
        let preset = json!({
            "description": "The preset that the policy starts from: built in, or defined under `preset`.",
            "anyOf": [{ "enum": words }, { "type": "string" }],
        });
        settings.insert(PRESET.to_owned(), preset);
        let enabled = json!({ "description": "`false`: as if the policy were not there.", "type": "boolean" });
        settings.insert(ENABLED.to_owned(), enabled);
        if kind == PolicyKind::CircuitBreaker {
            let force = json!({
                "description": "Holds the breaker open (every call is refused) or closed (every call is let through).",
                "enum": ["open", "closed", "none"],
            });
            settings.insert(FORCE.to_owned(), force);
        }
    }
    table(settings)
}

/// In one line.
fn words(doc: &str) -> String {
    let plain = plain(doc);
    let words: Vec<_> = plain.split_whitespace().collect();
    words.join(" ")
}

/// The units of durations, as a pattern.
const UNITS: &str = "(ns|us|µs|ms|s|m|h|d)";

fn value(shape: Shape) -> Value {
    let none = json!({ "const": "none" });
    let count = json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX });
    let duration =
        json!({ "type": "string", "pattern": format!(r"^\s*[0-9]+(\.[0-9]+)?\s*{UNITS}\s*$") });
    let rate = format!(r"^\s*[0-9]+\s*/\s*([0-9]+(\.[0-9]+)?\s*)?{UNITS}\s*$");
    match shape {
        Shape::Flag => json!({ "type": "boolean" }),
        Shape::Count => json!({ "anyOf": [count, none] }),
        Shape::Number => json!({ "anyOf": [{ "type": "number" }, none] }),
        Shape::Duration => json!({ "anyOf": [duration, none] }),
        Shape::Rate => json!({ "anyOf": [{ "type": "string", "pattern": rate }, none] }),
        Shape::Window => json!({ "anyOf": [count, duration] }),
        Shape::Word(words) => {
            json!({ "enum": words.iter().copied().chain(["none"]).collect::<Vec<_>>() })
        }
        Shape::WordOrNumber(words) => json!({ "anyOf": [{ "enum": words }, { "type": "number" }] }),
    }
}
