//! Those who are told of the passing of time and of outages.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Weak},
    time::Duration,
};

use crate::store::{Member, StoreError};

#[derive(Default)]
pub(super) struct Members(Vec<Attached>);

struct Attached {
    member: Weak<dyn Member>,
    /// What it was told last: who was told of an outage is told of its end, and nobody else.
    knows_of_outage: bool,
}

impl Members {
    pub(super) fn attach(&mut self, newcomers: Vec<Weak<dyn Member>>) {
        self.0.extend(newcomers.into_iter().map(|member| Attached {
            member,
            knows_of_outage: false,
        }));
    }

    pub(super) fn tick(&mut self) {
        self.each(|member, _| member.tick());
    }

    /// The store is away: told once, also to those who came later.
    pub(super) fn down(&mut self, cause: &StoreError) {
        self.each(|member, knows| {
            if !std::mem::replace(knows, true) {
                member.down(cause);
            }
        });
    }

    pub(super) fn up(&mut self, away: Duration) {
        self.each(|member, knows| {
            if std::mem::replace(knows, false) {
                member.up(away);
            }
        });
    }

    /// One that panics hurts no other, and is called again.
    fn each(&mut self, tell: impl Fn(Arc<dyn Member>, &mut bool)) {
        self.0
            .retain_mut(|attached| match attached.member.upgrade() {
                None => false,
                Some(member) => {
                    let knows = &mut attached.knows_of_outage;
                    let _ = catch_unwind(AssertUnwindSafe(|| tell(member, knows)));
                    true
                }
            });
    }
}
