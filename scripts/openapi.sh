#!/usr/bin/env bash
# Lints the OpenAPI document that a dispatcher serves, makes a client of it with a
# published tool, and uses that client. Needs node and npm.
set -euo pipefail
cd "$(dirname "$0")/.."

for need in node npm; do
  command -v "$need" >/dev/null || { echo "openapi: $need is missing; install it (apt-get install nodejs npm)" >&2; exit 1; }
done
dir=bin/openapi
mkdir -p "$dir"
npm install --silent --no-fund --no-audit --no-save --ignore-scripts --prefix "$dir" \
  @redocly/cli@2.77.0 openapi-typescript@7.13.0 openapi-fetch@0.17.0 typescript@5.9.3 @types/node@20.19.0

go build -trimpath -o "$dir/gavel" ./cmd/gavel
port=$(node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close() })')
export GAVEL_URL=http://127.0.0.1:$port
"$dir/gavel" dev --pace fast --listen "127.0.0.1:$port" >"$dir/dev.log" 2>&1 &
fleet=$!
trap 'kill $fleet 2>/dev/null; wait $fleet 2>/dev/null || true' EXIT
for _ in $(seq 300); do
  curl -sf "$GAVEL_URL/readyz" >/dev/null && break
  kill -0 $fleet 2>/dev/null || { cat "$dir/dev.log" >&2; exit 1; }
  sleep 0.1
done
curl -sf "$GAVEL_URL/openapi.json" -o "$dir/openapi.json"

# No warning either: a document that is nearly right makes clients that are.
report=$("$dir/node_modules/.bin/redocly" lint --extends=recommended --format=json "$dir/openapi.json" 2>/dev/null || true)
node -e '
  const { totals, problems } = JSON.parse(process.argv[1]);
  for (const p of problems) console.error(`openapi: ${p.severity}: ${p.ruleId}: ${p.message} ${p.location[0].pointer ?? ""}`);
  if (totals.errors + totals.warnings > 0) process.exit(1);
  console.log("openapi: the document has no finding");' "$report"

"$dir/node_modules/.bin/openapi-typescript" "$dir/openapi.json" -o "$dir/gavel.d.ts" >/dev/null
cp scripts/openapi/smoke.ts "$dir/smoke.ts"
echo '{"type": "module"}' >"$dir/package.json"
(cd "$dir" && node_modules/.bin/tsc --strict --target es2022 --module nodenext --types node --skipLibCheck smoke.ts && node smoke.js)
