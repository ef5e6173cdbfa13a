#!/usr/bin/env bash
# Gets axe-core, the accessibility checker of the browser tests, into bin/axe.
set -euo pipefail
cd "$(dirname "$0")/.."

version=4.14.1
dir=bin/axe
there=$dir/node_modules/axe-core/package.json
[ -f "$there" ] && grep -q "\"version\": \"$version\"" "$there" && exit 0
command -v npm >/dev/null || { echo "axe: npm is missing; install it (apt-get install npm)" >&2; exit 1; }
mkdir -p "$dir"
npm install --silent --no-fund --no-audit --no-save --ignore-scripts --prefix "$dir" "axe-core@$version"
