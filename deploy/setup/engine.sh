#!/bin/sh
# Ensures a docker engine that answers. On Debian and Ubuntu, as root, it is
# installed (docker.io) and started; elsewhere the message says what to do.
# Nothing is done, and nothing said, where one is up.
set -eu
# shellcheck source=common.sh
. "$(dirname -- "$0")/common.sh"

answers() {
	timeout 10 docker version --format '{{.Server.Version}}' >/dev/null 2>&1
}

answers && exit 0

if [ -n "${DOCKER_HOST:-}" ]; then
	fail "no docker engine answers at DOCKER_HOST=$DOCKER_HOST"
fi

os=$(sed -n 's/^ID=//p; s/^ID_LIKE=//p' /etc/os-release 2>/dev/null | tr -d '"' | tr '\n' ' ')
case " $os " in
*" debian "* | *" ubuntu "*) ;;
*) fail "no docker engine answers. Install one (https://docs.docker.com/engine/install), start it, and run this again." ;;
esac

if [ "$(id -u)" != 0 ]; then
	if command -v dockerd >/dev/null || [ -S /var/run/docker.sock ]; then
		fail "the docker engine does not answer you: start it, join the group docker, or run this as root."
	fi
	fail "no docker engine here: run this as root once (it installs docker.io), or install one and join the group docker."
fi

if ! command -v dockerd >/dev/null; then
	step apt-update "reading the package lists" apt-get update -q
	# With an init system the package starts the engine itself.
	step docker-install "installing the docker engine (docker.io)" env DEBIAN_FRONTEND=noninteractive \
		apt-get install -q -y --no-install-recommends docker.io iptables
	# Ubuntu's and Debian 13's docker.io leave the client to a package of its own.
	command -v docker >/dev/null || step docker-cli-install "installing the docker client" \
		env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends docker-cli
fi

wait_for_answer() {
	tries=0
	until answers; do
		tries=$((tries + 1))
		[ "$tries" -lt "$1" ] || return 1
		[ "$tries" != 5 ] || say "waiting for the docker engine"
		sleep 0.5
	done
}

# forget_pid PROGRAM FILE
forget_pid() {
	if [ -e "$2" ] && ! grep -qx "$1" "/proc/$(cat "$2")/comm" 2>/dev/null; then
		rm -f "$2"
	fi
}

start_by_hand() {
	log=/var/log/pgvigil-dockerd.log
	say "starting dockerd (log: $log)"
	# A pid file that an engine left behind may name some other process by now.
	forget_pid dockerd /var/run/docker.pid
	forget_pid containerd /var/run/docker/containerd/containerd.pid
	setsid nohup dockerd >>"$log" 2>&1 </dev/null &
	wait_for_answer 60 && return
	say "dockerd does not answer. The end of $log:"
	tail -n 20 "$log" | sed 's/^/    /' >&2
	exit 1
}

if [ -d /run/systemd/system ]; then
	systemctl start docker || fail "systemd could not start docker: journalctl -u docker"
	wait_for_answer 60 || fail "docker was started and does not answer: journalctl -u docker"
elif ! wait_for_answer 1; then
	start_by_hand
fi
