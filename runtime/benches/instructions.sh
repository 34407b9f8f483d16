#!/usr/bin/env bash
# Counts the instructions of a protected call, which repeat where times do not.
#
#   runtime/benches/instructions.sh            fails where a count is above the recorded one
#   runtime/benches/instructions.sh --record   writes the counts to instructions.txt
#   runtime/benches/instructions.sh six bare   counts these cases only
#
# What it takes to ask the system for the time, once in some hundred readings, is not counted: under
# valgrind that takes so long that the clock asks far more often.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

recorded=runtime/benches/instructions.txt
calls=20000

# More than 5 % and 5 instructions above what is recorded is a regression.
allowed() {
    echo $(($1 + $1 / 20 + 5))
}

need_valgrind() {
    command -v valgrind >/dev/null && return
    if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
        echo "installing valgrind"
        apt-get update -qq && apt-get install -y -qq --no-install-recommends valgrind >/dev/null || true
    elif command -v apt-get >/dev/null && sudo -n true 2>/dev/null; then
        echo "installing valgrind"
        sudo -n apt-get update -qq && sudo -n apt-get install -y -qq --no-install-recommends valgrind >/dev/null || true
    fi
    if ! command -v valgrind >/dev/null; then
        echo "error: no valgrind, which counts the instructions, and it could not be installed: install the package \`valgrind\`" >&2
        exit 1
    fi
}

# The path of the program, built as the benches are.
build() {
    cargo bench --locked --package steadfast-benches --bench instructions --no-run \
        --message-format json-render-diagnostics |
        sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1
}

# Instructions of so many calls; what comes before them is not counted.
collected() {
    local output
    if ! output=$(valgrind --tool=callgrind --callgrind-out-file=/dev/null \
        '--toggle-collect=instructions::counted*' '--toggle-collect=*processor*learn*' \
        "$program" "$1" "$2" 2>&1); then
        echo "error: $1 did not run under valgrind: $output" >&2
        return 1
    fi
    sed -n 's/.*Collected : \([0-9]*\).*/\1/p' <<<"$output"
}

# Of one call, rounded: what more calls add.
count() {
    local few many
    few=$(collected "$1" "$calls")
    many=$(collected "$1" $((2 * calls)))
    echo $(((many - few + calls / 2) / calls))
}

# What is recorded for a case; nothing where it is new.
record_of() {
    sed -n "s/^$1 *\([0-9]*\)\$/\1/p" "$recorded"
}

write_record() {
    cat <<END
# Instructions of a call while all is well, with the loop that makes it (\`bare\` is that alone):
# callgrind, x86-64, $(rustc --version | cut -d ' ' -f 1-2), \`[profile.bench]\`. Written by \`instructions.sh --record\`;
# .ci/run fails where a count is more than 5 % and 5 above the one here.
END
    local case
    for case in "${cases[@]}"; do
        printf '%-26s %4d\n' "$case" "${counts[$case]}"
    done
}

compare() {
    local case was verdict failed=0
    printf '%-26s %8s %8s %8s\n' "instructions of a call" recorded allowed counted
    for case in "${cases[@]}"; do
        was=$(record_of "$case")
        if [ -z "$was" ]; then
            echo "error: $case is not in $recorded: run $0 --record" >&2
            return 1
        fi
        verdict=
        if [ "${counts[$case]}" -gt "$(allowed "$was")" ]; then
            verdict="  MORE"
            failed=1
        fi
        printf '%-26s %8d %8d %8d%s\n' "$case" "$was" "$(allowed "$was")" "${counts[$case]}" "$verdict"
    done
    return $failed
}

record=
if [ "${1:-}" = --record ]; then
    record=1
    shift
fi

if [ "$(uname -m)" != x86_64 ]; then
    echo "not counted: the record is of x86-64, and this is $(uname -m)"
    exit
fi
need_valgrind
program=$(build)
mapfile -t cases < <("$program")
if [ -z "$record" ] && [ $# -gt 0 ]; then
    cases=("$@")
fi
declare -A counts
for case in "${cases[@]}"; do
    counts[$case]=$(count "$case")
done

if [ -n "$record" ]; then
    write_record >"$recorded"
    cat "$recorded"
else
    compare
fi
