#!/usr/bin/env bash
# Rounds until the time is up: all tests, in another order each time, then torture
# with a seed of its own on the ground whose turn it is. Then all rounds are added
# up. Ctrl-C ends it with the sum so far.
#
#   soak.sh 24h
#
#   SOAK_TESTS=no     leaves the tests out
#   SOAK_ROUND=10m    how long faults strike in a round
#   SOAK_SEED=n       the first round's seed, the others count up; default draws one
#
# What a round that held leaves are its figures. Of one that did not everything
# stays, and the seed is named.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds_of() {
  case $1 in
    *[!0-9hms]* | [hms]* | '') echo "soak: give a time like 90s, 30m or 2h, not $1" >&2; exit 2 ;;
    *h) echo $((${1%h} * 3600)) ;;
    *m) echo $((${1%m} * 60)) ;;
    *s) echo "${1%s}" ;;
    *) echo "soak: give a time like 90s, 30m or 2h, not $1" >&2; exit 2 ;;
  esac
}
seconds=$(seconds_of "${1:?usage: soak.sh 30m}")
round=$(seconds_of "${SOAK_ROUND:-10m}")
seed=${SOAK_SEED:-$(((RANDOM << 15 | RANDOM) + 1))}

# The grounds, in turn. Owners submit faster than by themselves, for the number of
# jobs; without faults faster still.
turns=(
  "-pace 120ms"
  "-pace 120ms -topology sentinel -durability local"
  "-pace 120ms -topology cluster -durability replicated"
  "-pace 60ms -only none"
  "-pace 120ms -losses"
  "-pace 120ms -topology sentinel -durability replicated"
  "-pace 120ms -topology cluster -durability local"
)

place=bin/soak/$(date +%Y%m%dT%H%M%S)-$$
mkdir -p "$place/bin"
${GO:-go} build -trimpath -o "$place/bin/" ./cmd/dispatcher ./cmd/worker ./cmd/gavel ./torture
[ ! -x bin/torture/worker-with-clock ] || cp bin/torture/worker-with-clock "$place/bin/"

# Each step has a process group of its own, which is asked to leave when the soak is.
stopped='' step=''
trap 'stopped=yes; [ -z "$step" ] || kill -TERM -- "-$step" 2>/dev/null || true' INT TERM
run() { # log, command...
  local log=$1 code=0
  shift
  [ -z "$stopped" ] || return 1
  setsid "$@" >"$log" 2>&1 </dev/null &
  step=$!
  wait "$step" || code=$?
  while kill -0 "$step" 2>/dev/null; do wait "$step" || code=$?; done # a signal ended the first wait
  step=''
  return "$code"
}

echo "soak: $1 in rounds of $((round / 60))m$((round % 60))s from seed $seed, in $place; Ctrl-C ends it with the sum so far"
end=$((SECONDS + seconds)) rounds=0 failed=0 tests=0
while [ $SECONDS -lt $end ] && [ -z "$stopped" ]; do
  here=$place/round-$((rounds + 1)) held=yes
  mkdir -p "$here"
  if [ "${SOAK_TESTS:-yes}" != no ]; then
    if run "$here/tests.log" "${GO:-go}" test -race -p 2 -timeout 15m -count=1 -shuffle=on ./...; then
      rm "$here/tests.log"
    elif [ -z "$stopped" ]; then
      held='' tests=$((tests + 1))
      echo "soak: round $((rounds + 1)): a test failed, see $here/tests.log" >&2
    fi
  fi
  long=$((end - SECONDS < round ? end - SECONDS : round))
  [ $long -ge 20 ] || long=20 # less strikes nobody
  read -ra flags <<<"${turns[rounds % ${#turns[@]}]}"
  if run "$here/torture.log" "$place/bin/torture" -bin "$place/bin" -dir "$here/run" -for ${long}s -seed $((seed + rounds)) "${flags[@]}"; then
    cp "$here/run/figures.json" "$here/"
    rm -r "$here/run" "$here/torture.log"
  elif [ -n "$stopped" ]; then
    rm -r "$here"
    break
  else
    held=''
    [ ! -f "$here/run/figures.json" ] || cp "$here/run/figures.json" "$here/"
    echo "soak: round $((rounds + 1)): torture failed (${flags[*]}, seed $((seed + rounds))), see $here/torture.log" >&2
  fi
  rounds=$((rounds + 1))
  [ -n "$held" ] || failed=$((failed + 1))
done

echo "soak: $rounds rounds in $((SECONDS / 60))m, $failed failed, $tests of them in their tests"
code=0
if [ "$rounds" -gt 0 ]; then
  "$place/bin/torture" sum "$place"/round-* | tee "$place/sum.txt" || code=1
fi
[ "$failed" = 0 ] && [ $code = 0 ]
