"""Starts and ends the machines: networks, volumes, containers, the host's settings."""
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor

from lab.docker import CommandFailed, docker, host_path, is_running, run

from . import layout, pki
from .layout import NAME, WORKERS

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
STATE = os.path.abspath(os.path.join(HERE, "..", "..", "build", "kube"))
FILES = os.path.join(STATE, "files")
KUBECONFIG = os.path.join(STATE, "kubeconfig")
LABEL = f"pgvigil={NAME}"
IMAGES = f"{NAME}-images"

# PGVIGIL_KUBE_TMPFS=1: the machines' disks and the pods' volumes are memory (about 3 GB): quick, and easy on the disk.
IN_MEMORY = os.environ.get("PGVIGIL_KUBE_TMPFS") == "1"

# Kubelet writes some of these for the whole machine, and four of it with containerd need more watches
# than a machine has by default.
SYSCTLS = ("vm.overcommit_memory", "vm.panic_on_oom", "kernel.panic", "kernel.panic_on_oops",
           "kernel.keys.root_maxkeys", "kernel.keys.root_maxbytes", "fs.inotify.max_user_instances",
           "fs.inotify.max_user_watches")
WANTED = {"fs.inotify.max_user_instances": "2048", "fs.inotify.max_user_watches": "524288"}

# Not --privileged: where the machine itself lacks a capability, the engine refuses that.
RIGHTS = ("--cap-add", "ALL", "--cap-drop", "SYS_RESOURCE", "--security-opt", "seccomp=unconfined",
          "--security-opt", "apparmor=unconfined", "--security-opt", "systempaths=unconfined",
          "--device", "/dev/kmsg", "--device-cgroup-rule", "a *:* rwm", "--cgroupns", "private")


def cached(family):
    """The folder of a family's programs; it is the same path for this container and for the engine."""
    return run(os.path.join(HERE, "build"), "--print", family)


def programs(worker):
    families = ("kubernetes", "containerd", "helm") if worker else ("kubernetes", "helm")
    return [word for f in families for word in ("-v", f"{cached(f)}:/opt/{f}:ro")]


# --- the host's settings ---

def _sysctl_path(name):
    return "/proc/sys/" + name.replace(".", "/")


def save_sysctls():
    """Once: what a former run that did not end in order has saved is the older truth."""
    path = os.path.join(STATE, "sysctls.json")
    if not os.path.exists(path):
        found = {}
        for name in SYSCTLS:
            with open(_sysctl_path(name), encoding="ascii") as source:
                found[name] = source.read().strip()
        layout.write(STATE, "sysctls.json", found)
    for name, value in WANTED.items():
        with open(_sysctl_path(name), "r+", encoding="ascii") as out:
            if int(out.read()) < int(value):
                out.write(value)


def restore_sysctls():
    path = os.path.join(STATE, "sysctls.json")
    if not os.path.exists(path):
        return
    with open(path, encoding="utf-8") as source:
        for name, value in json.load(source).items():
            with open(_sysctl_path(name), "r+", encoding="ascii") as out:
                if out.read().strip() != value:
                    out.seek(0)
                    out.write(value)
    os.remove(path)


# --- files ---

def write_files():
    shutil.rmtree(FILES, ignore_errors=True)
    keys = f"{FILES}/pki"
    pki.authority(keys)
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(pki.leaf, keys, *a) for a in (
            ("apiserver", "kube-apiserver", None,
             [f"IP:{layout.CONTROL}", "IP:10.216.0.1", "IP:127.0.0.1", "DNS:localhost", "DNS:kubernetes",
              "DNS:kubernetes.default", "DNS:kubernetes.default.svc", "DNS:kubernetes.default.svc.cluster.local"]),
            ("admin", "admin", "system:masters"),
            ("controller-manager", "system:kube-controller-manager"),
            ("scheduler", "system:kube-scheduler"),
            ("proxy", "system:kube-proxy"),
            *((w, f"system:node:{w}", "system:nodes", [f"IP:{layout.address(w)}", f"DNS:{w}"]) for w in WORKERS))]
        for job in jobs:
            job.result()
    for name in ("controller-manager", "scheduler", "proxy", "admin", *WORKERS):
        layout.write(FILES, f"{name}.conf", layout.kubeconfig(keys, name))
    layout.write(FILES, "admin.json", {"server": layout.API, "ca": "/kube/pki/ca.crt",
                                       "cert": "/kube/pki/admin.crt", "key": "/kube/pki/admin.key"})
    layout.write(FILES, "containerd.toml", layout.CONTAINERD)
    layout.write(FILES, "kubelet.yaml", layout.KUBELET)
    layout.write(FILES, "kube-proxy.yaml", layout.PROXY)
    layout.write(FILES, "resolv.conf", "")
    layout.write(FILES, "manifests.json", {"apiVersion": "v1", "kind": "List", "items": layout.manifests()})
    for script in ("worker.sh", "control.sh", "seed.sh", "volumes.py"):
        shutil.copy(os.path.join(HERE, "node", script), FILES)
    shutil.copy(os.path.join(FILES, "admin.conf"), KUBECONFIG)


# --- machines ---

def container(name):
    return f"{NAME}-{name}"


def _common(name, ip):
    return ["create", "--name", container(name), "--hostname", name, "--label", LABEL, "--network", NAME, "--ip", ip,
            *RIGHTS, "--tmpfs", "/run:exec", "--tmpfs", "/tmp:exec", "-v", f"{host_path(FILES)}:/kube:ro",
            "-v", f"{NAME}-volumes:/volumes", "-e", f"SERVICES={layout.SERVICES}",
            "-e", "ROUTES=" + " ".join(f"{layout.pod_range(w)}={layout.address(w)}" for w in WORKERS if w != name)]


def create_volume(name):
    where = ("--opt", "type=tmpfs", "--opt", "device=tmpfs") if IN_MEMORY else ()
    docker("volume", "create", "--label", LABEL, *where, name)


def kubelet_volume(worker):
    return f"{container(worker)}-kubelet"


def create_worker(worker):
    docker(*_common(worker, layout.address(worker)), *programs(True),
           "-v", f"{IMAGES}:/images", "-v", f"{kubelet_volume(worker)}:/var/lib/kubelet",
           "-e", f"NODE_IP={layout.address(worker)}", "-e", f"CIDR={layout.pod_range(worker)}",
           "--sysctl", "net.ipv4.ip_forward=1", "--sysctl", "net.ipv4.conf.all.rp_filter=0",
           "pgvigil/kube-node:1", "sh", "/kube/worker.sh")


def create_control():
    # A volume in memory lasts as long as a running container has it: a worker that is killed is to find its own again.
    held = [word for w in WORKERS for word in ("-v", f"{kubelet_volume(w)}:/held/{w}")]
    docker(*_common("control", layout.CONTROL), *programs(False), "-v", f"{IMAGES}:/images", *held, "-e", f"ADDRESS={layout.CONTROL}",
           "-e", "KUBECONFIG=/kube/admin.conf", "pgvigil/kube-node:1", "sh", "/kube/control.sh")


def start_control():
    """The control plane, with everything that the workers need."""
    save_sysctls()
    write_files()
    docker("network", "create", "--label", LABEL, "--subnet", layout.SUBNET, NAME)
    for volume in (f"{NAME}-volumes", IMAGES, *map(kubelet_volume, WORKERS)):
        create_volume(volume)
    create_control()
    docker("start", container("control"))


def seeder():
    """The command that reads images from its input and lays them into the store of each machine, once for all."""
    return ["docker", "run", "--rm", "-i", "--label", LABEL, "--network", "none", *RIGHTS, "--tmpfs", "/run:exec", "--tmpfs", "/tmp:exec",
            "-v", f"{host_path(FILES)}:/kube:ro", "-v", f"{IMAGES}:/images", *programs(True),
            "pgvigil/kube-node:1", "sh", "/kube/seed.sh", *WORKERS]


def start_workers():
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(create_worker, WORKERS))
        list(pool.map(lambda w: docker("start", container(w)), WORKERS))


def is_up():
    return is_running(container("control"))


def end():
    """Whatever is left of a cluster, also of one that did not come up."""
    found = docker("ps", "-aq", "--filter", f"label={LABEL}").split()
    if found:
        docker("kill", *found, check=False, timeout=120)
        docker("rm", "-f", "-v", *found, timeout=300)
    volumes = docker("volume", "ls", "-q", "--filter", f"label={LABEL}").split()
    if volumes:
        docker("volume", "rm", "-f", *volumes, timeout=300)
    if NAME in docker("network", "ls", "--format", "{{.Name}}").split():
        docker("network", "rm", NAME)
    restore_sysctls()
    shutil.rmtree(STATE, ignore_errors=True)


def kubectl(*argv, **more):
    return run(os.path.join(cached("kubernetes"), "kubectl"), "--kubeconfig", KUBECONFIG, *argv, **more)


def cut(worker):
    """From every other machine, and its pods with it; a start heals it."""
    rules = "".join(f"chain {hook} {{ type filter hook {hook} priority {priority}; {way} eth0 drop; }}; "
                    for hook, priority, way in (("prerouting", -400, "iifname"), ("postrouting", 400, "oifname")))
    node_exec(worker, "nft", f"table inet cut {{ {rules}}}")


def node_exec(worker, *argv, **more):
    return docker("exec", container(worker), *argv, **more)


def container_task(worker, status, verb, *options, argv=()):
    """ctr tasks VERB on the container that a pod's status names: past kubelet and the API server."""
    return node_exec(worker, "ctr", "-n", "k8s.io", "tasks", verb, *options, status["containerID"].split("//")[1], *argv)


def try_ready():
    """True when the API server answers; used while it comes up."""
    try:
        return kubectl("get", "--raw", "/readyz", timeout=5) == "ok"
    except CommandFailed:
        return False
