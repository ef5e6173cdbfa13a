#!/usr/bin/env bash
# Looks for known vulnerabilities in what Gavel's binaries call, with the Go
# version that go.mod names.
#
#   vuln.sh [version]    of the database; latest by default
#
# The database is made of the module golang.org/x/vulndb, so that a machine which
# reaches only a module proxy can do it, and so that a version can be asked for: CI
# names one, or a report of this morning would fail a change that has nothing to do
# with it. make nightly asks for the latest.
set -euo pipefail
cd "$(dirname "$0")/.."

version=${1:-latest}
scanner=golang.org/x/vuln/cmd/govulncheck@v1.9.0
GOTOOLCHAIN=$(awk '$1 == "toolchain" {print $2}' go.mod)
export GOTOOLCHAIN

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

field() { sed -n "s/^\t\"$1\": \"\(.*\)\",\{0,1\}$/\1/p" "$dir/module.json"; }

(cd "$dir" && go mod download -json "golang.org/x/vulndb@$version" >module.json)
(cd "$(field Dir)" && go run ./cmd/indexdb -vulns data/osv -out "$dir/db")
echo "vuln: $(find "$dir/db/ID" -name '*.json' | wc -l) reports, of golang.org/x/vulndb $(field Version); $(go env GOVERSION)"
go run "$scanner" -db "file://$dir/db" ./...
