#!/usr/bin/env bash
# Starts deploy/compose.yaml with images built on this machine and tells it a
# story: jobs run, are killed, handed back by a worker that is stopped, taken
# over from one that is killed; Redis restarts; everything ends with exit code 0.
# Prometheus runs beside it and sees every process, where this machine has one.
# It pulls nothing and leaves nothing behind.
#
#   deploy-smoke.sh          build the images first
#   deploy-smoke.sh built    take gavel-*:local and gavel-{redis,prometheus}:test as they are
set -euo pipefail
cd "$(dirname "$0")/.."

say() { echo "smoke: $((SECONDS))s $*"; }
die() { echo "smoke: FAILED: $*" >&2; exit 1; }

docker info >/dev/null 2>&1 || die "no Docker daemon answers"
if docker compose version >/dev/null 2>&1; then
  tool=(docker compose)
elif command -v docker-compose >/dev/null; then
  tool=(docker-compose)
else
  die "neither docker compose nor docker-compose is here"
fi
if [ "${1:-}" != built ]; then
  scripts/redis-image.sh gavel-redis:test
  ! command -v prometheus >/dev/null || scripts/prometheus-image.sh gavel-prometheus:test
  scripts/images.sh
fi

dir=$(mktemp -d)
export GAVEL_SECRETS=$dir GAVEL_PORTS=127.0.0.1:0 GAVEL_REDIS_IMAGE=gavel-redis:test GAVEL_PROMETHEUS_IMAGE=gavel-prometheus:test
export GAVEL_MODEL_URL=http://modelsim:8090/v1 GAVEL_MODEL=simulated GAVEL_CANARY=true
project=gavel-smoke-$$
compose() { "${tool[@]}" -p "$project" -f deploy/compose.yaml --profile simulated "$@" 2>>"$dir/compose.log"; }

finish() {
  local code=$?
  if [ $code != 0 ]; then
    tail -20 "$dir/compose.log" >&2
    compose logs --no-color --tail 15 >&2 || true
  fi
  compose down --volumes --timeout 1 >/dev/null || true
  rm -rf "$dir"
  exit $code
}
trap finish EXIT

# --- what is asked of the fleet ---------------------------------------------

field() { grep -o "\"$1\":\"*[^\",}]*" <<<"$2" | head -1 | sed 's/^[^:]*:"*//'; }

call() { # key, method, path, body
  curl -sS --max-time 40 -X "$2" -H "Authorization: Bearer $1" -H "Idempotency-Key: $RANDOM$RANDOM$RANDOM" \
    -H 'Content-Type: application/json' ${4:+-d "$4"} "$door$3"
}

submit() { # kind, input
  local got
  got=$(call "$ann" POST /v1/jobs "{\"kind\":\"$1\",\"input\":$2}")
  field id "$got" | grep . || die "submit: $got"
}

job() { call "$ann" GET "/v1/jobs/$1"; }

eventually() { # seconds, what, command...
  local end=$((SECONDS + $1)) what=$2
  shift 2
  until "$@"; do
    [ $SECONDS -lt $end ] || die "$what: not in time"
    sleep 0.3
  done
}

is() { [ "$(field state "$(job "$1")")" = "$2" ]; }

# runs_off says whether a job runs, past a checkpoint, on a worker that is not
# one of those given; it leaves where in $on.
runs_off() { # job, containers...
  local id=$1 j c
  j=$(job "$id")
  [ "$(field state "$j")" = running ] && [ "$(field checkpoint "$j")" -gt 0 ] || return 1
  on=$(field worker "$j") on=${on%-*}
  shift
  for c in "$@"; do [ "${c:0:12}" != "$on" ] || return 1; done
}

healthy() {
  local ids
  ids=$(compose ps -q)
  [ "$(wc -w <<<"$ids")" = 7 ] || return 1
  # shellcheck disable=SC2086 # one word each
  ! docker inspect --format '{{.State.Health.Status}}' $ids | grep -qv '^healthy$'
}

exit_code() { docker inspect --format '{{.State.ExitCode}}' "$1"; }

redis() { # user, password, command...
  local user=$1 password=$2
  shift 2
  docker exec "$server" redis-cli --no-auth-warning --user "$user" --pass "$password" "$@"
}

# --- the story --------------------------------------------------------------

scripts/deploy-secrets.sh "$dir" >/dev/null
admin=$(cat "$dir/admin.key")
made=$(docker run --rm gavel-cli:local keys new --subject ann --owner ann --role owner)
ann=$(head -1 <<<"$made")
grep '^{' <<<"$made" >>"$dir/keys.json"
echo "user smoke on nopass ~* &* +@all" >>"$dir/users.acl" # to read what was refused
export GAVEL_UID GAVEL_GID
GAVEL_UID=$(stat -c %u "$dir/keys.json") GAVEL_GID=$(stat -c %g "$dir/keys.json")
chmod 755 "$dir"

compose up -d >/dev/null
eventually 60 "all seven containers are healthy" healthy
server=$(compose ps -q redis)
door=http://$(compose port --index 1 dispatcher 8080)
say "redis, 2 dispatchers, 3 workers and the simulated model are healthy"

# How much Prometheus sees of a question; nothing while it does not know.
seen() { docker exec "$watcher" wget -qO- "http://127.0.0.1:9090/api/v1/query?query=$1" | grep -o '"value":\[[^]]*' | head -1 | cut -d'"' -f4; }
sees() { [ "$(seen "$1")" = "$2" ]; }

if docker image inspect gavel-prometheus:test >/dev/null 2>&1; then
  compose --profile observe up -d prometheus >/dev/null
  watcher=$(compose --profile observe ps -q prometheus)
  eventually 60 "prometheus sees all five processes" sees 'sum(up)' 5
  eventually 30 "prometheus sees the fleet" sees 'max(gavel_workers)' 3
  docker exec "$watcher" wget -qO- http://127.0.0.1:9090/api/v1/rules | grep -q GavelSpendRunaway || die "prometheus has no alerts"
  [ "$(docker inspect --format '{{.State.Health.Status}}' "$watcher")" != unhealthy ] || die "prometheus is not well"
  compose --profile observe rm -sf prometheus >/dev/null
  say "prometheus beside it saw every process, and has the alerts"
else
  say "prometheus is left out: this machine has none"
fi

long='{"steps":600,"step_ms":200,"checkpoint":true,"events":true,"calls_per_step":1,"call_micro_usd":10}'
first=$(submit canary '{"steps":3,"calls_per_step":1,"call_micro_usd":10,"checkpoint":true,"events":true}')
eventually 15 "a job succeeds" is "$first" succeeded
talk=$(submit deliberation '{"problem":"Should we renew the lease of the warehouse for five years, or move out at its end?"}')

victim=$(submit canary "$long")
eventually 15 "a job runs" runs_off "$victim"
got=$(call "$ann" POST "/v1/jobs/$victim/kill" '{"reason":"smoke","wait_seconds":10}')
[ "$(field verdict "$got")" = stopped ] || die "the kill says: $got"
say "a job succeeded, and one was killed: stopped"

mover=$(submit canary "$long")
eventually 15 "a job runs" runs_off "$mover"
stopped=$on from=$SECONDS
docker stop "$stopped" >/dev/null
[ "$(exit_code "$stopped")" = 0 ] || die "a stopped worker exits with $(exit_code "$stopped")"
took=$((SECONDS - from))
eventually 15 "the job goes on elsewhere" runs_off "$mover" "$stopped"
[ "$(field grants "$(job "$mover")")" = 2 ] || die "handed back, but not granted twice: $(job "$mover")"
say "docker stop: the worker drained in $took s, exit code 0, and its job went on from its checkpoint"

killed=$on from=$SECONDS
docker kill "$killed" >/dev/null
eventually 45 "the job is taken over" runs_off "$mover" "$stopped" "$killed"
say "docker kill: the job was taken over $((SECONDS - from)) s later"

eventually 60 "the deliberation succeeds" is "$talk" succeeded
say "a problem was deliberated over the simulated model"

docker restart "$server" >/dev/null
eventually 30 "redis is back" is "$first" succeeded
after=$(submit canary '{"steps":1}')
eventually 30 "a job succeeds on the restarted redis" is "$after" succeeded
say "redis restarted: nothing was lost, and the scripts are back"

docker start "$stopped" "$killed" >/dev/null
eventually 60 "all are healthy again" healthy
for _ in 1 2 3 4; do submit canary "$long" >/dev/null; done
got=$(call "$admin" POST /v1/kill-all '{"scope":"fleet","reason":"smoke","confirm":"gavel","wait_seconds":20}')
[ "$(field stage "$got")" = quiesced ] || die "the kill-all says: $got"
is "$mover" killed || die "the kill-all has left $(job "$mover")"
got=$(call "$ann" POST /v1/jobs '{"kind":"canary","input":{"steps":1}}')
grep -q fleet-frozen <<<"$got" || die "a frozen fleet says: $got"
head=$(field head "$(call "$admin" GET /v1/fleet)")
call "$admin" POST /v1/fleet/thaw "{\"seen\":\"$head\",\"reason\":\"smoke\"}" >/dev/null
say "kill-all: quiesced and frozen; then thawed"

observer=$(cat "$dir/observer.password")
redis observer "$observer" HGET '{gavel:0}:gate' number | grep -q '^[0-9]*\.' || die "the observer does not see the gate"
redis observer "$observer" HSET '{gavel:0}:gate' frozen 1 | grep -q NOPERM || die "the observer writes"
# Workers ask for CONFIG GET and are refused; see deploy/README.md.
refused=$(redis smoke x ACL LOG | grep -A1 -x object | grep -vxE 'object|--|config\|get|hset' || true)
[ -z "$refused" ] || die "redis refused a process of ours: $refused"
redis nobody x PING | grep -qE 'NOAUTH|WRONGPASS' || die "redis answers to nobody"
say "the observer reads and cannot write; nothing else was refused by redis"

last=$(compose ps -q dispatcher | tail -1)
docker stop "$last" >/dev/null
[ "$(exit_code "$last")" = 0 ] || die "a stopped dispatcher exits with $(exit_code "$last")"
door=http://$(docker port "$(compose ps -q dispatcher | grep -v "$last")" 8080/tcp | head -1)
eventually 5 "the other dispatcher answers" is "$first" succeeded

all=$(compose ps -q)
compose stop >/dev/null
for c in $all; do
  [ "$(exit_code "$c")" = 0 ] || die "$(docker inspect --format '{{.Name}}' "$c") ends with exit code $(exit_code "$c")"
done
say "all containers ended with exit code 0: passed"
