#!/usr/bin/env bash
# Builds the dispatcher and the worker of another revision, in a worktree that is
# removed again.
#
#   older.sh v1.2.3 DIR
set -euo pipefail
cd "$(dirname "$0")/.."
from=${1:-} into=${2:?usage: older.sh REVISION DIR}
[ -n "$from" ] || { echo "older: say of which revision, as in make torture-mixed FROM=v1.2.3" >&2; exit 2; }
from=$(git rev-parse --verify --quiet "$from^{commit}") || { echo "older: git knows no revision $1" >&2; exit 2; }
mkdir -p "$into"
into=$(cd "$into" && pwd)
tree=$(mktemp -d)
trap 'git worktree remove --force "$tree"' EXIT
git worktree add --quiet --detach "$tree" "$from"
(cd "$tree" && "${GO:-go}" build -trimpath -buildvcs=false -o "$into/" ./cmd/dispatcher ./cmd/worker)
echo "older: the dispatcher and the worker of $(git log -1 --format='%h, %s' "$from")"
