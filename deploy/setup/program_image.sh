#!/bin/sh
# program_image.sh BASE IMAGE LINE PROGRAM…: puts programs that were just built on top of the image BASE; LINE is
# what else the recipe says, \n between its lines. A layer of a second instead of a build from scratch.
set -eu
# shellcheck source=common.sh
. "$(dirname -- "$0")/common.sh"

export DOCKER_BUILDKIT=0
base=$1
image=$2
line=$3
shift 3

context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT INT TERM
mkdir "$context/bin"
cp -p "$@" "$context/bin/"
printf 'FROM %s\nCOPY bin/ /usr/local/bin/\n%b\n' "$base" "$line" >"$context/Dockerfile"
former=$(docker image inspect -f '{{.Id}}' "$image" 2>/dev/null || true)
step "image-$(echo "$image" | tr /: --)" "building the image $image" docker build -t "$image" "$context"
# Its forerunner would stay without a name; one that a container uses does stay.
now=$(docker image inspect -f '{{.Id}}' "$image")
if [ -n "$former" ] && [ "$former" != "$now" ]; then
	docker rmi "$former" >/dev/null 2>&1 || true
fi
