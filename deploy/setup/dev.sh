#!/bin/sh
# dev.sh COMMAND…: runs a command in the dev container, with this tree at /src and the
# machine's docker engine, network and processes in reach: tests start
# containers beside this one, cut their network and look into it. What is missing (engine, base
# image, dev image) is made first.
set -eu
# shellcheck source=common.sh
. "$(dirname -- "$0")/common.sh"

if [ "${PGVIGIL_DEV:-}" = 1 ]; then
	exec "$@"
fi

"$repo/deploy/setup/engine.sh"
"$repo/deploy/setup/base.sh"
"$repo/deploy/setup/images.sh" dev

tty=
if [ -t 0 ] && [ -t 1 ]; then
	tty=-it
fi

# Programs that tests build once and what the compiler made, outside the tree; by the same path in the container, since
# the engine mounts them.
cache=${PGVIGIL_CACHE:-$HOME/.cache/pgvigil}
mkdir -p "$cache"

# The engine starts the container, not we: it would forget `nice make …`.
niceness=$(nice)
[ "$niceness" = 0 ] || set -- nice -n "$niceness" "$@"

# A Kubernetes of one's own for the tests: the first file, which is to need no other (kubectl config view --flatten).
kubeconfig=${KUBECONFIG:-}
kubeconfig=${kubeconfig%%:*}
[ -z "$kubeconfig" ] || kubeconfig=$(realpath "$kubeconfig")

# Not --privileged, and not all capabilities: where the machine itself lacks one of them, engines refuse either.
# What tests need beyond the usual ones: to enter the namespaces of other containers, to cut their network, to trace
# and to look into foreign processes.
# PGVIGIL_HOST_DIR: what a bind mount of a test must call /src, since the engine reads it with the host's eyes.
# shellcheck disable=SC2086 # $tty is one word or none
exec docker run --rm $tty --name "pgvigil-dev-$$" \
	--network host --pid host --ipc host \
	--cap-add SYS_ADMIN --cap-add NET_ADMIN --cap-add SYS_PTRACE --cap-add SYS_NICE --cap-add DAC_READ_SEARCH \
	--security-opt seccomp=unconfined --security-opt apparmor=unconfined \
	--security-opt systempaths=unconfined \
	-v /var/run/docker.sock:/var/run/docker.sock \
	-v "$repo:/src" -w /src -v "$cache:$cache" -e PGVIGIL_CACHE="$cache" \
	${kubeconfig:+-v "$kubeconfig:$kubeconfig:ro" -e KUBECONFIG="$kubeconfig"} -e PGVIGIL_CLIENT_IMAGE -e PGVIGIL_KUBE_TMPFS \
	-e CCACHE_DIR="$cache/ccache" -e CCACHE_MAXSIZE=1G \
	${NODE_IMAGE:+-e NODE_IMAGE="$NODE_IMAGE"} -e PGVIGIL_HOST_DIR="$repo" -e CI="${CI:-}" -e TERM="${TERM:-dumb}" \
	pgvigil/dev "$@"
