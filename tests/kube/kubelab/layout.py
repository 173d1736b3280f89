"""What the machines of the test cluster are called, where they are, and the files that their programs read."""
import base64
import json
import os
import textwrap

NAME = "pgvigil-kube"
SUBNET = "10.214.0.0/24"
CONTROL = "10.214.0.2"
SERVICES = "10.216.0.0/16"
PODS = "10.215.0.0/16"
DNS = "10.216.0.10"
API = f"https://{CONTROL}:6443"
PAUSE = "pgvigil.test/pause:1"
COREDNS = "pgvigil.test/coredns:1"
WORKERS = [f"node{n}" for n in (1, 2, 3, 4)]


def number(worker):
    return WORKERS.index(worker) + 1


def address(worker):
    return f"10.214.0.{10 + number(worker)}"


def pod_range(worker):
    return f"10.215.{number(worker)}.0/24"


def kubeconfig(keys, name):
    """A kubeconfig that needs no other file."""
    def content(file):
        with open(os.path.join(keys, file), "rb") as source:
            return base64.b64encode(source.read()).decode()
    return json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": NAME,
        "clusters": [{"name": NAME, "cluster": {"server": API, "certificate-authority-data": content("ca.crt")}}],
        "users": [{"name": name, "user": {"client-certificate-data": content(f"{name}.crt"),
                                          "client-key-data": content(f"{name}.key")}}],
        "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": name}}]})


CONTAINERD = f"""\
version = 3
state = "/run/containerd"
[plugins.'io.containerd.metadata.v1.bolt']
  no_sync = true
[plugins.'io.containerd.cri.v1.images']
  snapshotter = "overlayfs"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "{PAUSE}"
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ["/usr/lib/cni"]
  conf_dir = "/etc/cni/net.d"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  SystemdCgroup = false
"""

# Nothing is evicted for the sake of a disk and a memory that are the whole machine's.
KUBELET = {
    "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
    "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": False},
                       "x509": {"clientCAFile": "/kube/pki/ca.crt"}},
    "authorization": {"mode": "AlwaysAllow"},
    "tlsCertFile": "/run/kube/kubelet.crt", "tlsPrivateKeyFile": "/run/kube/kubelet.key",
    "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
    "cgroupDriver": "cgroupfs", "failCgroupV1": False, "failSwapOn": False,
    "clusterDNS": [DNS], "clusterDomain": "cluster.local", "resolvConf": "/kube/resolv.conf",
    "evictionHard": {"memory.available": "0%", "nodefs.available": "0%", "nodefs.inodesFree": "0%",
                     "imagefs.available": "0%", "imagefs.inodesFree": "0%"},
    "imageGCHighThresholdPercent": 100, "oomScoreAdj": 0, "serializeImagePulls": False,
    "maxPods": 60, "registerWithTaints": [],
}

PROXY = {
    "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration",
    "clientConnection": {"kubeconfig": "/kube/proxy.conf"}, "clusterCIDR": PODS, "mode": "iptables",
    "oomScoreAdj": 0,
    "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
}


def _manifest(kind, name, annotations=None, **rest):
    api = {"Deployment": "apps/v1", "StorageClass": "storage.k8s.io/v1",
           "ClusterRole": "rbac.authorization.k8s.io/v1", "ClusterRoleBinding": "rbac.authorization.k8s.io/v1"}
    meta = {"name": name, "annotations": annotations or {}}
    if kind not in ("StorageClass", "ClusterRole", "ClusterRoleBinding"):
        meta["namespace"] = "kube-system"
    return {"apiVersion": api.get(kind, "v1"), "kind": kind, "metadata": meta, **rest}


COREFILE = textwrap.dedent("""\
    .:5353 {
        errors
        health :8080
        ready :8181
        kubernetes cluster.local in-addr.arpa {
            ttl 5
        }
        loop
        reload
    }
    """)


def manifests():
    """CoreDNS and the StorageClass."""
    labels = {"k8s-app": "kube-dns"}
    coredns = {
        "serviceAccountName": "coredns", "priorityClassName": "system-cluster-critical",
        "tolerations": [{"operator": "Exists", "effect": "NoExecute"}],
        "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
            {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": labels}}]}},
        "dnsPolicy": "Default", "terminationGracePeriodSeconds": 1,
        "volumes": [{"name": "config", "configMap": {"name": "coredns"}}],
        "containers": [{
            "name": "coredns", "image": COREDNS, "args": ["-conf", "/etc/coredns/Corefile"],
            "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns"}],
            "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1},
            "ports": [{"containerPort": 5353, "protocol": "UDP", "name": "dns"},
                      {"containerPort": 5353, "protocol": "TCP", "name": "dns-tcp"}]}]}
    read = ["list", "watch"]
    return [
        _manifest("ServiceAccount", "coredns"),
        _manifest("ClusterRole", "system:coredns", rules=[
            {"apiGroups": [""], "resources": ["endpoints", "services", "pods", "namespaces"], "verbs": read},
            {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": read}]),
        _manifest("ClusterRoleBinding", "system:coredns",
                  roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:coredns"},
                  subjects=[{"kind": "ServiceAccount", "name": "coredns", "namespace": "kube-system"}]),
        _manifest("ConfigMap", "coredns", data={"Corefile": COREFILE}),
        _manifest("Deployment", "coredns", spec={
            "replicas": 2, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": coredns}}),
        _manifest("Service", "kube-dns", spec={
            "clusterIP": DNS, "selector": labels,
            "ports": [{"name": "dns", "port": 53, "protocol": "UDP", "targetPort": "dns"},
                      {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": "dns-tcp"}]}),
        _manifest("StorageClass", "local", {"storageclass.kubernetes.io/is-default-class": "true"}, provisioner="pgvigil.test/local", reclaimPolicy="Delete",
                  volumeBindingMode="WaitForFirstConsumer"),
    ]


def write(folder, name, text):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as out:
        out.write(text if isinstance(text, str) else json.dumps(text))
