#!/usr/bin/env bash
# Runs the tests that need a Redis on servers that this machine does not have
# installed: the newer ones that Debian packages.
#
#   servers.sh ARGUMENTS...            of go test, on each of them
#   SERVERS=valkey-9 servers.sh ...    on one
#
# A server and the libraries that it is linked to are unpacked below .tools/servers,
# beside the system and not into it. Needs apt-get and dpkg-deb, of any Debian.
set -euo pipefail
cd "$(dirname "$0")/.."

# name, the server's name in its package, the release of Debian that has it
known="redis-8 redis trixie
valkey-8 valkey trixie
valkey-9 valkey forky"

fetch() { # name server suite
  local dir=$PWD/.tools/servers/$1 server=$2 suite=$3
  [ -x "$dir/bin/redis-server" ] && return 0
  rm -rf "$dir"
  mkdir -p "$dir"/{lists/partial,archives/partial,root,bin}
  : >"$dir/status"
  echo "deb http://deb.debian.org/debian $suite main" >"$dir/sources.list"
  local opts=(-qq -o "Dir::State::status=$dir/status" -o "Dir::State::lists=$dir/lists" -o "Dir::Cache::archives=$dir/archives"
    -o "Dir::Etc::sourcelist=$dir/sources.list" -o Dir::Etc::sourceparts=/dev/null -o Dir::Etc::preferencesparts=/dev/null
    -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o APT::Install-Recommends=false -o "APT::Sandbox::User=$(id -un)" -o Debug::NoLocking=true)
  apt-get "${opts[@]}" update
  apt-get "${opts[@]}" -y --download-only install "$server-server" >/dev/null
  for package in "$dir"/archives/*.deb; do dpkg-deb -x "$package" "$dir/root"; done
  rm -r "$dir/archives" "$dir/lists"

  local lib=$dir/root/usr/lib/$(uname -m)-linux-gnu
  for tool in server cli; do # by the names that a Redis has; without a shell that stays, so that signals find the server
    printf '#!/bin/sh\nexec %q --library-path %q --argv0 %s %q "$@"\n' \
      "$(echo "$lib"/ld-linux*.so.*)" "$lib" "redis-$tool" "$(readlink -f "$dir/root/usr/bin/$server-$tool")" >"$dir/bin/redis-$tool"
    chmod +x "$dir/bin/redis-$tool"
  done
}

unset GAVEL_TEST_REDIS_URL GAVEL_TEST_REDIS_IMAGE
failed=()
while read -r name server suite; do
  [ -z "${SERVERS:-}" ] || [ "$SERVERS" = "$name" ] || continue
  fetch "$name" "$server" "$suite"
  export PATH="$PWD/.tools/servers/$name/bin:$PATH"
  echo "servers: $(redis-server --version)"
  ${GO:-go} test -p 2 -parallel 4 -vet=off -timeout 12m -count=1 "$@" || failed+=("$name")
done <<<"$known"
[ ${#failed[@]} = 0 ] || { echo "servers: failed on ${failed[*]}"; exit 1; }
