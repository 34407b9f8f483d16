//! `key` gives every tenant a limit of its own: a noisy one takes nothing from the others.
//!
//! cargo run --example per_key_limits

use std::io::Error;
use steadfast::{Rate, rate_limited};

struct Tenant {
    name: &'static str,
    pays: bool,
}

impl Tenant {
    fn plan(&self) -> Rate {
        if self.pays {
            Rate::per_second(20)
        } else {
            Rate::per_second(5)
        }
    }
}

/// Key, rate and cost are expressions that see the parameters. Keys are remembered up to
/// `max_keys`; those that nobody uses are forgotten.
#[rate_limited("exports", key = tenant.name, rate = tenant.plan(), cost = pages, max_keys = 10_000)]
async fn export(tenant: &Tenant, pages: u32) -> Result<u32, Error> {
    Ok(pages)
}

#[tokio::main]
async fn main() {
    let free = Tenant {
        name: "free",
        pays: false,
    };
    let paying = Tenant {
        name: "paying",
        pays: true,
    };
    for (tenant, pages) in [
        (&free, 3),
        (&free, 3),
        (&paying, 15),
        (&free, 1),
        (&paying, 10),
    ] {
        match export(tenant, pages).await {
            Ok(pages) => println!("{:>6}: {pages} pages exported", tenant.name),
            Err(error) => println!("{:>6}: {pages} pages: {error}", tenant.name),
        }
    }
    if let Some(exports) = steadfast::registry().rate_limiter("exports") {
        let metrics = exports.metrics();
        println!("{} allowed, {} refused", metrics.allowed, metrics.rejected);
    }
}
