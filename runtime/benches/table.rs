//! The table at the end: every target, what was measured, and whether that meets it.

use std::fmt::{self, Display};

use crate::rounds::{Id, Times, median};

/// What is asked of a ratio.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    AtMost(f64),
    AtLeast(f64),
    /// Only shown.
    None,
}

pub(crate) struct Row {
    what: &'static str,
    beside: &'static str,
    ours: f64,
    theirs: f64,
    target: Target,
    /// One of each round.
    ratios: Vec<f64>,
}

#[derive(Default)]
pub(crate) struct Table(Vec<Row>);

impl Table {
    /// What we cost, as a multiple of what the other does.
    pub(crate) fn ratio(
        &mut self,
        times: &Times,
        what: &'static str,
        ours: Id,
        theirs: Id,
        target: Target,
    ) {
        self.row(what, theirs.1, times.of(ours), times.of(theirs), target);
    }

    /// How many calls we make in the time of one of the other's.
    pub(crate) fn throughput(
        &mut self,
        times: &Times,
        what: &'static str,
        ours: Id,
        theirs: Id,
        target: Target,
    ) {
        let (ours, beside, theirs) = (times.of(ours), theirs.1, times.of(theirs));
        self.row(what, beside, ours, theirs, target);
        if let Some(row) = self.0.last_mut() {
            row.ratios
                .iter_mut()
                .for_each(|ratio| *ratio = ratio.recip());
        }
    }

    /// What one case costs more than `bare`, as a multiple of what another does.
    pub(crate) fn added(
        &mut self,
        times: &Times,
        what: &'static str,
        bare: Id,
        ours: Id,
        theirs: Id,
        target: Target,
    ) {
        let more = |id: Id| -> Vec<f64> {
            let pairs = times.of(id).iter().zip(times.of(bare));
            pairs.map(|(time, bare)| time - bare).collect()
        };
        self.row(what, theirs.1, &more(ours), &more(theirs), target);
    }

    fn row(
        &mut self,
        what: &'static str,
        beside: &'static str,
        ours: &[f64],
        theirs: &[f64],
        target: Target,
    ) {
        self.0.push(Row {
            what,
            beside,
            ours: median(ours),
            theirs: median(theirs),
            target,
            ratios: ours
                .iter()
                .zip(theirs)
                .map(|(ours, theirs)| ours / theirs)
                .collect(),
        });
    }

    pub(crate) fn markdown(&self) -> String {
        let mut text = String::from(
            "| | ns | beside | ns | target | measured | of the rounds | |\n|---|---:|---|---:|---:|---:|---|---|\n",
        );
        for row in &self.0 {
            text += &format!(
                "| {} | {:.1} | {} | {:.1} | {} | **{:.2}** | {} | {} |\n",
                row.what,
                row.ours,
                row.beside,
                row.theirs,
                row.target,
                row.measured(),
                row.spread(),
                row.verdict(),
            );
        }
        text
    }
}

impl Row {
    fn measured(&self) -> f64 {
        median(&self.ratios)
    }

    fn spread(&self) -> String {
        let least = self.ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let most = self
            .ratios
            .iter()
            .copied()
            .fold(f64::NEG_INFINITY, f64::max);
        format!("{least:.2}–{most:.2}")
    }

    fn verdict(&self) -> String {
        let measured = self.measured();
        // Rounded up: what is missed by little is missed.
        let by = |part: f64| format!("missed by {:.0} %", (100.0 * part).ceil());
        match self.target {
            Target::AtMost(most) if measured > most => by(measured / most - 1.0),
            Target::AtLeast(least) if measured < least => by(1.0 - measured / least),
            Target::None => String::new(),
            _ => "met".into(),
        }
    }
}

impl Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::AtMost(most) => format!("≤ {most}"),
            Self::AtLeast(least) => format!("≥ {least}"),
            Self::None => String::new(),
        };
        f.pad(&text)
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<38}{:>9}  {:<26}{:>9}{:>9}{:>10}  {:<14}",
            "", "ns", "beside", "ns", "target", "measured", "of the rounds"
        )?;
        for row in &self.0 {
            writeln!(
                f,
                "{:<38}{:>9.1}  {:<26}{:>9.1}{:>9}{:>10.2}  {:<14}{}",
                row.what,
                row.ours,
                row.beside,
                row.theirs,
                row.target,
                row.measured(),
                row.spread(),
                row.verdict(),
            )?;
        }
        Ok(())
    }
}
