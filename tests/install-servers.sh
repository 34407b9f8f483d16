#!/usr/bin/env bash
# Installs the servers that tests and examples start themselves, Redis and Prometheus, where there is none:
# on Debian and its kin, with apt-get. Nothing is left running, and nothing starts with the machine.
set -euo pipefail

has_redis() {
    [ -n "${STEADFAST_REDIS_SERVER:-}" ] || command -v redis-server >/dev/null || command -v valkey-server >/dev/null
}

has_prometheus() {
    command -v prometheus >/dev/null && command -v promtool >/dev/null
}

missing() {
    has_redis || echo redis-server
    has_prometheus || echo prometheus
}

packages=$(missing | xargs)
if [ -z "$packages" ]; then
    exit
fi

as_root=
if [ "$(id -u)" != 0 ]; then
    as_root="sudo -n"
fi

install_servers() {
    command -v apt-get >/dev/null && $as_root true || return
    echo "installing $packages"
    # Tells the packages not to start their services.
    local policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null
        $as_root chmod +x $policy
        trap "$as_root rm -f $policy" EXIT
    fi
    $as_root apt-get update -qq
    local package
    for package in $packages; do
        # One that cannot be had does not keep the other away.
        $as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
            apt-get install -y -qq --no-install-recommends "$package" >/dev/null || continue
        if command -v systemctl >/dev/null; then
            $as_root systemctl disable --quiet "$package" 2>/dev/null || true
        fi
    done
}

install_servers || true
if ! has_redis; then
    echo "error: no redis-server, which some tests and examples start, and it could not be installed:" \
        "install Redis 7 or Valkey (Debian and Ubuntu: apt-get install redis-server, macOS: brew install" \
        "redis), or give the program's path in STEADFAST_REDIS_SERVER" >&2
fi
if ! has_prometheus; then
    echo "error: no prometheus and promtool on the PATH, which the test of metrics, alerts and dashboard" \
        "starts, and they could not be installed: install Prometheus 2.42 or later (Debian and Ubuntu:" \
        "apt-get install prometheus, macOS: brew install prometheus)" >&2
fi
has_redis && has_prometheus
