//! What the model does not ask: when things are sent, and to whom an answer belongs.

use super::*;

const MILLI: Duration = Duration::from_millis(1);
const LEASE: Duration = Duration::from_secs(9);
const START: Nanos = Nanos(1 << 60);

fn terms(waits: bool) -> Terms {
    Terms {
        limit: 2,
        watches: false,
        waits,
        max_queue: 100,
        lease: LEASE,
        deadline: 50 * MILLI,
        alone: Alone::Share(1),
        up: true,
    }
}

fn after(millis: u32) -> Nanos {
    START.after(MILLI * millis)
}

struct Asked {
    flight: u64,
    ids: Vec<u64>,
    within: Duration,
}

fn asked(out: &mut Vec<Effect>) -> Vec<Asked> {
    let asked = out.drain(..).filter_map(|effect| match effect {
        Effect::Ask {
            flight,
            ids,
            within,
        } => Some(Asked {
            flight,
            ids,
            within,
        }),
        _ => None,
    });
    asked.collect()
}

fn line(entrance: Entrance) -> u64 {
    match entrance {
        Entrance::Line(ticket) => ticket,
        other => panic!("{other:?}"),
    }
}

fn granted(fences: &[u64], in_flight: u32) -> Result<Granted, Failed> {
    Ok(Granted {
        fences: fences
            .iter()
            .map(|fence| Some(*fence).filter(|f| *f > 0))
            .collect(),
        in_flight,
        first_end: LEASE,
    })
}

fn place(look: Look) -> Pass {
    match look {
        Look::Turn(Turn::In(pass)) => pass,
        other => panic!("{other:?}"),
    }
}

#[test]
fn those_who_come_while_a_question_is_under_way_are_asked_for_together() {
    let (mut desk, terms, mut out) = (Desk::new(), terms(false), Vec::new());
    desk.enter(START, &terms, true, &mut out);
    let first = asked(&mut out).remove(0);
    for _ in 0..2 {
        desk.enter(START, &terms, true, &mut out);
    }
    assert!(asked(&mut out).is_empty());
    desk.landed(
        first.flight,
        granted(&[0], 2),
        0,
        after(1),
        &terms,
        &mut out,
    );
    let second = asked(&mut out);
    assert_eq!((second.len(), second[0].ids.len()), (1, 2));
}

#[test]
fn a_second_question_does_not_wait_until_the_first_has_cost_the_deadline() {
    let (mut desk, terms, mut out) = (Desk::new(), terms(false), Vec::new());
    desk.enter(START, &terms, true, &mut out);
    assert_eq!(asked(&mut out)[0].within, 50 * MILLI);
    let ticket = line(desk.enter(after(10), &terms, true, &mut out));
    let at = match desk.look(ticket, &terms) {
        Look::Line { at, .. } => at,
        other @ Look::Turn(_) => panic!("{other:?}"),
    };
    assert_eq!(at, Some(after(25)));
    desk.nudge(after(24), &terms, &mut out);
    assert!(asked(&mut out).is_empty());
    desk.nudge(after(25), &terms, &mut out);
    // What is left of its fifty milliseconds.
    assert_eq!(asked(&mut out)[0].within, 35 * MILLI);
    desk.enter(after(49), &terms, true, &mut out);
    assert!(asked(&mut out).is_empty(), "no third");
}

#[test]
fn nobody_is_refused_by_an_answer_to_a_question_from_before_it_came() {
    let (mut desk, terms, mut out) = (Desk::new(), terms(false), Vec::new());
    let early = line(desk.enter(START, &terms, true, &mut out));
    let first = asked(&mut out).remove(0);
    let late = line(desk.enter(after(1), &terms, true, &mut out));
    desk.landed(
        first.flight,
        granted(&[0], 2),
        0,
        after(2),
        &terms,
        &mut out,
    );
    assert_eq!(
        desk.look(early, &terms),
        Look::Turn(Turn::Full { waiting: 1 })
    );
    assert!(matches!(desk.look(late, &terms), Look::Line { .. }));
    let second = asked(&mut out).remove(0);
    desk.landed(
        second.flight,
        granted(&[7], 2),
        0,
        after(3),
        &terms,
        &mut out,
    );
    assert!(matches!(
        place(desk.look(late, &terms)),
        Pass::Place { fence: 7, .. }
    ));
}

#[test]
fn a_place_goes_to_the_head_of_the_line_whoever_asked_for_it() {
    let (mut desk, terms, mut out) = (Desk::new(), terms(false), Vec::new());
    let first = line(desk.enter(START, &terms, true, &mut out));
    let slow = asked(&mut out).remove(0);
    let second = line(desk.enter(after(30), &terms, true, &mut out));
    let quick = asked(&mut out).remove(0);
    desk.landed(
        quick.flight,
        granted(&[8], 1),
        0,
        after(31),
        &terms,
        &mut out,
    );
    assert!(matches!(
        place(desk.look(first, &terms)),
        Pass::Place { fence: 8, .. }
    ));
    // The other waits for the slow answer now, and is refused by it no more than it would have been.
    assert!(matches!(desk.look(second, &terms), Look::Line { .. }));
    desk.landed(
        slow.flight,
        granted(&[7], 2),
        0,
        after(32),
        &terms,
        &mut out,
    );
    // The number is lower than one that was shown: it is exchanged first.
    let exchange = asked(&mut out).remove(0);
    assert_eq!(exchange.ids, slow.ids);
    desk.landed(
        exchange.flight,
        granted(&[9], 2),
        0,
        after(33),
        &terms,
        &mut out,
    );
    assert!(matches!(
        place(desk.look(second, &terms)),
        Pass::Place { fence: 9, .. }
    ));
}

#[test]
fn the_head_of_the_line_asks_again_less_and_less_often() {
    let (mut desk, terms, mut out) = (Desk::new(), terms(true), Vec::new());
    let head = line(desk.enter(START, &terms, true, &mut out));
    let mut now = START;
    let mut delays = Vec::new();
    for _ in 0..8 {
        let question = asked(&mut out).remove(0);
        desk.landed(
            question.flight,
            granted(&[0], 2),
            u32::MAX,
            now,
            &terms,
            &mut out,
        );
        let Look::Line {
            denied: true,
            at: Some(at),
        } = desk.look(head, &terms)
        else {
            panic!("no time to ask again");
        };
        assert!(asked(&mut out).is_empty());
        delays.push(at.since(now).as_millis());
        now = at;
        desk.nudge(now, &terms, &mut out);
    }
    assert_eq!(delays, [10, 20, 40, 80, 160, 160, 160, 160]);
}

#[test]
fn an_answer_about_a_renewal_from_before_a_place_was_given_anew_says_nothing() {
    let terms = Terms {
        limit: 1,
        ..terms(true)
    };
    let (mut desk, mut out) = (Desk::new(), Vec::new());
    let first = line(desk.enter(START, &terms, true, &mut out));
    let question = asked(&mut out).remove(0);
    desk.landed(
        question.flight,
        granted(&[5], 1),
        0,
        START,
        &terms,
        &mut out,
    );
    let pass = place(desk.look(first, &terms));
    desk.tick(after(3_000), &terms, &mut out);
    let renewal = out.drain(..).find_map(|effect| match effect {
        Effect::Renew { flight, .. } => Some(flight),
        _ => None,
    });
    let second = line(desk.enter(after(3_000), &terms, true, &mut out));
    asked(&mut out);
    desk.leave(pass, after(3_030), &terms, &mut out);
    let exchange = asked(&mut out).remove(0);
    assert_eq!(exchange.ids[0], question.ids[0]);
    let fences: Vec<_> = exchange.ids.iter().map(|_| 6).collect();
    desk.landed(
        exchange.flight,
        granted(&fences, 1),
        0,
        after(3_031),
        &terms,
        &mut out,
    );
    assert!(matches!(
        place(desk.look(second, &terms)),
        Pass::Place { fence: 6, .. }
    ));
    out.clear();
    let answer = Some((1, vec![false]));
    desk.renewed(renewal.unwrap(), answer, after(3_032), &terms, &mut out);
    assert!(
        !out.iter()
            .any(|effect| matches!(effect, Effect::Lost { .. }))
    );
}

#[test]
fn an_answer_that_took_longer_than_the_lease_gives_nothing() {
    let (mut desk, terms, mut out) = (Desk::new(), terms(false), Vec::new());
    let ticket = line(desk.enter(START, &terms, true, &mut out));
    let question = asked(&mut out).remove(0);
    desk.landed(
        question.flight,
        granted(&[5], 1),
        0,
        START.after(LEASE),
        &terms,
        &mut out,
    );
    assert!(!matches!(
        desk.look(ticket, &terms),
        Look::Turn(Turn::In(_))
    ));
    assert!(
        out.iter()
            .any(|effect| matches!(effect, Effect::Release { ids, .. } if *ids == question.ids))
    );
}

#[test]
fn an_answer_for_one_who_left_refuses_nobody_who_came_since() {
    let (mut desk, terms, mut out) = (Desk::new(), terms(false), Vec::new());
    let early = line(desk.enter(START, &terms, true, &mut out));
    let first = asked(&mut out).remove(0);
    let late = line(desk.enter(after(1), &terms, true, &mut out));
    desk.cancel(early, after(1), &terms, &mut out);
    desk.landed(
        first.flight,
        granted(&[0], 2),
        0,
        after(2),
        &terms,
        &mut out,
    );
    assert!(matches!(desk.look(late, &terms), Look::Line { .. }));
    assert_eq!(asked(&mut out).len(), 1);
}

#[test]
fn the_next_in_line_is_told_that_it_is_for_it_to_ask() {
    let (mut desk, terms, mut out) = (Desk::new(), terms(true), Vec::new());
    let first = line(desk.enter(START, &terms, true, &mut out));
    let question = asked(&mut out).remove(0);
    let second = line(desk.enter(START, &terms, true, &mut out));
    desk.landed(
        question.flight,
        granted(&[0], 2),
        0,
        START,
        &terms,
        &mut out,
    );
    out.clear();
    assert!(matches!(
        desk.look(second, &terms),
        Look::Line {
            denied: true,
            at: None
        }
    ));
    desk.give_up(first, &mut out);
    assert_eq!(out, [Effect::Wake(second)]);
    assert!(matches!(
        desk.look(second, &terms),
        Look::Line { at: Some(_), .. }
    ));
}
