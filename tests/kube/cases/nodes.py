"""Machines that are lost, and an API server that is away."""
import time

from kubelab.cluster import wait_for
from kubelab.release import KILL_POSTMASTER, container_status, is_ready
from lab.docker import docker

from . import case


def active_controller(release):
    lease = release.get("lease", f"{release.name}-controller")
    return lease["spec"].get("holderIdentity")


def controllers(release, on=None, off=None):
    return [p for p in release.pods("controller") if is_ready(p) and
            (on is None or p["spec"]["nodeName"] == on) and (off is None or p["spec"]["nodeName"] != off)]


def put_controller_on(release, node):
    """Every other node takes none while a controller is made anew."""
    if controllers(release, on=node):
        return
    others = [n["metadata"]["name"] for n in release.get("nodes")["items"] if n["metadata"]["name"] != node]
    release.kubectl("cordon", *others)
    try:
        release.kubectl("delete", "pod", controllers(release)[0]["metadata"]["name"])
        wait_for(f"a controller on {node}", lambda: controllers(release, on=node), 60)
    finally:
        release.kubectl("uncordon", *others)


def make_active(release, machine, node):
    """The controller on that node active, beside the primary, where it would not stay: the other one is frozen until
    the function that is returned is called."""
    put_controller_on(release, node)
    here = controllers(release, on=node)[0]["metadata"]["name"]
    other = controllers(release, off=node)[0]
    status = container_status(other, "controller")
    machine.container_task(other["spec"]["nodeName"], status, "pause")
    wait_for(f"{here} to be the active controller", lambda: active_controller(release) == here, 30)
    return lambda: machine.container_task(other["spec"]["nodeName"], status, "resume")


def node_killed(context, ttl):
    release, primary = context.up()
    node = release.node_of(primary)
    writer = context.load()
    thaw = make_active(release, context.machine, node)
    began = writer.now()
    docker("kill", context.machine.container(node))
    thaw()
    try:
        release.wait_primary(other_than=primary, timeout=90)
        writer.wait_writes(60, after=writer.now())
    finally:
        docker("start", context.machine.container(node))
    return context.settle(began, ttl + 5, timeout=300)


@case("node-killed", own=True, both=True)
def node_killed_default(context):
    """The primary's node dies with all its containers, the active controller among them: ttl + 5 s; it comes back by itself."""
    return node_killed(context, 10)


@case("node-killed-fast", own=True, ttl="fast")
def node_killed_fast(context):
    """The same at ttl 3."""
    return node_killed(context, 3)


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
        # What docs/kubernetes.md says: the node, the volumes, the pod; the StatefulSet makes the latter anew elsewhere.
        release.kubectl("cordon", node)
        claims = [f"{volume}-{primary}" for volume in ("data", "etcd")]
        release.kubectl("delete", "pvc", *claims, "--wait=false")
        release.kubectl("delete", "pod", primary, "--force", "--grace-period=0")
        return context.settle(began, 15, timeout=300)
    finally:
        docker("start", context.machine.container(node))
        release.kubectl("uncordon", node)


AWAY = 60


@case("api-server-away", own=True)
def api_server_away(context):
    """Kubernetes' API is away for 60 s while the primary's postmaster is killed: the cluster fails over, labels follow."""
    release, primary = context.up()
    writer = context.load()
    control = context.machine.container("control")
    pod = release.get("pod", primary)
    began = writer.now()
    docker("pause", control)
    try:
        context.machine.container_task(pod["spec"]["nodeName"], container_status(pod, "postgres"), "exec", "--exec-id", "kill",
                                       argv=("sh", "-c", KILL_POSTMASTER))
        time.sleep(AWAY)  # what is tested is that minute
    finally:
        docker("unpause", control)
        back = time.time()
    release.wait_primary(other_than=primary)
    labelled = next(t for t, kind, names in context.watch.changes if kind == "pods" and names and names != [primary])
    promoted = release.said_at("role: PRIMARY")[-1]
    assert promoted - began <= 5, f"read-write only {promoted - began:.1f} s after the postmaster was killed"
    assert labelled - back <= 10, f"the label followed {labelled - back:.1f} s after the API was back"
    return (f"read-write after {promoted - began:.2f} s, label {labelled - back:.2f} s after the API was back; "
            + context.settle(began, AWAY + 15))


@case("controllers-killed")
def controllers_killed(context):
    """Both controllers are killed, and the primary's postmaster at once: labels follow when one is back."""
    release, primary = context.up()
    writer = context.load()
    began = writer.now()
    release.kubectl("delete", "pod", "--force", "--grace-period=0",
                    *(p["metadata"]["name"] for p in release.pods("controller")))
    release.kill_postmaster(primary)
    release.wait_primary(other_than=primary)
    return context.settle(began, 10)
