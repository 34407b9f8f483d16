//! From TOML to a [`Document`].

use std::{borrow::Cow, ops::Range};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    ConfigPlace,
    document::{Document, Entry, Table},
    place::Places,
};
use crate::{error::ConfigError, kind::PolicyKind, nearest::nearest, policy::spelling::Given};

/// The table of the presets.
const PRESETS: &str = "preset";

/// Reads a whole text, and finds every mistake that shows without knowing the program. Of a text that is
/// no TOML there is no document: half of one would only bring mistakes that are none.
pub(super) fn read(text: &str, file: Option<&str>) -> (Option<Document>, Vec<ConfigError>) {
    let mut reader = Reader {
        text,
        places: Places::of(file, text),
        document: Document::default(),
        mistakes: Vec::new(),
    };
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        reader.syntax(error);
    }
    // What follows a mistake in its line is only surprised by it.
    reader
        .mistakes
        .dedup_by_key(|mistake| mistake.at().map(ConfigPlace::line));
    if !errors.is_empty() {
        return (None, reader.mistakes);
    }
    reader.read(table.get_ref());
    (Some(reader.document), reader.mistakes)
}

struct Reader<'t> {
    text: &'t str,
    places: Places<'t>,
    document: Document,
    mistakes: Vec<ConfigError>,
}

type Value<'v> = Spanned<DeValue<'v>>;

impl Reader<'_> {
    fn place(&self, span: Range<usize>) -> ConfigPlace {
        ConfigPlace::File(self.places.at(span.start))
    }

    fn syntax(&mut self, error: &toml::de::Error) {
        let span = error.span().unwrap_or_default();
        let problem = match error.message() {
            "duplicate key" => {
                let key = self.text.get(span.clone()).unwrap_or_default();
                format!("duplicate key `{key}`: write it once")
            }
            problem if problem.starts_with("invalid unquoted key") => {
                format!("{problem}: write a name of other characters in quotes")
            }
            // The word only begins like one.
            problem if problem.starts_with("invalid boolean") => {
                "write a word in quotes, and a flag as `true` or `false`".to_owned()
            }
            problem => problem.to_owned(),
        };
        self.wrong(self.place(span), problem);
    }

    fn wrong(&mut self, at: ConfigPlace, problem: String) {
        let at = Box::new(at);
        self.mistakes.push(ConfigError::Syntax { at, problem });
    }

    fn read(&mut self, document: &DeTable<'_>) {
        for (key, value) in document {
            if key.get_ref() == PRESETS {
                self.read_presets(value);
            } else if let Some(kind) = self.kind(key, &[PRESETS]) {
                let policies = self.tables(kind, value, &format!("[{kind}.name]"));
                self.document.policies.extend(policies);
            }
        }
    }

    fn read_presets(&mut self, value: &Value<'_>) {
        let Some(kinds) = self.table(value, "[preset.retry.name]") else {
            return;
        };
        for (key, value) in kinds {
            if let Some(kind) = self.kind(key, &[]) {
                let presets = self.tables(kind, value, &format!("[preset.{kind}.name]"));
                self.document.presets.extend(presets);
            }
        }
    }

    /// `others` are what may stand there besides kinds.
    fn kind(&mut self, key: &Spanned<Cow<'_, str>>, others: &[&'static str]) -> Option<PolicyKind> {
        let word = key.get_ref();
        let kind = PolicyKind::ALL
            .into_iter()
            .find(|kind| kind.as_str() == word);
        if kind.is_none() {
            let words = PolicyKind::ALL.map(PolicyKind::as_str);
            let words = words.iter().chain(others).copied();
            self.mistakes.push(ConfigError::UnknownKind {
                at: Box::new(self.place(key.span())),
                kind: word.to_string(),
                nearest: nearest(word, words),
            });
        }
        kind
    }

    /// The tables of one kind.
    fn tables(
        &mut self,
        kind: PolicyKind,
        value: &Value<'_>,
        example: &str,
    ) -> Vec<((PolicyKind, String), Table)> {
        let Some(names) = self.table(value, example) else {
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (name, value) in names {
            let at = self.place(name.span());
            if let Some(settings) = self.table(value, example) {
                let entries = settings.iter().map(|(key, value)| self.entry(key, value));
                let entries = entries.collect();
                let key = (kind, name.get_ref().clone().into_owned());
                tables.push((key, Table { at, entries }));
            }
        }
        tables
    }

    fn table<'v>(&mut self, value: &'v Value<'_>, example: &str) -> Option<&'v DeTable<'v>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            let at = self.place(value.span());
            let found = given(value.get_ref()).found();
            self.wrong(
                at,
                format!("here stands a table of settings: write {example}, not {found}"),
            );
        }
        table
    }

    fn entry(&self, key: &Spanned<Cow<'_, str>>, value: &Value<'_>) -> Entry {
        Entry {
            key: key.get_ref().clone().into_owned(),
            at: self.place(key.span()),
            given: given(value.get_ref()),
            value_at: self.place(value.span()),
        }
    }
}

fn float(text: &str) -> Given {
    text.parse().map_or(TOO_LARGE, Given::Number)
}

const TOO_LARGE: Given = Given::Other("a number that is too large");

fn given(value: &DeValue<'_>) -> Given {
    match value {
        DeValue::String(text) => Given::Text(text.clone().into_owned()),
        DeValue::Integer(number) => {
            match (
                i64::from_str_radix(number.as_str(), number.radix()),
                number.radix(),
            ) {
                (Ok(number), _) => Given::Whole(number),
                (Err(_), 10) => float(number.as_str()),
                (Err(_), _) => TOO_LARGE,
            }
        }
        DeValue::Float(number) => float(number.as_str()),
        DeValue::Boolean(flag) => Given::Flag(*flag),
        DeValue::Datetime(_) => Given::Other("a date"),
        DeValue::Array(_) => Given::Other("an array"),
        DeValue::Table(_) => Given::Other("a table"),
    }
}
