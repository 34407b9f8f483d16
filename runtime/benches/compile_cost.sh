#!/usr/bin/env bash
# What six attributes cost the compiler: a program of 200 async functions, bare and protected, built in
# debug and in release. Only the program itself is timed, from scratch; its dependencies are there.
#
#   runtime/benches/compile_cost.sh            seconds of processor time (and of the wall), and ratios
#   runtime/benches/compile_cost.sh --passes   where they go, by rustc's passes
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

functions=200
repeats=${REPEATS:-3}
root=$PWD
work=${CARGO_TARGET_DIR:-$root/target}/compile_cost
mkdir -p "$work"
work=$(cd "$work" && pwd)
export CARGO_INCREMENTAL=0 CARGO_TARGET_DIR=$work/target

attributes() {
    cat <<END
#[fallback(value = Vec::new())]
#[retry(max_attempts = 4, base_delay = "100ms")]
#[circuit_breaker("c$1", failure_rate = 0.5, slow_call = "1s")]
#[rate_limited("l$1", rate = "200/s", burst = 50, max_wait = "250ms")]
#[bulkhead("b$1", max_concurrent = 16)]
#[timeout("2s")]
END
}

body() {
    cat <<END
pub async fn f$1(client: &Client, id: u64, name: &str) -> Result<Vec<String>, Error> {
    let path = format!("/v1/items/$1/{id}/{name}");
    let text = client.get(path).await?;
    let mut parts: Vec<String> = text.split('/').map(str::to_owned).collect();
    if parts.len() < $(($1 % 5 + 1)) {
        return Err(Error::Short(text));
    }
    parts.sort();
    let more = client.get(parts.join("-")).await?;
    parts.push(more);
    Ok(parts)
}
END
}

# The source of the program. All that is not called is not compiled, so `main` polls every future.
program() {
    cat <<END
#![allow(unused_imports)]
use std::{future::Future, pin::Pin};
use steadfast::{Rejection, bulkhead, circuit_breaker, fallback, rate_limited, retry, timeout};

#[derive(Debug)]
pub enum Error {
    Short(String),
    Rejected(Rejection),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Error {}

impl From<Rejection> for Error {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

pub struct Client;

impl Client {
    pub async fn get(&self, path: String) -> Result<String, Error> {
        tokio::task::yield_now().await;
        Ok(path)
    }
}
END
    local n
    for ((n = 0; n < functions; n++)); do
        if [ "$1" = six ]; then
            attributes "$n"
        fi
        body "$n"
    done
    echo "type Called<'c> = Pin<Box<dyn Future<Output = Result<Vec<String>, Error>> + 'c>>;"
    echo "fn main() {"
    echo "    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();"
    echo "    let client = Client;"
    echo "    let all: Vec<Called<'_>> = vec!["
    for ((n = 0; n < functions; n++)); do
        echo "        Box::pin(f$n(&client, $n, \"x\")),"
    done
    echo "    ];"
    echo "    let parts = runtime.block_on(async {"
    echo "        let mut parts = 0;"
    echo "        for called in all {"
    echo "            parts += called.await.unwrap().len();"
    echo "        }"
    echo "        parts"
    echo "    });"
    echo "    assert!(parts >= $functions);"
    echo "}"
}

generate() {
    mkdir -p "$work/$1/src"
    program "$1" >"$work/$1/src/main.rs"
    cat >"$work/$1/Cargo.toml" <<END
[package]
name = "compile-cost-$1"
version = "0.0.0"
edition = "2024"
publish = false

[dependencies]
steadfast = { path = "$root/runtime" }
tokio = { version = "1.42", features = ["rt", "time"] }

[workspace]
END
    # The versions that everything else is built with.
    cp "$root/Cargo.lock" "$work/$1/Cargo.lock"
}

# `cargo` in the package $1, quiet unless it fails.
cargo_in() {
    (cd "$work/$1" && shift && cargo "$@" --quiet)
}

# "wall processor" seconds of building $1 once in the profile $2.
build_once() {
    touch "$work/$1/src/main.rs"
    local TIMEFORMAT='%R %U %S'
    { time cargo_in "$1" build --profile "$2"; } 2>&1 | tail -n 1 | awk '{ print $1, $2 + $3 }'
}

# The median of what is in column $1.
median() {
    awk -v column="$1" '{ print $column }' | sort -n | awk '{ line[NR] = $1 } END { print line[int((NR + 1) / 2)] }'
}

compare() {
    local profile kind repeat
    printf '%-9s %19s %19s %8s %8s\n' "" "bare: wall, cpu" "six: wall, cpu" "wall ×" "cpu ×"
    for profile in dev release; do
        for kind in bare six; do
            cargo_in "$kind" build --profile "$profile"
            "$CARGO_TARGET_DIR/${profile/dev/debug}/compile-cost-$kind"
            : >"$work/$kind.times"
        done
        # In turns, so that what disturbs the machine disturbs both.
        for ((repeat = 0; repeat < repeats; repeat++)); do
            for kind in bare six; do
                build_once "$kind" "$profile" >>"$work/$kind.times"
            done
        done
        printf '%s %s %s %s %s\n' "${profile/dev/debug}" \
            "$(median 1 <"$work/bare.times")" "$(median 2 <"$work/bare.times")" \
            "$(median 1 <"$work/six.times")" "$(median 2 <"$work/six.times")" |
            awk '{ printf "%-9s %10.2f s %5.2f s %10.2f s %5.2f s %7.2f %8.2f\n", $1, $2, $3, $4, $5, $4 / $2, $5 / $3 }'
    done
}

# The passes that take longest, in seconds of the wall, bare and protected.
passes() {
    local profile kind
    export RUSTC_BOOTSTRAP=1 # `-Z` on a stable toolchain
    for profile in dev release; do
        for kind in bare six; do
            touch "$work/$kind/src/main.rs"
            (cd "$work/$kind" && cargo rustc --quiet --profile "$profile" -- -Ztime-passes 2>&1) |
                sed -n 's/^ *time: *\([0-9.]*\);.*[\t ]\([A-Za-z_0-9]*\)$/\2 \1/p' |
                awk '{ sum[$1] += $2 } END { for (pass in sum) print pass, sum[pass] }' |
                sort >"$work/$kind.passes"
        done
        printf '\n%-44s %8s %8s\n' "${profile/dev/debug}" bare six
        join -a 2 -e 0 -o 0,1.2,2.2 "$work/bare.passes" "$work/six.passes" | sort -k3,3 -rn | head -n 22 |
            awk '{ printf "%-44s %8.2f %8.2f\n", $1, $2, $3 }'
    done
}

generate bare
generate six
case "${1:-}" in
    "") compare ;;
    --passes) passes ;;
    *)
        echo "error: unknown argument $1" >&2
        exit 2
        ;;
esac
