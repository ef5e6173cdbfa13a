#!/usr/bin/env bash
# Runs every fuzz target of the module for the time given, one after another.
set -euo pipefail
cd "$(dirname "$0")/.."

each=${1:?usage: fuzz.sh 30s}
n=0
while IFS=: read -r file name; do
  echo "fuzz: $name in $(dirname "$file")"
  go test -run '^$' -fuzz "^$name\$" -fuzztime "$each" "./$(dirname "$file")"
  n=$((n + 1))
done < <(git ls-files '*_test.go' | xargs -r grep -oH '^func Fuzz[A-Za-z0-9]*' | sed 's/:func /:/')
echo "fuzz: $n targets, $each each"
