#!/usr/bin/env bash
# Builds the images: gavel-dispatcher, gavel-worker, gavel-cli and gavel-modelsim.
#
#   images.sh                      all of them, from binaries built here: pulls nothing
#   images.sh sources              all of them, from the sources in the build image
#   images.sh binaries DIR VERSION what goes into them, into DIR
#
# TAG (default local) and VERSION (default what git says) may be set, and
# BUILD_IMAGE and BASE_IMAGE as in the Dockerfile.
set -euo pipefail
cd "$(dirname "$0")/.."

version=${VERSION:-$(git describe --tags --always --dirty 2>/dev/null || echo dev)}
tag=${TAG:-local}
# docker without buildx builds with the builder it has.
docker buildx version >/dev/null 2>&1 || export DOCKER_BUILDKIT=0

binaries() { # directory, version
  local out=$1 cert name
  mkdir -p "$out/etc/ssl/certs"
  for name in dispatcher worker gavel modelsim probe; do
    CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$2" -o "$out/$name" "./cmd/$name"
  done
  # Whose certificates are trusted, and who the process is.
  for cert in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem; do
    [ -r "$cert" ] && break
  done
  cp -L "$cert" "$out/etc/ssl/certs/ca-certificates.crt"
  echo "gavel:x:65532:65532:gavel:/:/" >"$out/etc/passwd"
  echo "gavel:x:65532:" >"$out/etc/group"
  chmod -R a+rX "$out"
}

images() { # Dockerfile, context, arguments...
  local file=$1 context=$2 pair
  shift 2
  for pair in dispatcher:dispatcher worker:worker modelsim:modelsim gavel:cli; do
    local name=gavel-${pair#*:}:$tag
    docker build -f "$file" --target "${pair%:*}" -t "$name" \
      --label "org.opencontainers.image.version=$version" "$@" "$context" >"$log" 2>&1 || { cat "$log" >&2; return 1; }
    docker image inspect --format '{{.Size}}' "$name" | awk -v n="$name" '{printf "images: %s, %.1f MB\n", n, $1 / 1e6}'
  done
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
base=(--build-arg "BASE_IMAGE=${BASE_IMAGE:-scratch}")
case "${1:-}" in
  "")
    rm -rf bin/image
    GOOS=linux binaries bin/image "$version"
    images deploy/packed.Dockerfile bin/image "${base[@]}"
    ;;
  sources)
    images deploy/Dockerfile . "${base[@]}" --build-arg "BUILD_IMAGE=${BUILD_IMAGE:-golang:1.26-bookworm}" --build-arg "VERSION=$version"
    ;;
  binaries) binaries "${2:?a directory}" "${3:?a version}" ;;
  *) echo "usage: images.sh [sources | binaries DIR VERSION]" >&2; exit 2 ;;
esac
