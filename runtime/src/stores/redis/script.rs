//! Scripts as a server knows them: by digest, or by text.

use std::rc::Rc;

use crate::store::{PRELUDE, Script};

use super::resp;

/// A script with all that does not change from call to call.
#[derive(Debug)]
pub(super) struct Known {
    script: &'static Script,
    pub(super) text: Vec<u8>,
    /// `EVALSHA` and its digest, as they go over the wire.
    by_digest: Vec<u8>,
    /// `EVAL` and its text.
    by_text: Vec<u8>,
}

/// The scripts seen so far.
#[derive(Debug, Default)]
pub(super) struct Scripts(Vec<Rc<Known>>);

/// The place of a script among those seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ScriptId(pub(super) usize);

impl Scripts {
    /// A policy has a handful of scripts: looking through them all is the fastest way.
    pub(super) fn id(&mut self, script: &'static Script) -> ScriptId {
        let same = |known: &Rc<Known>| std::ptr::eq(known.script, script);
        ScriptId(self.0.iter().position(same).unwrap_or_else(|| {
            self.0.push(Rc::new(Known::new(script)));
            self.0.len() - 1
        }))
    }

    pub(super) fn get(&self, id: ScriptId) -> &Known {
        &self.0[id.0]
    }

    /// All of them, to be loaded.
    pub(super) fn all(&self) -> Vec<Rc<Known>> {
        self.0.clone()
    }
}

impl Known {
    fn new(script: &'static Script) -> Self {
        let text = [PRELUDE, script.lua].concat().into_bytes();
        let digest = sha1_smol::Sha1::from(&text).digest().to_string();
        let mut by_digest = Vec::new();
        resp::part(&mut by_digest, b"EVALSHA");
        resp::part(&mut by_digest, digest.as_bytes());
        let mut by_text = Vec::new();
        resp::part(&mut by_text, b"EVAL");
        resp::part(&mut by_text, &text);
        Self {
            script,
            text,
            by_digest,
            by_text,
        }
    }

    /// The first two parts of a call.
    pub(super) fn call(&self, by_text: bool) -> &[u8] {
        if by_text {
            &self.by_text
        } else {
            &self.by_digest
        }
    }
}
