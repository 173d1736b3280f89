#!/bin/sh
# node_image.sh IMAGE PROGRAM…: puts programs that were just built on top of pgvigil/node-base (PG=15 in the
# environment: the one with that PostgreSQL). A layer of a second instead of a build from scratch.
set -eu
# shellcheck source=common.sh
. "$(dirname -- "$0")/common.sh"

export DOCKER_BUILDKIT=0
image=$1
shift

context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT INT TERM
mkdir "$context/bin"
cp -p "$@" "$context/bin/"
base=pgvigil/node-base
[ "${PG:-17}" = 17 ] || base=$base:pg$PG
cat >"$context/Dockerfile" <<EOF
FROM $base
COPY bin/ /usr/local/bin/
EOF
former=$(docker image inspect -f '{{.Id}}' "$image" 2>/dev/null || true)
step node-image "building the image $image" docker build -t "$image" "$context"
# Its forerunner would stay without a name; one that a container uses does stay.
now=$(docker image inspect -f '{{.Id}}' "$image")
if [ -n "$former" ] && [ "$former" != "$now" ]; then
	docker rmi "$former" >/dev/null 2>&1 || true
fi
