#!/usr/bin/env bash
# Runs every fuzz target of the module, one after another.
#
#   fuzz.sh 30s      each for so long                       (make fuzz)
#   fuzz.sh 2000x    each with so many inputs, the quick way (CI)
#   fuzz.sh 5m Key   those whose name has Key in it
#
# What a target finds wrong lies in testdata/fuzz beside it, and fails every
# `go test` from then on: mend the code, and commit it. With a time, all that is
# compiled is instrumented, which takes minutes when nothing is cached. With a
# number it is this module alone, which takes seconds and still sees which of our
# branches an input reaches.
set -euo pipefail
cd "$(dirname "$0")/.."

each=${1:?usage: fuzz.sh 30s|2000x [part of a name]}
part=${2:-}
case $each in
  *x) with=("-gcflags=$(go list -m)/...=-d=libfuzzer") ;;
  *) with=(-fuzz=.) ;;
esac
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
found=$(go env GOCACHE)/fuzz

# fuzz NAME FOLDER: one target, by the binary of its package.
fuzz() {
  local say=$work/out
  if (cd "$2" && "$work/test" -test.run '^$' -test.fuzz "^$1\$" -test.fuzztime "$each" -test.fuzzminimizetime 500x \
    -test.timeout 0 -test.fuzzcachedir "$found/$(go list -f '{{.ImportPath}}' .)") >"$say" 2>&1; then
    grep -a 'execs:' "$say" | tail -1 | sed "s/^.*execs:/fuzz: $1: execs:/"
    return 0
  fi
  # Go calls it a failure when the time is up while an input is tried: golang/go#75804.
  if ! grep -qa 'Failing input written to' "$say" && grep -qa 'context deadline exceeded' "$say"; then
    echo "fuzz: $1: the time was up in the middle of an input"
    return 0
  fi
  tail -40 "$say"
  echo "fuzz: $1 FAILED"
  sed -n "s|^ *Failing input written to \(.*\)|fuzz: the input is in $2/\1: look at it, commit it with what mends it|p" "$say"
  sed -n "s|^ *go test -run=\(.*\)|fuzz: again with: go test -run=\1 ./$2|p" "$say"
  return 1
}

targets=0 broken=()
while read -r folder; do
  names=$(cat "$folder"/*_test.go | sed -n "s/^func \(Fuzz[A-Za-z0-9]*\)(.*/\1/p" | grep -e "$part" || true)
  [ -n "$names" ] || continue
  go test -vet=off "${with[@]}" -c -o "$work/test" "./$folder"
  for name in $names; do
    targets=$((targets + 1))
    fuzz "$name" "$folder" || broken+=("$name")
  done
done < <(git ls-files '*_test.go' | xargs grep -l '^func Fuzz' | xargs -n1 dirname | sort -u)

[ "$targets" -gt 0 ] || { echo "fuzz: no target has $part in its name"; exit 1; }
echo "fuzz: $targets targets, $each each; ${#broken[@]} found something${broken:+: ${broken[*]}}"
[ ${#broken[@]} = 0 ]
