"""Machines that are lost, and an API server that is away."""
from kubelab.cluster import wait_for
from lab.docker import docker

from . import case


def active_controller(release):
    lease = release.get("lease", f"{release.name}-controller")
    return lease["spec"].get("holderIdentity")


def put_controller_on(release, machine, node):
    """The active controller onto that node: every other node takes none while the controllers are made anew."""
    others = [n["metadata"]["name"] for n in release.get("nodes")["items"] if n["metadata"]["name"] != node]
    pods = [p["metadata"]["name"] for p in release.pods("controller") if p["spec"].get("nodeName") != node]
    here = [p["metadata"]["name"] for p in release.pods("controller") if p["spec"].get("nodeName") == node]
    if not here:
        for other in others:
            release.kubectl("cordon", other)
        release.kubectl("delete", "pod", pods[0])
        for other in others:
            release.kubectl("uncordon", other)
        here = wait_for(f"a controller on {node}", lambda: [
            p["metadata"]["name"] for p in release.pods("controller") if p["spec"].get("nodeName") == node], 60)
    return here[0]


def node_killed(context, ttl, profile):
    release, primary = context.up(**({"ttl": profile} if profile else {}))
    node = release.node_of(primary)
    put_controller_on(release, context.machine, node)
    writer = context.load()
    began = writer.now()
    docker("kill", context.machine.container(node))
    try:
        release.wait_primary(other_than=primary, timeout=90)
        writer.wait_writes(60, after=writer.now())
    finally:
        docker("start", context.machine.container(node))
    return context.settle(began, ttl + 5, timeout=300)


@case("node-killed", own=True)
def node_killed_default(context):
    """The primary's node dies with all its containers, a controller among them: ttl + 5 s; it comes back by itself."""
    return node_killed(context, 10, None)


@case("node-killed-fast", own=True)
def node_killed_fast(context):
    """The same at ttl 3."""
    return node_killed(context, 3, "fast")


@case("node-lost-for-good", own=True)
def node_lost_for_good(context):
    """The way back without the node: volumes and pod are given up, the spare node takes a fresh one."""
    release, primary = context.up()
    writer = context.load()
    node = release.node_of(primary)
    began = writer.now()
    docker("kill", context.machine.container(node))
    try:
        release.wait_primary(other_than=primary, timeout=90)
        writer.wait_writes(60, after=writer.now())
        # What docs/operations.md says: the volumes first, then the pod; the StatefulSet makes both anew elsewhere.
        claims = [f"{volume}-{primary}" for volume in ("data", "etcd")]
        release.kubectl("delete", "pvc", *claims, "--wait=false")
        release.kubectl("delete", "pod", primary, "--force", "--grace-period=0")
        release.kubectl("cordon", node)
        return context.settle(began, 15, timeout=300)
    finally:
        docker("start", context.machine.container(node))
        release.kubectl("uncordon", node)


@case("api-server-away", own=True)
def api_server_away(context):
    """Kubernetes' API is away for 60 s while the primary's postmaster is killed: the cluster fails over, labels follow."""
    release, primary = context.up()
    writer = context.load()
    began = writer.now()
    control = context.machine.container("control")
    pod = release.get("pod", primary)
    node = pod["spec"]["nodeName"]
    identity = next(s["containerID"] for s in pod["status"]["containerStatuses"] if s["name"] == "postgres").split("//")[1]
    docker("pause", control)
    try:
        context.machine.node_exec(node, "ctr", "-n", "k8s.io", "tasks", "exec", "--exec-id", "kill", identity, "sh", "-c",
                                  "kill -9 $(head -n 1 /var/lib/postgresql/data/pgdata/postmaster.pid)")
        import time
        time.sleep(60)  # what is tested is that minute
    finally:
        docker("unpause", control)
    release.wait_primary(other_than=primary)
    return context.settle(began, 70)


@case("controllers-killed")
def controllers_killed(context):
    """Both controllers are killed, and the primary's postmaster at once: labels follow when one is back."""
    release, primary = context.up()
    writer = context.load()
    began = writer.now()
    release.kubectl("delete", "pod", "--force", "--grace-period=0",
                    *(p["metadata"]["name"] for p in release.pods("controller")))
    release.kubectl("exec", primary, "-c", "postgres", "--", "sh", "-c",
                    "kill -9 $(head -n 1 /var/lib/postgresql/data/pgdata/postmaster.pid)")
    release.wait_primary(other_than=primary)
    return context.settle(began, 20)
