#!/usr/bin/env bash
# Draws the secrets of a fleet, once: passwords of Redis's users, and the key of
# a first admin. What is there already is kept.
#
#   deploy-secrets.sh [DIR]        default deploy/secrets
#
# It needs the image gavel-cli (GAVEL_CLI_IMAGE), and GAVEL_FLEET when the
# fleet is not called gavel. The files:
#
#   users.acl        deploy/redis/users.acl with the passwords' hashes
#   dispatcher.env   the address of Redis with the dispatcher's name and password
#   worker.env       the same for workers
#   dispatcher.password worker.password observer.password
#   keys.json        API keys, hashed, for the dispatchers
#   admin.key        the first admin's secret: put it where it belongs, and delete it
#   model.key        empty: put the model server's API key here
set -euo pipefail
cd "$(dirname "$0")/.."

dir=${1:-deploy/secrets}
fleet=${GAVEL_FLEET:-gavel}
address=${GAVEL_REDIS_ADDRESS:-redis:6379}
cli=${GAVEL_CLI_IMAGE:-gavel-cli:local}

umask 077
mkdir -p "$dir"
chmod 755 "$dir"

draw() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }
hash() { printf %s "$1" | sha256sum | cut -d' ' -f1; }

if [ ! -e "$dir/users.acl" ]; then
  acl=$(sed "s/{gavel:/{$fleet:/g" deploy/redis/users.acl)
  for user in dispatcher worker observer; do
    password=$(draw)
    acl=$(sed "s/^user $user on /&#$(hash "$password") /" <<<"$acl")
    echo "$password" >"$dir/$user.password"
    [ "$user" = observer ] || echo "GAVEL_REDIS_URL=redis://$user:$password@$address/0" >"$dir/$user.env"
  done
  # Redis runs as a user of its own and must read it: these are hashes of 256
  # random bits.
  echo "$acl" >"$dir/users.acl"
  chmod 644 "$dir/users.acl"
fi

if [ ! -e "$dir/keys.json" ]; then
  made=$(docker run --rm "$cli" keys new --subject admin --role admin)
  head -1 <<<"$made" >"$dir/admin.key"
  grep '^{' <<<"$made" >"$dir/keys.json"
fi
[ -e "$dir/model.key" ] || : >"$dir/model.key"

# The processes are nobody's root, and a key file is for them alone.
chmod 640 "$dir/keys.json" "$dir/model.key"
if [ "$(id -u)" = 0 ]; then
  chown 65532:65532 "$dir/keys.json" "$dir/model.key"
else
  echo "deploy-secrets: not root, so run the containers as yourself: export GAVEL_UID=$(id -u) GAVEL_GID=$(id -g)"
fi
echo "deploy-secrets: $dir is complete"
