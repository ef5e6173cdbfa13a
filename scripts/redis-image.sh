#!/usr/bin/env bash
# Builds the image gavel-redis:test (or the name given) out of this machine's
# redis-server and redis-cli, and the libraries they need. It pulls nothing, so
# it works where no registry can be reached.
set -euo pipefail

image=${1:-gavel-redis:test}
server=$(command -v redis-server) || { echo "redis-image: no redis-server on the PATH; run: make redis" >&2; exit 1; }
command -v docker >/dev/null || { echo "redis-image: no docker on the PATH" >&2; exit 1; }
[ "$(uname -s)" = Linux ] || { echo "redis-image: a Linux redis-server is needed; on this machine run: docker pull redis:7 and set GAVEL_TEST_REDIS_IMAGE=redis:7" >&2; exit 1; }

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/usr/bin" "$root/data"
chmod 1777 "$root/data"
cp -L "$server" "$root/usr/bin/redis-server"
cli=$(command -v redis-cli) && cp -L "$cli" "$root/usr/bin/redis-cli" # for health checks
# ldd prints "name => /path (address)", and the loader alone as "/path (address)".
for b in "$server" ${cli:+"$cli"}; do ldd "$b"; done | grep -o '/[^ ]*' | sort -u | while read -r lib; do
  mkdir -p "$root$(dirname "$lib")"
  cp -L "$lib" "$root$lib"
done

tar -C "$root" -c . | docker import \
  --change 'ENTRYPOINT ["/usr/bin/redis-server"]' \
  --change 'CMD ["--protected-mode", "no"]' \
  --change 'EXPOSE 6379' \
  --change 'WORKDIR /data' \
  - "$image" >/dev/null

version=$(docker run --rm "$image" --version)
echo "redis-image: $image: $version"
docker image inspect --format '{{.Size}}' "$image" | awk '{printf "redis-image: %.1f MB\n", $1 / 1e6}'
