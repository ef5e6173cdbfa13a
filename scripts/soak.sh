#!/usr/bin/env bash
# Runs all tests again and again until the time is up, each round in another
# order and followed by a run of torture with a seed of its own, and says how
# many rounds failed. The output of a failed round is kept.
set -euo pipefail
cd "$(dirname "$0")/.."

for_how_long=${1:?usage: soak.sh 30m}
case $for_how_long in
  *h) seconds=$((${for_how_long%h} * 3600)) ;;
  *m) seconds=$((${for_how_long%m} * 60)) ;;
  *s) seconds=${for_how_long%s} ;;
  *) echo "soak: give a time like 90s, 30m or 2h, not $for_how_long" >&2; exit 2 ;;
esac

mkdir -p bin/soak
end=$((SECONDS + seconds)) rounds=0 failed=0
while [ $SECONDS -lt $end ]; do
  rounds=$((rounds + 1))
  log=bin/soak/round-$rounds.log
  if go test -race -p 2 -timeout 10m -count=1 -shuffle=on ./... >"$log" 2>&1 && make torture TORTURE=10m >>"$log" 2>&1; then
    rm "$log"
  else
    failed=$((failed + 1))
    echo "soak: round $rounds failed, see $log" >&2
  fi
done
echo "soak: $rounds rounds in $for_how_long, $failed failed"
[ "$failed" = 0 ]
