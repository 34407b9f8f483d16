//! All servers, and which of them has which keys.

use std::time::{Duration, Instant};

use crate::store::StoreError;

use super::{
    cluster::{SLOTS, Share},
    dial::Route,
    errand::Errand,
    node::Node,
    plan::Plan,
    url::{Address, Target},
};

pub(super) struct Fleet {
    /// Places stay; those of servers that are no more are free.
    nodes: Vec<Option<Node>>,
    table: Table,
}

enum Table {
    /// One server has all keys.
    One,
    /// Each has some.
    Cluster {
        slots: Box<[Option<NodeId>]>,
        known: bool,
    },
}

/// The place of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NodeId(usize);

/// Where an errand goes.
pub(super) enum Pick {
    To(NodeId, usize),
    /// Nowhere yet.
    Wait,
    /// Nowhere.
    Away(StoreError),
}

/// A server without slots is let go of after this: in a resharding it may still be asked for keys.
const UNUSED: Duration = Duration::from_secs(10);

impl Fleet {
    pub(super) fn new(plan: &Plan, now: Instant) -> Self {
        let mut fleet = Self {
            nodes: Vec::new(),
            table: Table::One,
        };
        match &plan.target {
            Target::Single(address) => fleet.begin(Route::At(address.clone()), plan, now),
            Target::Sentinel { sentinels, master } => {
                let (sentinels, master) = (sentinels.clone(), master.clone());
                fleet.begin(Route::Sentinels { sentinels, master }, plan, now);
            }
            Target::Cluster(_) => {
                fleet.table = Table::Cluster {
                    slots: vec![None; SLOTS].into(),
                    known: false,
                };
                fleet.begin_again(plan, now);
            }
        }
        fleet
    }

    fn begin(&mut self, route: Route, plan: &Plan, now: Instant) {
        self.nodes
            .push(Some(Node::new(route, plan.connections, now)));
    }

    /// Goes back to the servers that the URL names, besides those that are known.
    pub(super) fn begin_again(&mut self, plan: &Plan, now: Instant) {
        if let Target::Cluster(seeds) = &plan.target {
            for seed in seeds {
                self.node_at(seed, plan, now);
            }
        }
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.nodes.len()).map(NodeId)
    }

    pub(super) fn node(&mut self, id: NodeId) -> Option<&mut Node> {
        self.nodes.get_mut(id.0)?.as_mut()
    }

    pub(super) fn nodes(&mut self) -> impl Iterator<Item = &mut Node> {
        self.nodes.iter_mut().flatten()
    }

    /// The server at this address, made known if it is new.
    pub(super) fn node_at(&mut self, address: &Address, plan: &Plan, now: Instant) -> NodeId {
        let is_it = |node: &Option<Node>| {
            let at = |node: &Node| matches!(&node.route, Route::At(at) if at == address);
            node.as_ref().is_some_and(at)
        };
        if let Some(place) = self.nodes.iter().position(is_it) {
            return NodeId(place);
        }
        let node = Node::new(Route::At(address.clone()), plan.connections, now);
        match self.nodes.iter().position(Option::is_none) {
            Some(free) => {
                self.nodes[free] = Some(node);
                NodeId(free)
            }
            None => {
                self.nodes.push(Some(node));
                NodeId(self.nodes.len() - 1)
            }
        }
    }

    /// A server for an errand.
    pub(super) fn pick(&mut self, errand: &Errand, prefix: &[u8]) -> Pick {
        match &self.table {
            Table::One => self.pick_place(NodeId(0), errand, prefix),
            Table::Cluster { slots, known } => match errand.slot(prefix) {
                _ if !known => self.not_yet(),
                None => self.pick_any(errand, prefix),
                Some(slot) => match slots[usize::from(slot)] {
                    Some(id) => self.pick_place(id, errand, prefix),
                    None => Pick::Away(StoreError::NotReady {
                        problem: "no server of the cluster has the slot".to_owned(),
                    }),
                },
            },
        }
    }

    /// A connection to this server.
    pub(super) fn pick_place(&mut self, id: NodeId, errand: &Errand, prefix: &[u8]) -> Pick {
        let Some(node) = self.nodes.get_mut(id.0).and_then(Option::as_mut) else {
            return Pick::Wait;
        };
        match node.place(|| errand.slot(prefix)) {
            Some(place) => Pick::To(id, place),
            None => match node.fault() {
                Some(fault) => Pick::Away(fault.clone()),
                None => Pick::Wait,
            },
        }
    }

    fn pick_any(&mut self, errand: &Errand, prefix: &[u8]) -> Pick {
        match self.any_up() {
            Some(id) => self.pick_place(id, errand, prefix),
            None => self.not_yet(),
        }
    }

    fn not_yet(&self) -> Pick {
        match self.hopeless() {
            Some(fault) => Pick::Away(fault),
            None => Pick::Wait,
        }
    }

    /// Some server that answers.
    pub(super) fn any_up(&self) -> Option<NodeId> {
        let up = |place: &usize| self.nodes[*place].as_ref().is_some_and(Node::is_up);
        let all: Vec<usize> = (0..self.nodes.len()).filter(up).collect();
        (!all.is_empty()).then(|| NodeId(all[fastrand::usize(..all.len())]))
    }

    /// Whether it can do anything for anybody.
    pub(super) fn is_up(&self) -> bool {
        let known = match &self.table {
            Table::One => true,
            Table::Cluster { known, .. } => *known,
        };
        known && self.nodes.iter().flatten().any(Node::is_up)
    }

    /// Whether each server was tried: then it is known what can be done and what cannot.
    pub(super) fn is_settled(&self) -> bool {
        let mut nodes = self.nodes.iter().flatten();
        nodes.all(|node| node.is_up() || node.fault().is_some())
    }

    /// Why no server can be used, once each was tried.
    pub(super) fn hopeless(&self) -> Option<StoreError> {
        let mut fault = None;
        for node in self.nodes.iter().flatten() {
            fault = Some(node.fault()?);
        }
        fault.cloned()
    }

    /// Whether some keys have no server that answers.
    pub(super) fn has_gaps(&self) -> bool {
        let Table::Cluster { slots, known } = &self.table else {
            return false;
        };
        let down = |node: &Node| !node.is_up();
        !known || slots.iter().any(Option::is_none) || self.nodes.iter().flatten().any(down)
    }

    /// Slots of one server, as another says.
    pub(super) fn moved(&mut self, slot: u16, to: NodeId) {
        if let Table::Cluster { slots, .. } = &mut self.table
            && let Some(place) = slots.get_mut(usize::from(slot))
        {
            *place = Some(to);
        }
    }

    /// The whole table, as a server says.
    pub(super) fn learn(&mut self, shares: &[Share], plan: &Plan, now: Instant) {
        let mut new = vec![None; SLOTS].into_boxed_slice();
        for share in shares {
            let id = self.node_at(&share.master, plan, now);
            if let Some(node) = self.node(id) {
                node.used = now;
            }
            if let Some(range) = new.get_mut(usize::from(share.first)..=usize::from(share.last)) {
                range.fill(Some(id));
            }
        }
        if let Table::Cluster { slots, known } = &mut self.table {
            *slots = new;
            *known = true;
        }
        self.forget(now);
    }

    /// Lets go of servers that have no slots: at once of those that are away.
    fn forget(&mut self, now: Instant) {
        let Table::Cluster { slots, .. } = &self.table else {
            return;
        };
        for (place, node) in self.nodes.iter_mut().enumerate() {
            let Some(there) = node else { continue };
            let used = now.saturating_duration_since(there.used) < UNUSED;
            let keep = there.is_up() && (used || !there.is_idle());
            if !keep && !slots.contains(&Some(NodeId(place))) {
                *node = None;
            }
        }
    }
}
