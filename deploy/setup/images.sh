#!/bin/sh
# images.sh STAGE…: builds these stages of the Dockerfile as pgvigil/STAGE, where
# they are not what the Dockerfile says. Layers that did not change come from
# the engine's cache. PG=15 in the environment: node-base with that PostgreSQL, as
# pgvigil/node-base:pg15.
set -eu
# shellcheck source=common.sh
. "$(dirname -- "$0")/common.sh"

# The builder that every engine since 2020 has.
export DOCKER_BUILDKIT=0

# Of the stages without our sources the recipe alone decides, so that a look at
# the label answers for them.
recipe=$(sha256sum <"$repo/Dockerfile" | cut -c1-16)

for stage; do
	image=pgvigil/$stage
	pg=
	if [ "$stage" = node-base ] && [ "${PG:-17}" != 17 ]; then
		pg="--build-arg PG=$PG"
		image=$image:pg$PG
	fi
	case $stage in
	build | sidecar | controller | node)
		step "image-$stage" "building the image $image" \
			docker build --target "$stage" -t "$image" "$repo"
		continue
		;;
	esac
	has=$(docker image inspect -f '{{index .Config.Labels "pgvigil.recipe"}}' "$image" 2>/dev/null || true)
	[ "$has" != "$recipe" ] || continue
	build() {
		# shellcheck disable=SC2086 # $pg is two words or none
		docker build --target "$stage" $pg -t "$image" --label "pgvigil.recipe=$recipe" - <"$repo/Dockerfile"
	}
	step "image-$stage" "building the image $image" build
done
