//! Calls that were waiting for a decision together.

use super::{Answer, Commit, Rules, Standing};

/// One call of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) cost: i64,
    /// How long its caller may wait; zero: not at all.
    pub(crate) patience: i64,
}

/// What a batch came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Decided {
    /// Permits taken on top.
    pub(crate) granted: i64,
    pub(crate) standing: Standing,
    /// In the order of the calls. Shorter than they are where one of them is to wait: what came after it
    /// is behind it in the line.
    pub(crate) answers: Vec<Answer>,
}

/// Decides calls as if they came one after another, and takes up to `extra` permits more, as far as they
/// are there and nobody waits for some.
pub(crate) fn decide<R: Rules>(
    rules: &R,
    state: Option<R::State>,
    now: i64,
    calls: impl IntoIterator<Item = Ask>,
    extra: i64,
) -> (Decided, Commit<R::State>) {
    let mut view = rules.view(state.as_ref(), now);
    let (mut answers, mut granted, mut waits) = (Vec::new(), 0, false);
    for Ask { cost, patience } in calls {
        let answer = rules.take(state.as_ref(), &mut view, cost);
        answers.push(answer);
        if !answer.is_allowed() && (1..=patience).contains(&answer.retry) {
            waits = true;
            break;
        }
    }
    if extra > 0 && !waits {
        let there = rules.take(state.as_ref(), &mut view, 0).remaining;
        granted = extra.min(there);
        rules.take(state.as_ref(), &mut view, granted);
    }
    let standing = rules.standing(&view);
    let decided = Decided {
        granted,
        standing,
        answers,
    };
    (decided, rules.commit(state, view))
}
