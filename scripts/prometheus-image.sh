#!/usr/bin/env bash
# Builds the image gavel-prometheus:test (or the name given) out of this machine's
# prometheus, as redis-image.sh does with Redis; wget is for its health check. It
# pulls nothing.
set -euo pipefail

image=${1:-gavel-prometheus:test}
server=$(command -v prometheus) || { echo "prometheus-image: no prometheus on the PATH; install it" >&2; exit 1; }
wget=$(command -v wget) || { echo "prometheus-image: no wget on the PATH; install it" >&2; exit 1; }

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/usr/bin" "$root/etc/prometheus" "$root/prometheus" "$root/tmp"
cp -L "$server" "$wget" "$root/usr/bin/"
# ldd prints "name => /path (address)", and the loader alone as "/path (address)".
for b in "$server" "$wget"; do ldd "$b"; done | grep -o '/[^ ]*' | sort -u | while read -r lib; do
  mkdir -p "$root$(dirname "$lib")"
  cp -L "$lib" "$root$lib"
done
tar -C "$root" -c . | docker import --change 'ENTRYPOINT ["/usr/bin/prometheus"]' --change 'EXPOSE 9090' - "$image" >/dev/null
echo "prometheus-image: $image: $(docker run --rm "$image" --version 2>&1 | head -1)"
