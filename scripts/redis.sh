#!/usr/bin/env bash
# Sees to it that the tests have a Redis.
#
#   redis.sh install   get a redis-server, or say exactly how   (make redis)
#   redis.sh ensure    the same, unless the tests have one      (make test)
#
# ensure installs only where nobody is surprised by it: as root on Debian or
# Ubuntu, which is what a container or a CI machine is.
set -euo pipefail

say() { echo "redis: $*" >&2; }

# good says whether the redis-server on the PATH is one that Gavel runs on.
good() {
  command -v redis-server >/dev/null || return 1
  local version
  version=$(redis-server --version | sed -n 's/.*v=\([0-9]*\)\..*/\1/p')
  [ "${version:-0}" -ge 7 ] && return 0
  say "$(command -v redis-server) is older than 7.0, which Gavel needs"
  return 1
}

# already says whether the tests will find a Redis by themselves.
already() {
  [ -n "${GAVEL_TEST_REDIS_URL:-}" ] || [ -n "${GAVEL_TEST_REDIS_IMAGE:-}" ] || good ||
    { command -v docker >/dev/null && timeout 5 docker image inspect gavel-redis:test >/dev/null 2>&1; }
}

apt_install() {
  say "installing Debian's redis-server"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends redis-server >/dev/null
}

how() {
  cat >&2 <<'EOF'
redis: no redis-server 7.0 or later here. One of these gets you one:

  Debian 12+, Ubuntu 24.04+   sudo apt-get install -y redis-server
  Fedora, RHEL                sudo dnf install -y redis
  Alpine                      sudo apk add redis
  Arch                        sudo pacman -S redis
  macOS                       brew install redis
  with Docker                 docker pull redis:7 && export GAVEL_TEST_REDIS_IMAGE=redis:7
  a server you have           export GAVEL_TEST_REDIS_URL=redis://127.0.0.1:6379/0
  anywhere with a C compiler  curl -O https://download.redis.io/redis-stable.tar.gz &&
                              tar xzf redis-stable.tar.gz && make -C redis-stable &&
                              export PATH="$PWD/redis-stable/src:$PATH"

then run the same make command again.
EOF
  exit 1
}

case "${1:-}" in
  install) good && { say "$(redis-server --version)"; exit 0; } ;;
  ensure) already && exit 0 ;;
  *) echo "usage: redis.sh install | ensure" >&2; exit 2 ;;
esac

if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
  apt_install
elif [ "$1" = install ] && command -v brew >/dev/null; then
  brew install redis
fi
good || how
say "$(redis-server --version)"
