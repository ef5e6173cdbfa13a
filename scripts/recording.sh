#!/usr/bin/env bash
# Records docs/kill-all.svg: a real run of scripts/recording/play.sh in a real
# terminal, nothing drawn by hand.
set -euo pipefail
cd "$(dirname "$0")/.."

version=2.1.1
dir=bin/recording
command -v npm >/dev/null || { echo "recording: npm is missing; install it (apt-get install npm)" >&2; exit 1; }
command -v asciinema >/dev/null || { echo "recording: asciinema is missing; install it (apt-get install asciinema)" >&2; exit 1; }
mkdir -p "$dir"
[ -x "$dir/node_modules/.bin/svg-term" ] ||
  npm install --silent --no-fund --no-audit --no-save --ignore-scripts --prefix "$dir" "svg-term-cli@$version"

url=http://127.0.0.1:7071
bin/gavel dev --listen 127.0.0.1:7071 --fleet prod --workers 3 --slots 4 > "$dir/dev.log" 2>&1 &
dev=$!
trap 'kill "$dev" 2>/dev/null; wait "$dev" 2>/dev/null || true' EXIT
export GAVEL_URL=$url PATH=$PWD/bin:$PATH
for _ in $(seq 100); do
  gavel fleet --key dev-admin >/dev/null 2>&1 && break
  sleep 0.1
done
for n in 1 2 3 4 5; do
  gavel submit --key dev-alice --label batch=nightly examples/market-entry.json >/dev/null
  gavel submit --key dev-alice --label batch=nightly examples/pricing-change.json >/dev/null
  gavel submit --key dev-bob examples/build-or-buy.json >/dev/null
done
sleep 4

cast=$dir/kill-all.cast
rm -f "$cast"
TERM=xterm-256color asciinema rec --quiet --overwrite --cols 104 --rows 26 --idle-time-limit 3 \
  --command "scripts/recording/play.sh" "$cast" < /dev/null
# The terminal's width and height are the header's, whatever this one's were.
sed -i '1s/"width": *[0-9]*/"width": 104/; 1s/"height": *[0-9]*/"height": 26/' "$cast"
"$dir/node_modules/.bin/svg-term" --in "$cast" --out docs/kill-all.svg --window --no-cursor --padding 12 --width 104 --height 26
grep -q '<svg' docs/kill-all.svg
ls -l docs/kill-all.svg
