//! Patterns as parameters.

use steadfast::{circuit_breaker, fallback, retry, timeout};

use crate::support::{Failure, Tries};

#[derive(Clone, Copy)]
struct Point {
    x: u32,
    y: u32,
}

struct Wrapper<T>(T);

struct Order {
    id: u32,
    note: String,
}

#[retry(base_delay = "10ms")]
async fn tuple((a, b): (u32, u32), tries: &Tries) -> Result<u32, Failure> {
    tries.ask()?;
    Ok(a + b)
}

#[retry(base_delay = "10ms")]
#[timeout("1s")]
async fn structure(
    Point { x, y: renamed }: Point,
    &Point { y, .. }: &Point,
    tries: &Tries,
) -> Result<u32, Failure> {
    tries.ask()?;
    Ok(x + renamed + y)
}

#[fallback(|_error| Ok(value + items.iter().sum::<u32>()))]
#[retry(base_delay = "10ms")]
async fn tuple_structure(
    Wrapper(value): Wrapper<u32>,
    Wrapper(items): Wrapper<Vec<u32>>,
    tries: &Tries,
) -> Result<u32, Failure> {
    Ok(tries.ask()? + value + u32::try_from(items.len()).unwrap_or(0))
}

#[retry(base_delay = "10ms")]
async fn array([first, .., last]: [u32; 3], tries: &Tries) -> Result<u32, Failure> {
    tries.ask()?;
    Ok(first + last)
}

#[retry(base_delay = "10ms")]
async fn by_reference(ref text: String, tries: &Tries) -> Result<usize, Failure> {
    tries.ask()?;
    Ok(text.len())
}

#[circuit_breaker]
async fn by_mutable_reference(ref mut items: Vec<u32>) -> Result<usize, Failure> {
    items.push(1);
    Ok(items.len())
}

#[timeout("1s")]
async fn mutable(mut items: Vec<u32>, (mut a, _): (u32, u32)) -> Result<Vec<u32>, Failure> {
    a += 1;
    items.push(a);
    Ok(items)
}

#[retry(base_delay = "10ms", clone(items))]
async fn mutable_and_cloned(mut items: Vec<u32>, tries: &Tries) -> Result<Vec<u32>, Failure> {
    items.push(tries.made());
    tries.ask()?;
    Ok(items)
}

#[retry(base_delay = "10ms")]
async fn mutable_and_lent(mut items: Vec<u32>, tries: &Tries) -> Result<usize, Failure> {
    items.push(0);
    tries.ask()?;
    Ok(items.len())
}

#[retry(base_delay = "10ms")]
#[circuit_breaker(failure_threshold = 100)]
async fn ignored(_: Vec<u32>, _unused: String, _: &str, tries: &Tries) -> Result<u32, Failure> {
    tries.ask()
}

#[retry(base_delay = "10ms")]
async fn bound_as_a_whole(whole @ Point { x, .. }: Point, tries: &Tries) -> Result<u32, Failure> {
    tries.ask()?;
    Ok(whole.x + whole.y + x)
}

#[retry(base_delay = "1ms")]
fn alternatives((Ok(n) | Err(n)): Result<u32, u32>, tries: &Tries) -> Result<u32, Failure> {
    tries.ask()?;
    Ok(n)
}

#[retry(base_delay = "1ms")]
fn nested(
    ((a, [b, _]), Wrapper(Point { x: c, .. })): ((u32, [u32; 2]), Wrapper<Point>),
    tries: &Tries,
) -> Result<u32, Failure> {
    tries.ask()?;
    Ok(a * 100 + b * 10 + c)
}

#[retry(base_delay = "10ms", clone(note))]
#[timeout("1s")]
async fn a_part_is_cloned(
    Order { id, note }: Order,
    tries: &Tries,
) -> Result<(u32, String), Failure> {
    tries.ask()?;
    Ok((id, note))
}

#[timeout("1s")]
async fn the_parts_are_moved(Order { note, .. }: Order) -> Result<String, Failure> {
    Ok(note)
}

#[retry(base_delay = "10ms")]
#[allow(unused_parens)]
async fn parenthesised((tries): &Tries) -> Result<u32, Failure> {
    tries.ask()
}

const POINT: Point = Point { x: 1, y: 2 };

#[tokio::test(start_paused = true)]
async fn parts_of_values_are_lent_to_each_attempt() {
    let good = || Tries::good_at(3);
    assert_eq!(tuple((1, 2), &good()).await, Ok(3));
    assert_eq!(structure(POINT, &POINT, &good()).await, Ok(5));
    assert_eq!(
        tuple_structure(Wrapper(1), Wrapper(vec![5, 6]), &good()).await,
        Ok(6)
    );
    assert_eq!(
        tuple_structure(Wrapper(1), Wrapper(vec![5, 6]), &Tries::never_good()).await,
        Ok(12)
    );
    assert_eq!(array([1, 2, 3], &good()).await, Ok(4));
    assert_eq!(by_reference("abc".into(), &good()).await, Ok(3));
    assert_eq!(bound_as_a_whole(POINT, &good()).await, Ok(4));
    assert_eq!(parenthesised(&good()).await, Ok(3));
}

#[tokio::test(start_paused = true)]
async fn mutable_bindings_work() {
    assert_eq!(by_mutable_reference(vec![]).await, Ok(1));
    assert_eq!(mutable(vec![], (4, 5)).await, Ok(vec![5]));
}

#[tokio::test(start_paused = true)]
async fn each_attempt_starts_from_a_clone_where_asked_and_else_from_the_same_value() {
    let good = || Tries::good_at(3);
    assert_eq!(mutable_and_cloned(vec![9], &good()).await, Ok(vec![9, 2]));
    assert_eq!(mutable_and_lent(vec![9], &good()).await, Ok(4));
}

#[tokio::test(start_paused = true)]
async fn parts_are_cloned_or_moved() {
    let order = || Order {
        id: 1,
        note: "n".into(),
    };
    assert_eq!(
        a_part_is_cloned(order(), &Tries::good_at(2)).await,
        Ok((1, "n".into()))
    );
    assert_eq!(the_parts_are_moved(order()).await, Ok("n".into()));
}

#[tokio::test(start_paused = true)]
async fn nobody_needs_the_parameter() {
    assert_eq!(
        ignored(vec![], String::new(), "", &Tries::good_at(2)).await,
        Ok(2)
    );
}

#[test]
fn alternatives_and_nested_patterns_work() {
    assert_eq!(alternatives(Err(3), &Tries::good_at(2)), Ok(3));
    assert_eq!(
        nested(
            ((1, [2, 0]), Wrapper(Point { x: 3, y: 0 })),
            &Tries::good_at(2)
        ),
        Ok(123)
    );
}
