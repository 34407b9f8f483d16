//! Arguments asked for one by one. What nobody asked for is an error at the end.

use super::{
    argument::{Argument, arguments},
    duration::duration,
    literal::{Literal, bare, literal, word},
    nearest::{list, nearest},
    rate::rate,
};
use crate::{
    errors::Errors,
    kind::Kind,
    model::setting::{Choice, Range, Setting, Settings, Shape, Value},
};
use proc_macro2::{Group, TokenStream};
use quote::ToTokens;
use syn::{Expr, ExprClosure, Ident, LitStr, Path, spanned::Spanned};

/// Reads the arguments of one attribute, and gathers its settings on the way.
pub(crate) struct Reader<'e> {
    kind: Kind,
    /// Whose arguments these are, in the user's spelling.
    owner: String,
    arguments: Vec<Argument>,
    known: Vec<&'static str>,
    settings: Settings,
    pub(crate) errors: &'e mut Errors,
}

impl<'e> Reader<'e> {
    pub(crate) fn new(kind: Kind, tokens: TokenStream, errors: &'e mut Errors) -> Self {
        Self {
            kind,
            owner: format!("#[{}]", kind.attribute()),
            arguments: arguments(tokens, errors),
            known: Vec::new(),
            settings: Settings::default(),
            errors,
        }
    }

    /// Reads the list of one argument, such as `cache(..)`.
    pub(crate) fn nested(&mut self, owner: &str, group: &Group) -> Reader<'_> {
        let mut inner = Reader::new(self.kind, group.stream(), self.errors);
        inner.owner = owner.into();
        inner
    }

    /// The settings, once every argument has been asked for; says what nobody asked for.
    pub(crate) fn finish(mut self) -> Settings {
        for argument in &self.arguments {
            if let Some(meant) = argument.key().and_then(|key| meant(key, &self.known)) {
                self.settings.note(meant);
            }
            let message = match argument.key() {
                Some(key) if key == "shared" => stateless(&self.owner),
                Some(key) => unknown(&self.owner, key, &self.known),
                None => stray(self.kind),
            };
            match argument.key() {
                Some(key) => self.errors.on(key, message),
                None => self.errors.on(argument, message),
            }
        }
        self.settings
    }

    // Words and lists

    /// Where the next argument of that name is.
    fn argument(&self, name: &str) -> Option<usize> {
        let is_named = |argument: &Argument| argument.key().is_some_and(|key| key == name);
        self.arguments.iter().position(is_named)
    }

    fn take(&mut self, name: &'static str) -> Option<Argument> {
        self.known.push(name);
        let first = self.argument(name)?;
        let first = self.arguments.remove(first);
        while let Some(again) = self.argument(name) {
            let again = self.arguments.remove(again);
            self.errors
                .on(again.key(), format!("`{name}` is given twice: keep one"));
        }
        Some(first)
    }

    /// A word that stands alone.
    pub(crate) fn flag(&mut self, name: &'static str) -> Option<Ident> {
        match self.take(name)? {
            Argument::Word(word) => Some(word),
            other => {
                self.errors.on(
                    other,
                    format!("`{name}` takes no value: write `{name}` alone"),
                );
                None
            }
        }
    }

    /// A word that stands alone and sets the setting of its name.
    pub(crate) fn flag_setting(&mut self, name: &'static str) {
        if let Some(key) = self.flag(name) {
            self.settings.note(name);
            let source = syn::parse_quote_spanned!(key.span()=> true);
            self.settings
                .push(Setting::new(key, source, Value::Switch(true), Shape::Plain));
        }
    }

    /// `name(..)`
    pub(crate) fn list(&mut self, name: &'static str, example: &str) -> Option<(Ident, Group)> {
        match self.take(name)? {
            Argument::List(key, group) => Some((key, group)),
            other => {
                self.errors.on(
                    other,
                    format!("`{name}` takes a list: write `{name}({example})`"),
                );
                None
            }
        }
    }

    /// The value of `name = value`.
    fn pair(&mut self, name: &'static str, example: &str) -> Option<(Ident, Expr)> {
        match self.take(name)? {
            Argument::Pair(key, value) => Some((key, value)),
            other => {
                self.errors.on(
                    other,
                    format!("`{name}` needs a value: write `{name} = {example}`"),
                );
                None
            }
        }
    }

    // What belongs to the site

    /// Arguments that belong somewhere else, and are said to.
    pub(crate) fn misplaced(&mut self, names: &[&str], place: &str) {
        for name in names {
            if let Some(place_in_list) = self.argument(name) {
                let argument = self.arguments.remove(place_in_list);
                self.errors.on(
                    argument.key(),
                    format!("`{name}` belongs into {place}: write it there"),
                );
            }
        }
    }

    /// Any expression.
    pub(crate) fn expression(&mut self, name: &'static str, example: &str) -> Option<Expr> {
        self.pair(name, example).map(|(_, value)| value)
    }

    /// A path or a closure of one parameter.
    pub(crate) fn function(&mut self, name: &'static str, parameter: &str) -> Option<Expr> {
        let example = format!("|{parameter}| ..");
        let value = self.expression(name, &example)?;
        self.check_function(name, &value, &example).then_some(value)
    }

    fn check_function(&mut self, name: &str, value: &Expr, example: &str) -> bool {
        match bare(value) {
            Expr::Closure(closure) if closure.inputs.len() != 1 => {
                self.errors.on(
                    closure_head(closure),
                    format!("`{name}` is given one value: write `{name} = {example}`"),
                );
                false
            }
            Expr::Lit(_) => {
                self.errors.on(
                    value,
                    format!("`{name}` takes a function or a closure: write `{name} = {example}`"),
                );
                false
            }
            _ => true,
        }
    }

    /// A new name for the body.
    pub(crate) fn binding(&mut self, name: &'static str, example: &str) -> Option<Ident> {
        let (_, value) = self.pair(name, example)?;
        let bound = word(&value).cloned();
        if bound.is_none() {
            self.errors.on(
                value,
                format!("`{name}` names a new variable: write `{name} = {example}`"),
            );
        }
        bound
    }

    /// A path.
    pub(crate) fn path(&mut self, name: &'static str, example: &str) -> Option<Path> {
        let (_, value) = self.pair(name, example)?;
        match bare(&value) {
            Expr::Path(path) if path.qself.is_none() => Some(path.path.clone()),
            _ => {
                self.errors.on(
                    &value,
                    format!("`{name}` takes a path: write `{name} = {example}`"),
                );
                None
            }
        }
    }

    // What stands without a key

    /// The policy's name: a string before everything else.
    pub(crate) fn name(&mut self) -> Option<LitStr> {
        let Some(Argument::Positional(first)) = self.arguments.first() else {
            return None;
        };
        let Some(Literal::Text(text)) = literal(first) else {
            return None;
        };
        let text = text.clone();
        self.arguments.remove(0);
        if text.value().trim().is_empty() {
            self.errors.on(
                &text,
                "a name cannot be empty: write one, or leave it out for an instance of this function alone",
            );
        }
        Some(text)
    }

    /// Is the string at the start followed by another value, or by `key = ..`?
    pub(crate) fn leads(&self, key: &str) -> bool {
        self.arguments.iter().skip(1).any(|argument| {
            matches!(argument, Argument::Positional(_))
                || argument.key().is_some_and(|other| other == key)
        })
    }

    /// The next argument that no key of this attribute claims, as an expression: a bare word, a call.
    pub(crate) fn unclaimed(&mut self, others: &[&str]) -> Option<Expr> {
        let is_free = |argument: &Argument| match argument {
            Argument::Positional(_) => true,
            Argument::Word(key) | Argument::List(key, _) => {
                !others.iter().any(|other| key == other)
            }
            Argument::Pair(..) => false,
        };
        let place = self.arguments.iter().position(is_free)?;
        let argument = self.arguments.remove(place);
        self.errors.keep(syn::parse2(argument.to_token_stream()))
    }

    // Settings

    /// The value of the setting `name = value`.
    fn setting(&mut self, name: &'static str, example: &str) -> Option<(Ident, Expr)> {
        if self.argument(name).is_some() {
            self.settings.note(name);
        }
        self.pair(name, example)
    }

    fn set(&mut self, key: Ident, source: Expr, value: Value, shape: Shape) {
        self.settings.push(Setting::new(key, source, value, shape));
    }

    /// A whole number of at least one.
    pub(crate) fn count(&mut self, name: &'static str, example: &str) {
        let Some((key, source)) = self.setting(name, example) else {
            return;
        };
        match count(name, &source, example) {
            Ok(value) => self.set(key, source, value, Shape::Plain),
            Err(message) => self.errors.on(source, message),
        }
    }

    /// A number within a range.
    pub(crate) fn number(&mut self, name: &'static str, range: Range, example: &str) {
        let Some((key, source)) = self.setting(name, example) else {
            return;
        };
        match number(name, &source, range, example) {
            Ok(value) => self.set(key, source, value, Shape::Plain),
            Err(message) => self.errors.on(source, message),
        }
    }

    /// A duration above zero.
    pub(crate) fn duration(&mut self, name: &'static str, example: &str) {
        let Some((key, source)) = self.setting(name, example) else {
            return;
        };
        match span_of_time(name, &source, example) {
            Ok(value) => self.set(key, source, value, Shape::Plain),
            Err(message) => self.errors.on(source, message),
        }
    }

    /// A duration given without a key.
    pub(crate) fn positional_duration(&mut self, name: &'static str, source: Expr) {
        let key = Ident::new(name, source.span());
        self.settings.note(name);
        match span_of_time(name, &source, "2s") {
            Ok(value) => self.set(key, source, value, Shape::Plain),
            Err(message) => self.errors.on(source, message),
        }
    }

    /// A rate.
    pub(crate) fn rate(&mut self, name: &'static str, example: &str) {
        let Some((key, source)) = self.setting(name, example) else {
            return;
        };
        match rate_value(name, &source, example) {
            Ok(value) => self.set(key, source, value, Shape::Plain),
            Err(message) => self.errors.on(source, message),
        }
    }

    /// `true` or `false`
    pub(crate) fn switch(&mut self, name: &'static str, example: &str) {
        let Some((key, source)) = self.setting(name, example) else {
            return;
        };
        let value = match literal(&source) {
            Some(Literal::Truth(truth)) => Value::Switch(truth.value),
            None => Value::Expression,
            Some(_) => {
                self.errors.on(
                    source,
                    format!("`{name}` is on or off: write `{name} = {example}`"),
                );
                return;
            }
        };
        self.set(key, source, value, Shape::Plain);
    }

    /// One of a few words.
    pub(crate) fn choice(&mut self, name: &'static str, choice: Choice) {
        let Some((key, source)) = self.setting(name, choice.words[0].0) else {
            return;
        };
        match chosen(name, &source, choice) {
            Ok(value) => self.set(key, source, value, Shape::Plain),
            Err(message) => self.errors.on(source, message),
        }
    }

    /// One of the presets, which may stand in quotes, as in a configuration file. `others` are those of
    /// another attribute.
    pub(crate) fn preset(&mut self, presets: Choice, (owner, others): (&str, Choice)) {
        let name = "preset";
        let Some((key, source)) = self.setting(name, presets.words[0].0) else {
            return;
        };
        let written = match literal(&source) {
            Some(Literal::Text(text)) => Some(text.value()),
            _ => word(&source).map(ToString::to_string),
        };
        let read = match written {
            Some(word) => variant(name, &word, presets).map_err(|unknown| {
                let names = presets.names();
                let is_near = nearest(&word.to_lowercase(), &names).is_some();
                match others.variant(&word) {
                    Some(_) => format!(
                        "`{word}` is a preset of `{owner}`: `{name}` is one of {} here",
                        list(&names)
                    ),
                    None if is_near => unknown,
                    None => format!(
                        "{unknown}\na preset of your own is named in the configuration, not here"
                    ),
                }
            }),
            None => chosen(name, &source, presets),
        };
        match read {
            Ok(value) => self.set(key, source, value, Shape::Plain),
            Err(message) => self.errors.on(source, message),
        }
    }

    /// One of a few words, or a function, which is handed back.
    pub(crate) fn choice_or_function(
        &mut self,
        name: &'static str,
        choice: Choice,
        parameter: &str,
    ) -> Option<Expr> {
        let (key, source) = self.setting(name, choice.words[0].0)?;
        if is_choice(&source, choice) {
            match chosen(name, &source, choice) {
                Ok(value) => self.set(key, source, value, Shape::Plain),
                Err(message) => self.errors.on(source, message),
            }
            return None;
        }
        self.check_function(name, &source, &format!("|{parameter}| .."))
            .then_some(source)
    }

    /// One of a few words, or a fraction.
    pub(crate) fn choice_or_fraction(&mut self, name: &'static str, choice: Choice, range: Range) {
        let Some((key, source)) = self.setting(name, choice.words[0].0) else {
            return;
        };
        let is_number = !is_choice(&source, choice);
        let (read, shape) = match is_number {
            true => (number(name, &source, range, "0.2"), Shape::Fraction),
            false => (chosen(name, &source, choice), Shape::Plain),
        };
        match read {
            Ok(value) => self.set(key, source, value, shape),
            Err(message) => self.errors.on(source, message),
        }
    }

    /// A number of calls, or a duration.
    pub(crate) fn window(&mut self, name: &'static str) {
        let Some((key, source)) = self.setting(name, "100") else {
            return;
        };
        let read = match literal(&source) {
            Some(Literal::Text(_)) => span_of_time(name, &source, "60s"),
            None => Ok(Value::Expression),
            Some(_) => count(name, &source, "100"),
        };
        match read {
            Ok(value) => self.set(key, source, value, Shape::Window),
            Err(message) => self.errors.on(source, message),
        }
    }

    /// Hands a setting back that turns out to belong to the site.
    pub(crate) fn settings_mut(&mut self) -> &mut Settings {
        &mut self.settings
    }
}

/// `|a, b|`
pub(crate) fn closure_head(closure: &ExprClosure) -> TokenStream {
    let mut head = closure.or1_token.to_token_stream();
    closure.inputs.to_tokens(&mut head);
    closure.or2_token.to_tokens(&mut head);
    head
}

/// `shared` where there is nothing to share.
fn stateless(owner: &str) -> String {
    format!(
        "`{owner}` has no state that instances could share: `shared` is for a circuit breaker, a rate limit, a bulkhead or a fallback with a cache"
    )
}

fn unknown(owner: &str, key: &Ident, known: &[&str]) -> String {
    let word = key.to_string();
    if matches!(&*word, "enabled" | "force") {
        return format!(
            "`{word}` is for the configuration, a file or a variable: `{owner}` has no such argument"
        );
    }
    let all = list(known);
    match meant(key, known) {
        Some(meant) => {
            format!("`{word}` is unknown: write `{meant}`\nthe arguments of `{owner}` are {all}")
        }
        None => format!("`{word}` is unknown: the arguments of `{owner}` are {all}"),
    }
}

/// The argument that was probably meant.
fn meant<'a>(key: &Ident, known: &[&'a str]) -> Option<&'a str> {
    let word = key.to_string();
    elsewhere(&word, known).or_else(|| nearest(&word, known))
}

/// What an argument is called here that people know by another name.
fn elsewhere<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    const NAMES: [(&str, &str); 16] = [
        ("attempts", "max_attempts"),
        ("retries", "max_attempts"),
        ("max_retries", "max_attempts"),
        ("delay", "base_delay"),
        ("initial_delay", "base_delay"),
        ("min_delay", "base_delay"),
        ("factor", "multiplier"),
        ("strategy", "backoff"),
        ("retry_if", "when"),
        ("retry_on", "when"),
        ("threshold", "failure_threshold"),
        ("reset_timeout", "recovery_timeout"),
        ("limit", "rate"),
        ("permits", "max_concurrent"),
        ("ttl", "fresh"),
        ("duration", "after"),
    ];
    let names = NAMES.iter().filter(|(name, _)| *name == word);
    let mut ours = names.filter_map(|(_, ours)| known.iter().find(|key| *key == ours));
    ours.next().copied()
}

fn stray(kind: Kind) -> String {
    match kind {
        Kind::Timeout => {
            "a timeout takes a name and a duration: write `#[timeout(\"quotes\", \"2s\")]`".into()
        }
        Kind::Fallback => {
            "one answer is enough: keep one path or closure, a name comes before it".into()
        }
        kind => format!(
            "a value without a key: write `key = value`; only a name, a string, stands alone, first: `#[{}(\"quotes\")]`",
            kind.attribute()
        ),
    }
}

fn count(name: &str, source: &Expr, example: &str) -> Result<Value, String> {
    match literal(source) {
        None => Ok(Value::Expression),
        Some(Literal::Whole(whole)) => match whole.base10_parse::<u128>() {
            Ok(0) => Err(format!("`{name}` cannot be 0: write at least 1")),
            Ok(value) => u32::try_from(value)
                .map(Value::Count)
                .map_err(|_| format!("`{name}` is too large: at most 4294967295")),
            Err(_) => Err(format!("`{name}` is too large: at most 4294967295")),
        },
        Some(Literal::Negative) => Err(format!("`{name}` cannot be negative: write at least 1")),
        Some(_) => Err(format!(
            "`{name}` is a whole number: write `{name} = {example}`"
        )),
    }
}

fn number(name: &str, source: &Expr, range: Range, example: &str) -> Result<Value, String> {
    let value = match literal(source) {
        None => return Ok(Value::Expression),
        Some(Literal::Whole(whole)) => whole.base10_digits().parse::<f64>(),
        Some(Literal::Decimal(decimal)) => decimal.base10_digits().parse::<f64>(),
        Some(Literal::Negative) => Ok(-1.0),
        Some(_) => {
            return Err(format!(
                "`{name}` is a number {}: write `{name} = {example}`",
                range.says
            ));
        }
    };
    match value {
        Ok(value) if range.holds(value) => Ok(Value::Number(value)),
        _ => Err(format!(
            "`{name}` is a number {}: write `{name} = {example}`",
            range.says
        )),
    }
}

fn span_of_time(name: &str, source: &Expr, example: &str) -> Result<Value, String> {
    match literal(source) {
        None => Ok(Value::Expression),
        Some(Literal::Text(text)) => match duration(&text.value())? {
            value if value.is_zero() => {
                let or = match name {
                    "after" | "fresh" => "",
                    _ => ", or leave it out",
                };
                Err(format!("`{name}` cannot be zero: write \"{example}\"{or}"))
            }
            value => Ok(Value::Duration(value)),
        },
        Some(Literal::Whole(whole)) => Err(format!(
            "a duration needs its unit: write \"{digits}ms\" or \"{digits}s\"",
            digits = whole.base10_digits()
        )),
        Some(Literal::Decimal(decimal)) => Err(format!(
            "a duration needs its unit: write \"{}s\"",
            decimal.base10_digits()
        )),
        Some(_) => Err(format!(
            "`{name}` is a duration: write `{name} = \"{example}\"`"
        )),
    }
}

fn rate_value(name: &str, source: &Expr, example: &str) -> Result<Value, String> {
    match literal(source) {
        None => Ok(Value::Expression),
        Some(Literal::Text(text)) => {
            rate(&text.value()).map(|(count, per)| Value::Rate(count, per))
        }
        Some(Literal::Whole(whole)) => Err(format!(
            "a rate needs its time: write \"{}/s\"",
            whole.base10_digits()
        )),
        Some(_) => Err(format!(
            "`{name}` is a rate: write `{name} = \"{example}\"`"
        )),
    }
}

/// Was one of the words meant, well or badly spelt?
fn is_choice(source: &Expr, choice: Choice) -> bool {
    if let Some(Literal::Text(_)) = literal(source) {
        return true;
    }
    if spelt_out(source, choice).is_some() {
        return true;
    }
    let Some(word) = word(source).map(ToString::to_string) else {
        return false;
    };
    let is_constant = word.chars().any(char::is_uppercase);
    !is_constant && nearest(&word, &choice.names()).is_some()
}

/// The word for a value that is spelt as a builder takes it: `Backoff::Fixed`.
fn spelt_out(source: &Expr, choice: Choice) -> Option<&'static str> {
    let Expr::Path(path) = bare(source) else {
        return None;
    };
    let mut segments = path.path.segments.iter().rev();
    let (variant, of) = (segments.next()?, segments.next()?);
    let mut words = choice.words.iter();
    let meant = words.find(|(_, name)| variant.ident == *name && of.ident == choice.of);
    meant.map(|(word, _)| *word)
}

fn chosen(name: &str, source: &Expr, choice: Choice) -> Result<Value, String> {
    if let Some(bare) = spelt_out(source, choice) {
        return Err(format!(
            "`{name}` takes a bare word: write `{name} = {bare}`"
        ));
    }
    let written = match (word(source), literal(source)) {
        (Some(word), _) => word.to_string(),
        (None, Some(Literal::Text(text))) => {
            let bare = text.value();
            return Err(match choice.variant(&bare) {
                Some(_) => format!("`{name}` takes a bare word: write `{name} = {bare}`"),
                None => one_of(name, choice),
            });
        }
        _ => return Err(one_of(name, choice)),
    };
    variant(name, &written, choice)
}

/// What a word stands for.
fn variant(name: &str, written: &str, choice: Choice) -> Result<Value, String> {
    if let Some(variant) = choice.variant(written) {
        return Ok(Value::Choice(choice.of, variant));
    }
    let names = choice.names();
    Err(match nearest(&written.to_lowercase(), &names) {
        Some(meant) => format!(
            "`{written}` is unknown: write `{name} = {meant}`\n`{name}` is one of {}",
            list(&names)
        ),
        None => format!(
            "`{written}` is unknown: `{name}` is one of {}",
            list(&names)
        ),
    })
}

fn one_of(name: &str, choice: Choice) -> String {
    format!("`{name}` is one of {}", list(&choice.names()))
}
