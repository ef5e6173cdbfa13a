#!/usr/bin/env bash
# Runs the heavy suites: all of them, or the one whose turn it is.
#
#   heavy.sh all     every one that exists             (make nightly)
#   heavy.sh turn    one of them, by day and commit    (CI)
#   heavy.sh list    their names
#
# A suite is a make target named here. One that the Makefile does not have yet
# is passed over, so the table may run ahead of the work.
set -euo pipefail
cd "$(dirname "$0")/.."

suites=(stories deaths torture browser rules openapi chart kube cluster servers oidc traces)

# Those that take turns on every change; the others run in make nightly until
# they have proved steady on a machine of two cores, or, like kube, because they
# take too long.
turns=(stories torture rules browser openapi oidc chart cluster traces)

# needs installs what a suite wants besides Go and Redis, where that can be done.
needs() {
  case $1 in browser) set -- chromium ;; rules) set -- prometheus ;; openapi) set -- npm ;; *) return 0 ;; esac
  command -v "$1" >/dev/null && return 0
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || { echo "heavy: $1 is missing; install it" >&2; return 1; }
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$1" >/dev/null
}

run() { needs "$1" && make "$@"; }

exist() {
  local have
  have=$(make help | awk '{print $1}')
  for s in "${suites[@]}"; do
    if grep -qx "$s" <<<"$have"; then echo "$s"; fi
  done
}

mapfile -t there < <(exist)
if [ "${#there[@]}" = 0 ]; then
  echo "heavy: none of ${suites[*]} exists yet" >&2
  exit 0
fi

case "${1:-}" in
  list) printf '%s\n' "${there[@]}" ;;
  all) for s in "${there[@]}"; do run "$s"; done ;;
  turn)
    n=$(($(date +%s) / 86400 + 0x$(git rev-parse --short=7 HEAD)))
    s=${turns[n % ${#turns[@]}]}
    echo "heavy: today's turn is $s, of ${turns[*]}"
    run "$s" TORTURE=3m # its turn has to fit into CI
    ;;
  *) echo "usage: heavy.sh all | turn | list" >&2; exit 2 ;;
esac
