#!/usr/bin/env bash
# Measures everything, and writes docs/performance.md. Takes some ten minutes; leave the machine alone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

page=docs/performance.md
benches=runtime/benches
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

section() {
    echo "── $1" >&2
    printf '\n## %s\n\n' "$1"
}

code() {
    echo '```text'
    cat
    echo '```'
}

machine() {
    local kind=""
    if grep -q '^flags.* hypervisor' /proc/cpuinfo 2>/dev/null; then
        kind=" virtual machine"
    fi
    echo "$(uname -m)$kind, $(nproc) cores"
}

write_page() {
    cat <<END
# What protection costs

Measured on $(date +%Y-%m-%d): $(machine), $(rustc --version | cut -d ' ' -f 1-2), fat LTO. Written by
\`$benches/performance.sh\`, which repeats it all.
END

    section "Time"
    cat <<END
Every case is an async function that does nothing, called 10 000 times in one \`block_on\`, while all is
well. The cases take turns, $rounds rounds of them; a case's time in a round is the lower quartile of some
forty samples, because other work on the machine only ever adds. A ratio is of one round; shown are their
median, and the least and the most of all rounds. *By hand* is backon, recloser, governor and a tokio semaphore and
timeout; the *floor* is three atomics that nobody else uses and two readings of the processor's
counter. Each of two threads makes as many calls as one thread alone, on the same policies.

END
    cargo bench --locked --package steadfast-benches --bench happy_path -- \
        --rounds "$rounds" --markdown "$work/table.md" >"$work/happy_path.txt" 2>&1 ||
        { tail -n 20 "$work/happy_path.txt" >&2; return 1; }
    cat "$work/table.md"

    section "Instructions"
    echo "Of one call, by callgrind, with the loop that makes it; \`.ci/run\` fails where there are more than allowed."
    echo
    # What is counted is shown, also where it is too much.
    { "$benches/instructions.sh" || true; } | code
    cat <<END

Settings that configuration can replace while calls run are read through one pointer per policy and call: one
load and a choice. When that was introduced it added 0 to 12 of these instructions to a policy, 19 with a key,
34 to the 334 of six attributes, against settings that were constants of the instance.
END

    section "Memory"
    echo "Of a remembered key, besides the key; 100 000 keys fill their table, 15 000 have just made it grow."
    echo
    cargo test --locked --all-features --package steadfast-tests --test memory_per_key -- \
        --nocapture --test-threads 1 2>"$work/memory.txt" |
        sed -n 's/^\(test [a-z_0-9]* \.\.\. \)\?\([a-z ]*: [0-9].*\)$/\2/p' | code
    echo
    echo "The happy path allocates nothing, whatever the stack; \`tests/tests/footprint.rs\` holds it to that."

    section "Compile time"
    echo "A program of 200 async functions, bare and with six attributes each, without its dependencies."
    echo
    "$benches/compile_cost.sh" | code
}

rounds=${ROUNDS:-15}
mkdir -p docs
write_page >"$work/page.md"
mv "$work/page.md" "$page"
echo "written: $page" >&2
