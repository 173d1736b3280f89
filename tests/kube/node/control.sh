#!/bin/sh
# The control plane: no pods run here. Its etcd's data lie in the container itself.
# ADDRESS and SERVICES come from the environment, everything else from /kube.
set -eu

for route in $ROUTES; do
	ip route replace "${route%=*}" via "${route#*=}"
done
mkdir -p /run/kube

keep() {
	name=$1
	shift
	while :; do
		"$@" >>"/run/kube/$name.log" 2>&1 || true
		sleep 0.2
	done
}

pki=/kube/pki
keep etcd etcd --data-dir /var/lib/etcd-kube --unsafe-no-fsync \
	--listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 &
keep kube-apiserver kube-apiserver --etcd-servers=http://127.0.0.1:2379 \
	--advertise-address="$ADDRESS" --service-cluster-ip-range="$SERVICES" \
	--client-ca-file=$pki/ca.crt --tls-cert-file=$pki/apiserver.crt --tls-private-key-file=$pki/apiserver.key \
	--kubelet-client-certificate=$pki/admin.crt --kubelet-client-key=$pki/admin.key \
	--kubelet-certificate-authority=$pki/ca.crt --kubelet-preferred-address-types=InternalIP \
	--service-account-issuer=https://kubernetes.default.svc.cluster.local \
	--service-account-key-file=$pki/accounts.pub --service-account-signing-key-file=$pki/accounts.key \
	--authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --profiling=false &
keep kube-controller-manager kube-controller-manager --kubeconfig=/kube/controller-manager.conf \
	--root-ca-file=$pki/ca.crt --service-account-private-key-file=$pki/accounts.key \
	--use-service-account-credentials --leader-elect=false --profiling=false &
keep kube-scheduler kube-scheduler --kubeconfig=/kube/scheduler.conf --leader-elect=false --profiling=false &
keep volumes python3 /kube/volumes.py /kube/admin.json &
wait
