//! The one script of a shared circuit, in both languages of stores.

use crate::{
    algorithm::{
        circuit::Phase,
        fleet_circuit::{
            Command, Control, End, Fleet, Reach, Reply as Answer, Report, Rules, Streak,
        },
        window::Tally,
    },
    store::{Arg, Records, Reply, Script, StoreError, Value},
};

pub(super) static EXCHANGE: Script = Script {
    name: "circuit",
    lua: include_str!("exchange.lua"),
    twin: exchange,
};

/// Integers are exact up to here, in Lua too.
const LARGEST: i64 = 1 << 53;
/// Before the ends of probes.
const FIXED: usize = 28;

fn exchange(records: &mut Records<'_>, args: &[Arg]) -> Result<Vec<Value>, StoreError> {
    let (rules, report) = read(args)?;
    let now = records.now();
    let record = records.get::<Fleet>(0)?.cloned();
    let (fleet, answer) = Fleet::exchange(record, now, &rules, &report);
    let lasts = fleet.lasts(now, &rules);
    records.put(0, fleet, lasts);
    Ok(ints(&answer).map(Value::Int).collect())
}

/// What the script is run with.
pub(super) fn args(rules: &Rules, report: &Report) -> Vec<Arg> {
    let (command, id, age) = match report.control {
        None => (0, 0, 0),
        Some(Control { command, id, age }) => (1 + command as i64, id, age),
    };
    let (calls, grain, width, pieces) = match rules.reach {
        Reach::Count { calls, grain } => (calls, grain, 0, 0),
        Reach::Time { width, pieces } => (0, 0, width, pieces),
    };
    let mut args = Vec::with_capacity(FIXED + 2 + 2 * report.ends.len() + report.asks.len());
    let mut ints = |ints: &[i64]| args.extend(ints.iter().copied().map(Arg::Int));
    ints(&[report.seen, report.floor, report.epoch, report.who]);
    ints(&[
        whole(report.batch.calls),
        whole(report.batch.failures),
        whole(report.batch.slow),
    ]);
    ints(&[
        report.streak as i64,
        i64::from(report.opened),
        report.jitter,
    ]);
    ints(&[command, id, age]);
    ints(&[calls, grain, width, pieces]);
    args.extend([rate(rules.failure_rate), rate(rules.slow_rate)]);
    let mut ints = |ints: &[i64]| args.extend(ints.iter().copied().map(Arg::Int));
    ints(&[rules.minimum_calls, rules.quorum]);
    ints(&[rules.recovery, rules.longest_recovery]);
    ints(&[rules.places, rules.successes, rules.lease]);
    ints(&[rules.keep, rules.keep_by_hand()]);
    ints(&[length(&report.ends)]);
    for &(number, end) in &report.ends {
        ints(&[number, end as i64]);
    }
    ints(&[length(&report.asks)]);
    ints(&report.asks);
    args
}

fn length<T>(list: &[T]) -> i64 {
    i64::try_from(list.len()).unwrap_or(LARGEST)
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(LARGEST).min(LARGEST)
}

/// The shortest decimal that is this number and no other.
fn rate(rate: Option<f64>) -> Arg {
    Arg::Bytes(rate.map_or_else(Vec::new, |rate| rate.to_string().into_bytes()))
}

/// The arguments of one run, in order.
struct Args<'a> {
    args: std::slice::Iter<'a, Arg>,
}

impl Args<'_> {
    fn int(&mut self) -> Result<i64, StoreError> {
        let int = self.args.next().ok_or(StoreError::BadReply)?.int()?;
        if int.unsigned_abs() > LARGEST.unsigned_abs() {
            return Err(StoreError::BadReply);
        }
        Ok(int)
    }

    fn count(&mut self) -> Result<u64, StoreError> {
        u64::try_from(self.int()?).map_err(|_| StoreError::BadReply)
    }

    fn rate(&mut self) -> Result<Option<f64>, StoreError> {
        match self.args.next() {
            Some(Arg::Bytes(text)) if text.is_empty() => Ok(None),
            Some(Arg::Bytes(text)) => {
                let number = std::str::from_utf8(text).ok().and_then(|t| t.parse().ok());
                number.map(Some).ok_or(StoreError::BadReply)
            }
            _ => Err(StoreError::BadReply),
        }
    }

    fn choice<T: Copy>(&mut self, choices: &[T]) -> Result<T, StoreError> {
        let nth = usize::try_from(self.int()?).ok();
        let choice = nth.and_then(|nth| choices.get(nth)).copied();
        choice.ok_or(StoreError::BadReply)
    }

    fn tally(&mut self) -> Result<Tally, StoreError> {
        Ok(Tally {
            calls: self.count()?,
            failures: self.count()?,
            slow: self.count()?,
        })
    }
}

fn read(args: &[Arg]) -> Result<(Rules, Report), StoreError> {
    let mut args = Args { args: args.iter() };
    let mut report = Report {
        seen: args.int()?,
        floor: args.int()?,
        epoch: args.int()?,
        who: args.int()?,
        batch: args.tally()?,
        streak: args.choice(&[Streak::Below, Streak::Reached, Streak::Ended])?,
        opened: args.int()? == 1,
        jitter: args.int()?,
        control: None,
        ends: Vec::new(),
        asks: Vec::new(),
    };
    let command = args.choice(&[
        None,
        Some(Command::ForceOpen),
        Some(Command::Disable),
        Some(Command::Reset),
        Some(Command::EndForcedOpen),
        Some(Command::EndDisabled),
    ])?;
    let (id, age) = (args.int()?, args.int()?);
    report.control = command.map(|command| Control { command, id, age });
    let rules = read_rules(&mut args)?;
    for _ in 0..args.count()? {
        let number = args.int()?;
        let end = args.choice(&[End::Passed, End::Failed, End::Unused])?;
        report.ends.push((number, end));
    }
    for _ in 0..args.count()? {
        report.asks.push(args.int()?);
    }
    Ok((rules, report))
}

fn read_rules(args: &mut Args<'_>) -> Result<Rules, StoreError> {
    let (calls, grain, width, pieces) = (args.int()?, args.int()?, args.int()?, args.int()?);
    let (failure_rate, slow_rate) = (args.rate()?, args.rate()?);
    let rules = Rules {
        reach: match calls {
            0 => Reach::Time {
                width: width.max(1),
                pieces,
            },
            calls => Reach::Count { calls, grain },
        },
        failure_rate,
        slow_rate,
        minimum_calls: args.int()?,
        quorum: args.int()?,
        recovery: args.int()?,
        longest_recovery: args.int()?,
        places: args.int()?,
        successes: args.int()?,
        lease: args.int()?,
        keep: args.int()?,
    };
    // It follows from the others.
    args.int()?;
    Ok(rules)
}

fn ints(answer: &Answer) -> impl Iterator<Item = i64> + use<'_> {
    let fixed = [
        answer.generation,
        answer.phase as i64,
        answer.wait,
        answer.failed_recoveries,
        answer.successes,
        answer.epoch,
        whole(answer.tally.calls),
        whole(answer.tally.failures),
        whole(answer.tally.slow),
    ];
    fixed.into_iter().chain(answer.granted.iter().copied())
}

/// The answer that a reply is.
///
/// # Errors
/// Whoever gave it does not run the script.
pub(super) fn answer(reply: &Reply) -> Result<Answer, StoreError> {
    let args: Vec<Arg> = reply.ints()?.into_iter().map(Arg::Int).collect();
    let mut args = Args { args: args.iter() };
    let mut answer = Answer {
        generation: args.int()?,
        phase: args.choice(&[
            Phase::Closed,
            Phase::Open,
            Phase::HalfOpen,
            Phase::ForcedOpen,
            Phase::Disabled,
        ])?,
        wait: args.int()?,
        failed_recoveries: args.int()?,
        successes: args.int()?,
        epoch: args.int()?,
        tally: args.tally()?,
        granted: Vec::new(),
    };
    if answer.generation < 0 {
        return Err(StoreError::BadReply);
    }
    for _ in 0..args.args.len() {
        answer.granted.push(args.int()?);
    }
    Ok(answer)
}
