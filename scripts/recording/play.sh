#!/usr/bin/env bash
# What the recording shows: a cost incident, from the look at it to the proof that
# it is over. Every command is run; only the typing is ours.
set -u
stty cols 104 rows 26 2>/dev/null || true

run() {
  printf '\033[1;32m$\033[0m '
  local line=$1
  for ((i = 0; i < ${#line}; i++)); do
    printf '%s' "${line:i:1}"
    sleep 0.03
  done
  sleep 0.4
  printf '\n'
  eval "${2:-$line}"
  sleep "${3:-1.5}"
  printf '\n'
}

export GAVEL_KEY=dev-admin
clear
run 'gavel preview --label batch=nightly' '' 2.5
run 'gavel kill-all --label batch=nightly --reason "runaway batch" --incident INC-417 --yes prod' '' 3.5
clear
run 'gavel kill-all --reason "everything, now" --incident INC-417 --yes prod' '' 3
run 'gavel ps --limit 4' '' 2
clear
run 'gavel submit --key dev-alice examples/market-entry.json' '' 2
run 'gavel thaw --reason "INC-417 is over"' '' 2
run 'gavel audit --limit 4' '' 4
