//! Who holds the places that a fleet shares: what a store remembers of a shared bulkhead.
//!
//! Times are whole microseconds by the store's own clock, which may step. A place is held until its lease
//! ends. One that has ended is dropped before anything else is decided, and nothing but a new acquisition
//! brings it back; so there are never more holders than the acquisition that made the last of them was
//! allowed to make. An end that lies further ahead than a lease is long was written before the clock
//! stepped back: it is moved, so that nobody is locked out for longer than a lease.

use std::collections::BTreeMap;

/// A holder: the length of its lease in microseconds, then whatever tells it apart, as `10000000:name`.
/// The length is part of it since instances may disagree about theirs.
pub(crate) type Holder = Vec<u8>;

/// The unexpired leases by their holders. Expired ones are there until the next question.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Holders(BTreeMap<Holder, i64>);

/// What the fencing numbers have come to. They rise with every place that is given, and follow the clock,
/// so that they rise even if this is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Fence(i64);

/// The answer to an acquisition.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Acquired {
    /// For each that asked, its fencing number, or nothing.
    pub(crate) fences: Vec<Option<i64>>,
    /// Places that are held now.
    pub(crate) in_flight: i64,
    /// How long until the first of the leases ends; zero where there is none.
    pub(crate) first_end: i64,
}

impl Fence {
    fn next(self, now: i64) -> Self {
        Self(self.0.saturating_add(1).max(now))
    }

    /// How long it has to be kept: until the clock has passed it for sure, though it go an hour ahead and
    /// then an hour back.
    pub(crate) fn kept(self, now: i64) -> i64 {
        self.0.saturating_sub(now).max(0).saturating_add(FENCE_KEPT)
    }
}

/// Three hours.
const FENCE_KEPT: i64 = 3 * 3_600 * 1_000_000;

impl Holders {
    /// Gives places to those who ask, in their order and at most `limit` in all. Who holds one already
    /// keeps it, whatever the limit, with a new number and a new end.
    pub(crate) fn acquire(
        &mut self,
        fence: &mut Fence,
        now: i64,
        limit: i64,
        lease: i64,
        asking: &[Holder],
    ) -> Acquired {
        self.begin(now, lease);
        let mut taken = self.len();
        let mut granted = Vec::new();
        let mut fences = Vec::with_capacity(asking.len());
        for holder in asking {
            let held = self.0.contains_key(holder);
            if !held && taken >= limit {
                fences.push(None);
                continue;
            }
            taken += i64::from(!held);
            *fence = fence.next(now);
            fences.push(Some(fence.0));
            granted.push(holder.clone());
        }
        let ends = now.saturating_add(lease);
        self.0
            .extend(granted.into_iter().map(|holder| (holder, ends)));
        let first = self.0.values().min().copied();
        Acquired {
            fences,
            in_flight: self.len(),
            first_end: first.map_or(0, |end| end - now),
        }
    }

    /// Moves the ends of those who still hold their places; says for each whether it does.
    pub(crate) fn renew(&mut self, now: i64, lease: i64, holders: &[Holder]) -> Vec<bool> {
        self.begin(now, lease);
        let ends = now.saturating_add(lease);
        let renewed = holders.iter().map(|holder| match self.0.get_mut(holder) {
            Some(end) => {
                *end = ends;
                true
            }
            None => false,
        });
        renewed.collect()
    }

    /// Gives places back; says for each whether it was held.
    pub(crate) fn release(&mut self, now: i64, holders: &[Holder]) -> Vec<bool> {
        self.drop_expired(now);
        let released = holders.iter().map(|holder| self.0.remove(holder).is_some());
        released.collect()
    }

    /// How long all of this matters; zero where nobody holds anything.
    pub(crate) fn kept(&self, now: i64) -> i64 {
        self.0.values().max().map_or(0, |end| end - now)
    }

    pub(crate) fn len(&self) -> i64 {
        i64::try_from(self.0.len()).unwrap_or(i64::MAX)
    }

    #[cfg(test)]
    pub(crate) fn unexpired(&self, now: i64) -> usize {
        self.0.values().filter(|end| **end > now).count()
    }

    fn begin(&mut self, now: i64, lease: i64) {
        self.drop_expired(now);
        self.move_back(now, lease);
    }

    fn drop_expired(&mut self, now: i64) {
        self.0.retain(|_, end| *end > now);
    }

    /// The last of all ends is enough to see whether the clock has stepped: looking at each would cost
    /// every question as many steps as there are holders.
    fn move_back(&mut self, now: i64, lease: i64) {
        let most = |holder: &Holder| now.saturating_add(length(holder).unwrap_or(lease));
        let last = self.0.iter().max_by_key(|(holder, end)| (**end, *holder));
        if last.is_none_or(|(holder, end)| *end <= most(holder)) {
            return;
        }
        for (holder, end) in &mut self.0 {
            *end = (*end).min(most(holder));
        }
    }
}

/// The length of a holder's lease.
fn length(holder: &[u8]) -> Option<i64> {
    let digits = holder.iter().take_while(|byte| byte.is_ascii_digit());
    let digits = holder.get(..digits.count())?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(all(test, not(steadfast_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: i64 = 1_000_000;
    const HOUR: i64 = 3_600 * SECOND;
    const LEASE: i64 = 10 * SECOND;
    const NOW: i64 = 1_763_810_732 * SECOND;

    fn holder(n: u32) -> Holder {
        format!("{LEASE}:{n}").into_bytes()
    }

    fn holders(numbers: impl IntoIterator<Item = u32>) -> Vec<Holder> {
        numbers.into_iter().map(holder).collect()
    }

    #[derive(Default)]
    struct Server(Holders, Fence);

    impl Server {
        fn acquire(
            &mut self,
            now: i64,
            limit: i64,
            ids: impl IntoIterator<Item = u32>,
        ) -> Acquired {
            self.0
                .acquire(&mut self.1, now, limit, LEASE, &holders(ids))
        }
    }

    #[test]
    fn as_many_are_let_in_as_there_is_room_for_and_each_gets_a_higher_number() {
        let mut server = Server::default();
        let acquired = server.acquire(NOW, 3, 0..5);
        assert_eq!(
            acquired.fences,
            [Some(NOW), Some(NOW + 1), Some(NOW + 2), None, None]
        );
        assert_eq!((acquired.in_flight, acquired.first_end), (3, LEASE));
        assert_eq!(server.0.release(NOW, &holders([1, 7])), [true, false]);
        let acquired = server.acquire(NOW, 3, 5..7);
        assert_eq!(acquired.fences, [Some(NOW + 3), None]);
    }

    #[test]
    fn who_asks_again_keeps_its_place_though_the_limit_was_lowered() {
        let mut server = Server::default();
        server.acquire(NOW, 2, [0, 1]);
        let acquired = server.acquire(NOW + SECOND, 1, [2, 0]);
        assert_eq!(acquired.fences, [None, Some(NOW + SECOND)]);
        assert_eq!(
            (acquired.in_flight, acquired.first_end),
            (2, LEASE - SECOND)
        );
    }

    #[test]
    fn what_was_lost_is_not_renewed() {
        let mut server = Server::default();
        server.acquire(NOW, 2, [0]);
        let ids = holders([0, 1]);
        assert_eq!(server.0.renew(NOW + LEASE - 1, LEASE, &ids), [true, false]);
        let late = NOW + 2 * LEASE - 1;
        assert_eq!(server.0.renew(late, LEASE, &ids), [false, false]);
        assert_eq!(server.0.len(), 0);
    }

    #[test]
    fn a_clock_that_steps_back_locks_nobody_out_for_longer_than_a_lease() {
        let mut server = Server::default();
        server.acquire(NOW, 1, [0]);
        let now = NOW - HOUR;
        let acquired = server.acquire(now, 1, [1]);
        assert_eq!(
            (&acquired.fences[..], acquired.first_end),
            (&[None][..], LEASE)
        );
        let acquired = server.acquire(now + LEASE, 1, [1]);
        assert_eq!(
            acquired.fences,
            [Some(NOW + 1)],
            "and numbers rise all the same"
        );
    }

    #[test]
    fn instances_may_disagree_about_the_lease() {
        let (mut server, long) = (Server::default(), 60 * SECOND);
        let patient = vec![format!("{long}:a").into_bytes()];
        server.0.acquire(&mut server.1, NOW, 2, long, &patient);
        server.acquire(NOW, 2, [0]);
        let acquired = server.acquire(NOW + LEASE, 1, [1]);
        assert_eq!(
            acquired.fences,
            [None],
            "a longer lease is not cut to this one's"
        );
        assert_eq!(acquired.first_end, long - LEASE);
    }

    #[test]
    fn numbers_rise_though_the_server_forgets_everything() {
        let mut server = Server::default();
        let before = server.acquire(NOW, 9, 0..5).fences[4];
        server = Server::default();
        assert!(server.acquire(NOW + 5, 9, [0]).fences[0] > before);
    }

    /// The most naive thing that can be right: a list of places, each with its end.
    #[derive(Default)]
    struct Model {
        places: Vec<(u32, i64)>,
        highest: i64,
    }

    #[derive(Clone, Debug)]
    enum Step {
        Acquire {
            limit: i64,
            ids: Vec<u32>,
        },
        Renew(Vec<u32>),
        Release(Vec<u32>),
        Pass(i64),
        /// Where the clock stands, apart from the time that passed.
        Clock(i64),
        Flush,
    }

    fn step() -> impl Strategy<Value = Step> {
        let ids = || {
            prop::collection::btree_set(0u32..12, 0..5).prop_map(|ids| ids.into_iter().collect())
        };
        prop_oneof![
            6 => (1i64..5, ids()).prop_map(|(limit, ids)| Step::Acquire { limit, ids }),
            3 => ids().prop_map(Step::Renew),
            3 => ids().prop_map(Step::Release),
            4 => (1i64..LEASE).prop_map(Step::Pass),
            1 => prop_oneof![Just(-HOUR), Just(0), Just(HOUR)].prop_map(Step::Clock),
            1 => Just(Step::Flush),
        ]
    }

    proptest! {
        #[test]
        fn behaves_like_a_plain_list_of_places(steps in prop::collection::vec(step(), 0..400)) {
            let (mut server, mut model) = (Server::default(), Model::default());
            let (mut passed, mut offset) = (0, 0);
            for step in steps {
                let now = NOW + passed + offset;
                let asks = matches!(step, Step::Acquire { .. } | Step::Renew(_));
                if asks || matches!(step, Step::Release(_)) {
                    model.places.retain(|place| place.1 > now);
                }
                if asks {
                    model.places.iter_mut().for_each(|place| place.1 = place.1.min(now + LEASE));
                }
                match step {
                    Step::Acquire { limit, ids } => {
                        let acquired = server.acquire(now, limit, ids.clone());
                        for (id, fence) in ids.into_iter().zip(acquired.fences) {
                            let held = model.places.iter().position(|place| place.0 == id);
                            let room = (model.places.len() as i64) < limit;
                            prop_assert_eq!(fence.is_some(), held.is_some() || room);
                            if let Some(fence) = fence {
                                prop_assert!(fence > model.highest && fence >= now);
                                model.highest = fence;
                                held.map(|at| model.places.remove(at));
                                model.places.push((id, now + LEASE));
                            }
                        }
                        let first = model.places.iter().map(|place| place.1 - now).min();
                        prop_assert_eq!(acquired.first_end, first.unwrap_or(0));
                        prop_assert!(acquired.first_end <= LEASE);
                    }
                    Step::Renew(ids) => {
                        let renewed = server.0.renew(now, LEASE, &holders(ids.clone()));
                        for (id, renewed) in ids.into_iter().zip(renewed) {
                            let held = model.places.iter_mut().find(|place| place.0 == id);
                            prop_assert_eq!(renewed, held.is_some());
                            if let Some(place) = held {
                                place.1 = now + LEASE;
                            }
                        }
                    }
                    Step::Release(ids) => {
                        let released = server.0.release(now, &holders(ids.clone()));
                        for (id, released) in ids.into_iter().zip(released) {
                            let held = model.places.iter().position(|place| place.0 == id);
                            prop_assert_eq!(released, held.is_some());
                            held.map(|at| model.places.remove(at));
                        }
                    }
                    Step::Pass(micros) => passed += micros,
                    // A flush and an hour back at once is the one thing that numbers cannot survive.
                    Step::Clock(at) if server.1 != Fence(0) || NOW + passed + at > model.highest => {
                        offset = at;
                    }
                    Step::Flush if now > model.highest => {
                        server = Server::default();
                        model.places.clear();
                    }
                    Step::Clock(_) | Step::Flush => {}
                }
                let now = NOW + passed + offset;
                let held = model.places.iter().filter(|place| place.1 > now).count();
                prop_assert_eq!(server.0.unexpired(now), held);
            }
        }
    }
}
