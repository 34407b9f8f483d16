#!/usr/bin/env bash
# Installs the Redis server that tests and examples start themselves, where there is none: on Debian and
# its kin, with apt-get. Nothing is left running, and nothing starts with the machine.
set -euo pipefail

has_server() {
    [ -n "${STEADFAST_REDIS_SERVER:-}" ] || command -v redis-server >/dev/null || command -v valkey-server >/dev/null
}

if has_server; then
    exit
fi

as_root=
if [ "$(id -u)" != 0 ]; then
    as_root="sudo -n"
fi

install_server() {
    command -v apt-get >/dev/null && $as_root true || return
    echo "installing redis-server"
    # Tells the package not to start its service.
    local policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null
        $as_root chmod +x $policy
        trap "$as_root rm -f $policy" EXIT
    fi
    $as_root apt-get update -qq
    $as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
        apt-get install -y -qq --no-install-recommends redis-server >/dev/null
    if command -v systemctl >/dev/null; then
        $as_root systemctl disable --quiet redis-server 2>/dev/null || true
    fi
}

install_server || true
if ! has_server; then
    echo "error: no redis-server, which some tests and examples start, and it could not be installed:" \
        "install Redis 7 or Valkey (Debian and Ubuntu: apt-get install redis-server, macOS: brew install" \
        "redis), or give the program's path in STEADFAST_REDIS_SERVER" >&2
    exit 1
fi
