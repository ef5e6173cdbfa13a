#!/usr/bin/env bash
# Checks internal/lease/model/lease.pml with Spin.
#
#   model.sh        the sizes for every day, and the mutants     (make model)
#   model.sh full   two workers, every bound at once but TURNS   (make nightly)
#
# Each run prints how many states it has seen. A mutant is the model with one
# guard taken out: a run of it that finds nothing fails, for then the property
# that should have caught it proves nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
pml=$PWD/internal/lease/model/lease.pml

for tool in spin gcc; do
  command -v "$tool" >/dev/null && continue
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends spin gcc libc6-dev >/dev/null
  else
    echo "model: $tool is missing; on Debian or Ubuntu: sudo apt-get install -y spin gcc" >&2
    exit 1
  fi
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# run NAME safe|live clean|caught DEFINE... : compiles and runs one model.
run() {
  local name=$1 kind=$2 want=$3 dir found=clean
  shift 3
  dir=$work/$name
  mkdir -p "$dir"
  (
    cd "$dir"
    spin -a "$@" "$pml" >spin.out 2>&1
    if [ "$kind" = live ]; then
      gcc -w -O2 -DCOLLAPSE -DNFAIR=3 -DMEMLIM=8000 -o pan pan.c
      ./pan -m1000000 -a -f >pan.out 2>&1
    else
      gcc -w -O2 -DSAFETY -DCOLLAPSE -DMEMLIM=8000 -o pan pan.c
      ./pan -m1000000 -noclaim -E >pan.out 2>&1
    fi
  ) || { echo "model: $name did not run:" >&2; tail -5 "$dir"/*.out >&2; failed=1; return; }
  if ! grep -q 'errors: 0' "$dir/pan.out"; then found=caught; fi
  if grep -qE 'max search depth too small|Search not completed' "$dir/pan.out" && [ "$found" = clean ]; then
    echo "model: $name was not searched to its end" >&2
    failed=1
  fi
  printf '%-24s %-5s %-7s %12s states\n' "$name" "$kind" "$found" "$(awk '/states, stored/ {print $1}' "$dir/pan.out")"
  if [ "$found" != "$want" ]; then
    echo "model: $name: $found, want $want; the run's end:" >&2
    grep -E 'pan:1|errors:' "$dir/pan.out" >&2 || tail -3 "$dir/pan.out" >&2
    failed=1
  fi
}

bounds=(-DLOSSES=0 -DCRASHES=0 -DRESTARTS=0 -DBACKS=0 -DBLOCKS=0 -DTURNS=0)
# with NAME: the bounds with that one at 1.
with() { printf '%s\n' "${bounds[@]/-D$1=0/-D$1=1}"; }

for mutant in FENCING KILLED_WINS GRANT_ORDER RECLAIM_ORDER LATE_RENEWAL PERMIT_AGE STILLNESS; do
  run "mutant-$mutant" safe caught "${bounds[@]}" "-DMUTANT_$mutant"
done
run mutant-RESERVE safe caught "${bounds[@]}" -DT=4 -DS=3 -DMUTANT_RESERVE
run mutant-RENEW_ORDER live caught "${bounds[@]}" -DMUTANT_RENEW_ORDER
run paused-before-the-send safe caught "${bounds[@]}" -DPAUSE # no client can do better: README, the bounds

if [ "${1:-}" = full ]; then
  run everything-safe safe clean -DT=2 -DS=1 -DTURNS=0
  for b in LOSSES CRASHES RESTARTS BACKS BLOCKS TURNS; do
    mapfile -t d < <(with "$b")
    run "$b-safe" safe clean "${d[@]}" -DGRANTS=3
    run "$b-live" live clean "${d[@]}"
  done
else
  for b in LOSSES CRASHES RESTARTS BACKS BLOCKS TURNS; do
    mapfile -t d < <(with "$b")
    run "$b-safe" safe clean "${d[@]}"
  done
  mapfile -t d < <(with CRASHES)
  run CRASHES-live live clean "${d[@]}"
fi
exit $failed
