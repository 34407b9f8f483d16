//! What a step means to a policy, from the predicates of its site and the classification of its error.

use std::time::Duration;

use crate::{
    outcome::Outcome,
    probe::Traits,
    rejection::RejectionKind,
    step::{Rejected, Step},
};

/// Collects what a site says about one step. Predicates judge the body's own errors and values; what a
/// policy did (a refusal, a timeout) they are not asked about.
#[must_use]
pub struct Judge<'s, R: Outcome> {
    subject: Subject<'s, R>,
    traits: Traits<R::Error>,
    when: Option<bool>,
    ignored: bool,
    bad_value: bool,
    unmet: bool,
    /// `Some` where the site says how to find it; then the classification is not asked.
    retry_after: Option<Option<Duration>>,
}

/// What there is to be judged, by reference.
enum Subject<'s, R: Outcome> {
    Value(&'s R::Value),
    Error(&'s R::Error),
    /// A rejection may also come from another protected function, inside its error.
    Carrying(&'s R::Error),
    Rejection(&'s dyn Rejected),
}

// By hand, for the outcome itself need not be `Copy`. Each permit gets a copy of the judge.
impl<R: Outcome> Clone for Subject<'_, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R: Outcome> Copy for Subject<'_, R> {}

impl<R: Outcome> Clone for Judge<'_, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R: Outcome> Copy for Judge<'_, R> {}

/// What a circuit breaker and an adaptive limiter count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Success,
    Failure,
    /// Neither: the site says so.
    Ignored,
    /// The call was not made: an inner policy refused it. Whatever was taken for it is given back.
    NotMade,
}

/// What a retry policy makes its decision from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finding {
    /// A good answer, or an error that is not worth another attempt.
    Final,
    /// A failed attempt, and how long the dependency asked to be left alone.
    Failed { retry_after: Option<Duration> },
    /// A value that `until` is not satisfied with.
    Unmet,
    /// A policy further in refused.
    Refused { retry_after: Option<Duration> },
    /// A policy further in cut the attempt off.
    TimedOut,
}

#[inline(never)]
fn carries<E>(error: &E, rejection: fn(&E) -> Option<RejectionKind>) -> bool {
    rejection(error).is_some()
}

impl<'s, R: Outcome> Judge<'s, R> {
    /// Looks at a step.
    pub fn new<X: Rejected>(step: &'s Step<R, X>, traits: Traits<R::Error>) -> Self {
        let subject = match step {
            Step::Done(outcome) => match outcome.as_result() {
                Ok(value) => Subject::Value(value),
                Err(error) if carries(error, traits.rejection) => Subject::Carrying(error),
                Err(error) => Subject::Error(error),
            },
            Step::Rejected(rejection) => Subject::Rejection(rejection),
            Step::Settled(_, kind) => Subject::Rejection(kind),
        };
        Self {
            subject,
            traits,
            when: None,
            ignored: false,
            bad_value: false,
            unmet: false,
            retry_after: None,
        }
    }

    /// `when = ...`: which errors the policy is about.
    pub fn when(mut self, predicate: impl FnOnce(&R::Error) -> bool) -> Self {
        if let Subject::Error(error) = self.subject {
            self.when = Some(predicate(error));
        }
        self
    }

    /// `ignore = ...`: which errors are neither success nor failure.
    pub fn ignore(mut self, predicate: impl FnOnce(&R::Error) -> bool) -> Self {
        if let Subject::Error(error) = self.subject {
            self.ignored = predicate(error);
        }
        self
    }

    /// `when_value = ...`: which values count as failures.
    pub fn when_value(mut self, predicate: impl FnOnce(&R::Value) -> bool) -> Self {
        if let Subject::Value(value) = self.subject {
            self.bad_value = predicate(value);
        }
        self
    }

    /// `until = ...`: which values are good enough.
    pub fn until(mut self, predicate: impl FnOnce(&R::Value) -> bool) -> Self {
        if let Subject::Value(value) = self.subject {
            self.unmet = !predicate(value);
        }
        self
    }

    /// `retry_after = ...`: how long the dependency asked to be left alone.
    pub fn retry_after(mut self, ask: impl FnOnce(&R::Error) -> Option<Duration>) -> Self {
        if let Subject::Error(error) = self.subject {
            self.retry_after = Some(ask(error));
        }
        self
    }

    pub(crate) fn verdict(&self) -> Verdict {
        match self.subject {
            Subject::Value(_) if self.bad_value => Verdict::Failure,
            Subject::Value(_) => Verdict::Success,
            _ => (*self).verdict_of_failed(),
        }
    }

    #[inline(never)]
    fn verdict_of_failed(self) -> Verdict {
        match self.rejection() {
            Some(RejectionKind::Refusal { .. }) => return Verdict::NotMade,
            Some(_) => return Verdict::Failure,
            None => {}
        }
        match self.subject {
            Subject::Error(_) if self.ignored => Verdict::Ignored,
            Subject::Error(error) if self.is_failure(error) => Verdict::Failure,
            _ => Verdict::Success,
        }
    }

    pub(crate) fn finding(&self) -> Finding {
        match self.subject {
            Subject::Value(_) if self.unmet => Finding::Unmet,
            Subject::Value(_) if self.bad_value => Finding::Failed { retry_after: None },
            Subject::Value(_) => Finding::Final,
            _ => (*self).finding_of_failed(),
        }
    }

    #[inline(never)]
    fn finding_of_failed(self) -> Finding {
        match self.rejection() {
            Some(RejectionKind::Refusal { retry_after }) => {
                return Finding::Refused { retry_after };
            }
            Some(RejectionKind::TimedOut) => return Finding::TimedOut,
            Some(RejectionKind::Unmet) => return Finding::Failed { retry_after: None },
            None => {}
        }
        match self.subject {
            Subject::Error(error) if self.is_retryable(error) => Finding::Failed {
                retry_after: self.asked_for(error),
            },
            _ => Finding::Final,
        }
    }

    fn rejection(&self) -> Option<RejectionKind> {
        match self.subject {
            Subject::Value(_) | Subject::Error(_) => None,
            Subject::Carrying(error) => (self.traits.rejection)(error),
            Subject::Rejection(rejection) => Some(rejection.kind()),
        }
    }

    /// Whether a fallback answers in place of this step.
    pub(crate) fn wants_answer(&self) -> bool {
        match self.subject {
            Subject::Value(_) => false,
            Subject::Rejection(_) | Subject::Carrying(_) => true,
            Subject::Error(error) => self.is_failure(error),
        }
    }

    fn is_failure(&self, error: &R::Error) -> bool {
        let classified = || {
            self.traits
                .classification
                .is_none_or(|c| (c.is_failure)(error))
        };
        self.when.unwrap_or_else(classified)
    }

    fn is_retryable(&self, error: &R::Error) -> bool {
        let classified = || {
            self.traits
                .classification
                .is_none_or(|c| (c.is_retryable)(error))
        };
        self.when.unwrap_or_else(classified)
    }

    fn asked_for(&self, error: &R::Error) -> Option<Duration> {
        let classified = || {
            self.traits
                .classification
                .and_then(|c| (c.retry_after)(error))
        };
        self.retry_after.unwrap_or_else(classified)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rejection::{CircuitOpen, Rejection, TimedOut};

    type Outcome = Result<u32, &'static str>;

    fn judge(step: &Step<Outcome>) -> Judge<'_, Outcome> {
        Judge::new(step, Traits::unknown())
    }

    #[test]
    fn every_error_counts_where_nothing_is_said() {
        let (good, bad) = (Step::Done(Ok(1)), Step::Done(Err("bad")));
        assert_eq!(judge(&good).verdict(), Verdict::Success);
        assert_eq!(judge(&bad).verdict(), Verdict::Failure);
        assert_eq!(judge(&good).finding(), Finding::Final);
        assert_eq!(judge(&bad).finding(), Finding::Failed { retry_after: None });
        assert!(!judge(&good).wants_answer() && judge(&bad).wants_answer());
    }

    #[test]
    fn predicates_decide_about_errors_and_values() {
        let (good, bad) = (Step::Done(Ok(1)), Step::Done(Err("bad")));
        assert_eq!(
            judge(&bad).when(|e| *e != "bad").verdict(),
            Verdict::Success
        );
        assert_eq!(judge(&bad).when(|e| *e != "bad").finding(), Finding::Final);
        assert_eq!(
            judge(&bad).ignore(|e| *e == "bad").verdict(),
            Verdict::Ignored
        );
        assert_eq!(
            judge(&good).when_value(|v| *v == 1).verdict(),
            Verdict::Failure
        );
        assert_eq!(judge(&good).until(|v| *v == 2).finding(), Finding::Unmet);
        let second = Some(Duration::from_secs(1));
        let asked = judge(&bad).retry_after(|_| second).finding();
        assert_eq!(
            asked,
            Finding::Failed {
                retry_after: second
            }
        );
    }

    #[test]
    fn predicates_are_not_asked_about_what_policies_did() {
        let policy = crate::PolicyName::from("p");
        let refused = Step::Rejected(Rejection::CircuitOpen(CircuitOpen {
            policy: policy.clone(),
            retry_after: None,
        }));
        let never = |_: &&str| -> bool { panic!("asked") };
        assert_eq!(
            judge(&refused).when(never).ignore(never).verdict(),
            Verdict::NotMade
        );
        assert_eq!(
            judge(&refused).when(never).finding(),
            Finding::Refused { retry_after: None }
        );
        let after = Duration::ZERO;
        let late = Step::Rejected(Rejection::TimedOut(TimedOut { policy, after }));
        assert_eq!(
            judge(&late).when(never).ignore(never).verdict(),
            Verdict::Failure
        );
        assert_eq!(judge(&late).when(never).finding(), Finding::TimedOut);
        assert!(judge(&late).wants_answer());
    }
}
