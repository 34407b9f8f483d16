#![deny(warnings, clippy::all, clippy::pedantic)]
#![allow(clippy::redundant_closure_for_method_calls,clippy::iter_not_returning_iterator, clippy::unnecessary_wraps, clippy::manual_async_fn)]
#![no_implicit_prelude]
//! x
use ::std::prelude::v1::{Into, Iterator};
use ::steadfast::{circuit_breaker, fallback, timeout, Rejection};

#[allow(dead_code, unused)]
mod core {}
#[allow(dead_code, unused)]
mod std {}

#[allow(non_snake_case, dead_code, clippy::unused_unit)]
fn Ok() {}
#[allow(non_snake_case, dead_code)]
fn Err() {}
#[allow(dead_code)]
struct Some;
#[allow(dead_code)]
struct Option;
#[allow(dead_code)]
struct Box;

type Res<T> = ::std::result::Result<T, E>;

#[derive(::core::fmt::Debug)]
enum E {
    Down,
    #[allow(dead_code)]
    Rejected(Rejection),
}
impl ::core::convert::From<Rejection> for E {
    fn from(r: Rejection) -> Self {
        Self::Rejected(r)
    }
}
impl E {
    fn bad(&self) -> bool { ::core::matches!(self, E::Down) }
}

struct Client { n: u32 }
struct NotSync(::core::cell::Cell<u32>);

impl Client {
    #[circuit_breaker("a", failure_rate = 0.5, window = "60s", when = E::bad)]
    #[timeout("2s")]
    async fn method(&mut self, by_value: NotSync, mut count: u32, name: ::std::string::String) -> Res<u32> {
        count += by_value.0.get();
        self.n += count;
        if self.n == 7 { return ::core::result::Result::Err(E::Down); }
        ::core::mem::drop(name);
        ::core::result::Result::Ok(self.n)
    }

    #[fallback(|_| value(self.n))]
    #[circuit_breaker("b", key = host, max_keys = 5, ignore = |e| e.bad())]
    async fn keyed(&self, host: &str, _: u32, (a, mut b): (u32, u32), _guard: NotSync) -> Res<u32> {
        static THING: u32 = 4;
        b += a + THING;
        ::core::result::Result::Ok(self.n + b)
    }

    #[circuit_breaker]
    fn borrow(&mut self, k: u32) -> ::std::result::Result<&mut u32, E> {
        if k > 3 { self.n = k; ::core::result::Result::Err(E::Down) } else { ::core::result::Result::Ok(&mut self.n) }
    }
    #[circuit_breaker]
    fn borrow_ref<'a>(&self, k: &'a str) -> ::std::result::Result<&'a str, E> {
        let _ = self.n;
        ::core::result::Result::Ok(k)
    }
    #[circuit_breaker]
    #[timeout("1s")]
    async fn iter(&self, k: impl ::std::clone::Clone + ::std::marker::Send) -> ::std::result::Result<impl ::std::iter::Iterator<Item = u32>, E> {
        let _ = k.clone();
        ::core::result::Result::Ok(::std::iter::once(self.n))
    }
}

fn value(n: u32) -> Res<u32> { ::core::result::Result::Ok(n) }

#[circuit_breaker]
#[fallback(default, when = |e| e.bad())]
async fn generic<T: ::core::default::Default + ::core::clone::Clone>(t: T) -> Res<T> {
    ::core::result::Result::Ok(t.clone())
}

trait Tr {
    #[circuit_breaker]
    fn def(&self) -> Res<u32> { ::core::result::Result::Ok(1) }
    #[allow(async_fn_in_trait)]
    #[timeout(after = ::core::time::Duration::from_secs(n.into()))]
    async fn adef(&self, n: u32) -> Res<u32> { ::core::result::Result::Ok(n) }
}
impl Tr for Client {}

#[timeout("1s")]
fn fut(n: u32) -> impl ::std::future::Future<Output = Res<u32>> + ::std::marker::Send {
    async move { let k = value(n)?; ::core::result::Result::Ok(k) }
}
#[timeout("1s")]
fn boxed(n: u32) -> ::std::pin::Pin<::std::boxed::Box<dyn ::std::future::Future<Output = Res<u32>> + ::std::marker::Send>> {
    ::std::boxed::Box::pin(async move { let k = value(n)?; ::core::result::Result::Ok(k) })
}

#[timeout("1s")]
async fn daemon() -> Res<u32> {
    let mut i = 0;
    loop { i += 1; if i > 10 { return ::core::result::Result::Ok(3); } }
}

#[timeout("1s")]
async fn diverges() -> Res<::core::convert::Infallible> {
    let mut i = 0u32;
    loop { i = i.wrapping_add(1); }
}

#[circuit_breaker]
#[timeout("1s")]
async fn run() -> Res<()> {
    let mut c = Client { n: 1 };
    ::core::assert_eq!(c.method(NotSync(::core::cell::Cell::new(1)), 1, ::std::string::String::new()).await.unwrap(), 3);
    ::core::assert_eq!(c.keyed("h", 1, (1, 2), NotSync(::core::cell::Cell::new(1))).await.unwrap(), 10);
    ::core::assert_eq!(*c.borrow(1).unwrap(), 3);
    ::core::assert_eq!(c.borrow_ref("1").unwrap(), "1");
    ::core::assert_eq!(c.iter(1).await.unwrap().next().unwrap(), 3);
    ::core::assert_eq!(generic(1u8).await.unwrap(), 1);
    ::core::assert_eq!(c.def().unwrap(), 1);
    ::core::assert_eq!(c.adef(1).await.unwrap(), 1);
    ::core::assert_eq!(fut(1).await?, 1);
    ::core::assert_eq!(boxed(1).await?, 1);
    ::core::assert_eq!(daemon().await?, 3);
    if false { diverges().await?; }
    send(c.method(NotSync(::core::cell::Cell::new(1)), 1, ::std::string::String::new()));
    ::core::result::Result::Ok(())
}
fn send(_: impl ::std::marker::Send) {}

#[test]
fn runs() {
    let rt = ::tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    rt.block_on(run()).unwrap();
}
