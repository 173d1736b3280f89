#!/bin/sh
# Ensures that the engine has the image debian:trixie-slim, which every stage of
# the Dockerfile starts from: pulled where a registry answers, else made here from
# Debian's packages by debootstrap.
set -eu
# shellcheck source=common.sh
. "$(dirname -- "$0")/common.sh"

image=debian:trixie-slim
mirror=${PGVIGIL_DEBIAN_MIRROR:-http://deb.debian.org/debian}

docker image inspect "$image" >/dev/null 2>&1 && exit 0

# 20 s to the registry's first word; a pull under way may take longer. Where
# there is no registry the engine says so at once or not at all.
pull() {
	timeout 20 docker pull -q hello-world || return 1
	timeout 300 docker pull "$image"
}

say "looking for $image in the registry"
if pull >"$logs/pull.log" 2>&1; then
	exit 0
fi
say "no registry answers: making $image from Debian's packages"

[ "$(id -u)" = 0 ] || fail "making $image needs root (debootstrap); or load it yourself with docker load"

if ! command -v debootstrap >/dev/null || [ ! -e /usr/share/keyrings/debian-archive-keyring.gpg ]; then
	command -v apt-get >/dev/null || fail "debootstrap is missing; install it, or load $image with docker load"
	step apt-update "reading the package lists" apt-get update -q
	step debootstrap-install "installing debootstrap" env DEBIAN_FRONTEND=noninteractive \
		apt-get install -q -y --no-install-recommends debootstrap debian-archive-keyring
fi

# An older debootstrap does not know the name; all of Debian's releases since
# 2005 are made by the same script.
script=
[ -e /usr/share/debootstrap/scripts/trixie ] || script=/usr/share/debootstrap/scripts/sid

root=$(mktemp -d /var/tmp/pgvigil-base.XXXXXX)
trap 'rm -rf "$root"' EXIT INT TERM

# shellcheck disable=SC2086 # $script is one word or none
step debootstrap "debootstrap of Debian 13 from $mirror" \
	debootstrap --variant=minbase --keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
	trixie "$root" "$mirror" $script

# What makes it slim: no package lists, archives, manuals and translations, and
# none to come.
cat >"$root/etc/dpkg/dpkg.cfg.d/docker" <<'EOF'
path-exclude /usr/share/doc/*
path-include /usr/share/doc/*/copyright
path-exclude /usr/share/groff/*
path-exclude /usr/share/info/*
path-exclude /usr/share/linda/*
path-exclude /usr/share/lintian/*
path-exclude /usr/share/locale/*
path-exclude /usr/share/man/*
EOF
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
cat >"$root/etc/apt/sources.list" <<EOF
deb $mirror trixie main
deb $mirror trixie-updates main
deb ${mirror%/debian}/debian-security trixie-security main
EOF
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/archives/*.deb "$root"/var/cache/apt/*.bin \
	"$root"/var/cache/debconf/*-old "$root"/var/log/*.log "$root"/var/log/apt \
	"$root"/usr/share/doc/* "$root"/usr/share/man/* "$root"/usr/share/info/* "$root"/usr/share/locale/* \
	"$root"/etc/resolv.conf "$root"/etc/hostname "$root"/etc/machine-id

import() {
	tar --numeric-owner --xattrs -C "$root" -c . | docker import --change 'CMD ["bash"]' - "$image"
}
step import "importing $image" import
