#!/bin/sh
# A worker: what makes a container fit for kubelet, then its programs, each started again when it ends.
# NODE_IP, CIDR (of its pods), SERVICES (the Services' addresses) and ROUTES ("cidr=address …") come
# from the environment, everything else from /kube.
set -eu

mount -o remount,bind,rw /sys
awk '$2 ~ "^/sys/fs/cgroup" { print $2 }' /proc/mounts | while read -r point; do
	mount -o remount,bind,rw "$point"
done
mount --make-rshared /
[ -s /etc/machine-id ] || tr -d - </proc/sys/kernel/random/uuid >/etc/machine-id

# Nothing of the cluster's is asked outside of it; without the second line a connection from
# the node to a Service fails before kube-proxy's rules see it.
ip route del default 2>/dev/null || true
ip route replace "$SERVICES" dev eth0
for route in $ROUTES; do
	ip route replace "${route%=*}" via "${route#*=}"
done

mkdir -p /etc/cni/net.d /run/kube
cp "/kube/pki/$(hostname).crt" /run/kube/kubelet.crt
cp "/kube/pki/$(hostname).key" /run/kube/kubelet.key
cat >/etc/cni/net.d/10-pods.conflist <<CNI
{ "cniVersion": "1.0.0", "name": "pods", "plugins": [
    { "type": "ptp", "ipMasq": false, "mtu": 1500,
      "ipam": { "type": "host-local", "dataDir": "/run/cni-ipam", "ranges": [[{ "subnet": "$CIDR" }]],
                "routes": [{ "dst": "0.0.0.0/0" }] } },
    { "type": "portmap", "capabilities": { "portMappings": true } } ] }
CNI

# keep NAME COMMAND…
keep() {
	name=$1
	shift
	while :; do
		"$@" >>"/run/kube/$name.log" 2>&1 || true
		sleep 0.2
	done
}

keep containerd containerd --config /kube/containerd.toml --root "/images/$(hostname)" &
until [ -S /run/containerd/containerd.sock ]; do
	sleep 0.05
done
keep kubelet kubelet --config=/kube/kubelet.yaml --kubeconfig="/kube/$(hostname).conf" \
	--hostname-override="$(hostname)" --node-ip="$NODE_IP" --node-labels="kubernetes.io/os=linux" --v=2 &
keep kube-proxy kube-proxy --config=/kube/kube-proxy.yaml --hostname-override="$(hostname)" &
wait
