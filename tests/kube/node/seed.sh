#!/bin/sh
# seed WORKER…: reads images from the standard input and lays them into /images/WORKER, containerd's root on each.
# They are unpacked once. The others have links to the same files: layers are never written to, databases are copied.
set -eu
first=$1
shift

containerd --config /kube/containerd.toml --root "/images/$first" >/tmp/containerd.log 2>&1 &
until [ -S /run/containerd/containerd.sock ]; do
	kill -0 $! || { cat /tmp/containerd.log >&2; exit 1; }
	sleep 0.05
done
ctr -n k8s.io images import --local --discard-unpacked-layers - >&2
kill $!
wait $! || true

for worker; do
	cp -al "/images/$first" "/images/$worker"
	(cd "/images/$first" && find . -name '*.db') | while read -r database; do
		cp --remove-destination "/images/$first/$database" "/images/$worker/$database"
	done
done
