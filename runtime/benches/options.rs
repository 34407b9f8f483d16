//! What a bench can be told.

use std::env;

pub(crate) struct Options {
    pub(crate) rounds: usize,
    /// Where the table is written, too.
    pub(crate) markdown: Option<String>,
}

impl Options {
    pub(crate) fn parse() -> Self {
        let mut options = Self {
            rounds: 1,
            markdown: None,
        };
        let mut arguments = env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                // From `cargo bench`; `cargo test` only tries whether it runs.
                "--bench" => options.rounds = options.rounds.max(15),
                "--rounds" => options.rounds = arguments.next().unwrap().parse().unwrap(),
                "--markdown" => options.markdown = arguments.next(),
                other => panic!("unknown argument {other}"),
            }
        }
        options
    }
}
