#!/usr/bin/env bash
# Runs every test of the workspace: `./test.sh`, or with cargo's arguments, `./test.sh -p steadfast`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

if ! command -v cargo >/dev/null; then
    echo "error: no cargo found; install Rust from https://rustup.rs" >&2
    exit 1
fi

# Without it all the other tests still say something.
tests/install-servers.sh || echo "warning: tests against a real server are going to fail" >&2

if [ $# -eq 0 ]; then
    set -- --workspace
fi
exec cargo test --locked --all-features "$@"
