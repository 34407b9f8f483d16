//! A program with a mistake, and the stacks that it is compiled under.

use std::{fmt::Write as _, fs, path::PathBuf};

use crate::artifacts::scratch;

/// A function with a mistake. Where its text says `#[stack]` go the attributes.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// The code of the error or lint that is made.
    pub(crate) expected: &'static str,
    /// What it is not tried with, by names of stacks.
    without: Vec<&'static str>,
    /// What differs by design: `place`, `code`, `message`, `label` or `suggestions`.
    pub(crate) may_differ: Vec<&'static str>,
    is_sync: bool,
    text: &'static str,
}

/// Name and attributes.
type Stack = (&'static str, &'static str);

const ASYNC: [Stack; 8] = [
    ("retry", "#[steadfast::retry(max_attempts = 2)]"),
    ("circuit_breaker", "#[steadfast::circuit_breaker]"),
    ("rate_limited", "#[steadfast::rate_limited(rate = \"9/s\")]"),
    ("bulkhead", "#[steadfast::bulkhead]"),
    ("timeout", "#[steadfast::timeout(\"1s\")]"),
    ("fallback", "#[steadfast::fallback(|error| Err(error))]"),
    (
        "once",
        "#[steadfast::fallback(|error| Err(error))] #[steadfast::circuit_breaker] \
         #[steadfast::rate_limited(rate = \"9/s\")] #[steadfast::bulkhead] \
         #[steadfast::timeout(\"1s\")]",
    ),
    (
        "retry_in_a_stack",
        "#[steadfast::fallback(|error| Err(error))] #[steadfast::retry] \
         #[steadfast::circuit_breaker] #[steadfast::rate_limited(rate = \"9/s\")] \
         #[steadfast::bulkhead] #[steadfast::timeout(\"1s\")]",
    ),
];

const SYNC: [Stack; 4] = [
    ("retry", "#[steadfast::retry(max_attempts = 2)]"),
    ("circuit_breaker", "#[steadfast::circuit_breaker]"),
    (
        "once",
        "#[steadfast::fallback(|error| Err(error))] #[steadfast::circuit_breaker] \
         #[steadfast::rate_limited(rate = \"9/s\")] #[steadfast::bulkhead]",
    ),
    (
        "retry_in_a_stack",
        "#[steadfast::fallback(|error| Err(error))] #[steadfast::retry] \
         #[steadfast::circuit_breaker] #[steadfast::rate_limited(rate = \"9/s\")] \
         #[steadfast::bulkhead]",
    ),
];

const SUPPORT: &str = "
pub mod support {
    #[derive(Debug)]
    pub struct Failure;

    impl From<steadfast::Rejection> for Failure {
        fn from(_: steadfast::Rejection) -> Self {
            Self
        }
    }

    pub async fn ask(n: u32) -> Result<u32, Failure> {
        if n > 0 { Ok(n) } else { Err(Failure) }
    }

    pub struct Order {
        pub id: u32,
        pub note: String,
    }

    #[deprecated]
    pub fn old() -> u32 {
        1
    }

    #[must_use]
    pub fn new() -> u32 {
        2
    }

    pub fn consume<T>(_: T) {}
}
";

impl Case {
    /// The cases of a file: each begins with a line `//# name: code`, and more words for what is
    /// different about it.
    pub(crate) fn all(file: &'static str) -> Vec<Self> {
        file.split("//# ").skip(1).map(Self::parse).collect()
    }

    fn parse(section: &'static str) -> Self {
        let (head, text) = section.split_once('\n').expect("a case has a body");
        let (name, rest) = head.split_once(": ").expect("`name: code`");
        let mut words = rest.split(' ');
        let expected = words.next().expect("a code");
        let words: Vec<_> = words.collect();
        let after = |prefix: &'static str| {
            let words = words.iter();
            words.filter_map(move |word| word.strip_prefix(prefix))
        };
        Self {
            name,
            expected,
            without: after("-").collect(),
            may_differ: after("~").collect(),
            is_sync: words.contains(&"sync"),
            text,
        }
    }

    /// Where the attributes are, below the import that is written above the case.
    pub(crate) fn line_of_attributes(&self) -> u64 {
        let mut lines = (2..).zip(self.text.lines());
        let line = lines.find(|(_, line)| line.contains("#[stack]"));
        line.map_or(0, |(number, _)| number)
    }

    /// Writes the program: one module bare, and one for each stack. Answers with the root and the names
    /// of the stacks.
    pub(crate) fn write(&self) -> (PathBuf, Vec<&'static str>) {
        let directory = scratch().join("cases").join(self.name);
        fs::create_dir_all(&directory).expect("a directory");
        let stacks: &[Stack] = if self.is_sync { &SYNC } else { &ASYNC };
        let stacks = stacks
            .iter()
            .filter(|(name, _)| !self.without.contains(name))
            .copied();
        let mut root = SUPPORT.to_owned();
        let mut names = Vec::new();
        for (name, attributes) in [("bare", "")].into_iter().chain(stacks) {
            let module = format!("{name}_");
            let text = self.text.replace("#[stack]", attributes);
            let text = format!("use crate::support::*;\n{text}");
            fs::write(directory.join(format!("{module}.rs")), text).expect("a file");
            let _ = writeln!(root, "pub mod {module};");
            names.push(name);
        }
        let root_path = directory.join("lib.rs");
        fs::write(&root_path, root).expect("a file");
        (root_path, names)
    }
}
