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

suites=(torture browser chart cluster)

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
  all) for s in "${there[@]}"; do make "$s"; done ;;
  turn)
    n=$(($(date +%s) / 86400 + 0x$(git rev-parse --short=7 HEAD)))
    s=${there[n % ${#there[@]}]}
    echo "heavy: today's turn is $s, of ${there[*]}"
    make "$s"
    ;;
  *) echo "usage: heavy.sh all | turn | list" >&2; exit 2 ;;
esac
