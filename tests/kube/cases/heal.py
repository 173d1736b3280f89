"""What is killed, and what heals by itself."""
from kubelab.cluster import wait_for
from kubelab.release import container_status

from . import case


@case("install", short=True)
def install(context):
    """helm install with an image whose STOPSIGNAL is SIGINT, and helm test."""
    release, primary = context.up()
    out = release.helm("test", release.name, "--timeout", "90s", timeout=120)
    assert "Succeeded" in out, out
    assert release.labelled("replica"), "no pod has the role of a replica"
    return f"primary {primary}"


@case("postmaster-killed", short=True, both=True)
def postmaster_killed(context):
    """SIGKILL to the primary's postmaster: the standby takes over, the old primary comes back as standby."""
    release, primary = context.up()
    writer = context.load()
    began = writer.now()
    release.kill_postmaster(primary)
    release.wait_primary(other_than=primary)
    return context.settle(began)


@case("tls", **{"tls.mode": "make", "storage.wal.size": "1Gi"})
def tls(context):
    """Everything by TLS, with certificates that the controller makes, and pg_wal on its own volume: helm test, takeover, rewind."""
    release, _ = context.up()
    out = release.helm("test", release.name, "--timeout", "90s", timeout=120)
    assert "Succeeded" in out, out
    assert release.sql("select count(*) from pg_stat_ssl join pg_stat_replication using (pid) where ssl") == ["1"], \
        "the standby streams without TLS"
    return postmaster_killed(context)


def container_killed(context, container, moves):
    """Its first process is the guard: with it everything in the container dies."""
    release, primary = context.up()
    writer = context.load()
    pod = release.get("pod", primary)
    status = container_status(pod, container)
    began = writer.now()
    context.machine.container_task(pod["spec"]["nodeName"], status, "kill", "-a", "-s", "SIGKILL")
    wait_for(f"container {container} of {primary} to be started again",
             lambda: container_status(release.get("pod", primary), container)["restartCount"] > status["restartCount"], 60)
    return context.settle(began, moves=moves)


@case("postgres-container-killed", own=True)
def postgres_container_killed(context):
    """The primary's container `postgres` dies as a whole."""
    return container_killed(context, "postgres", moves=None)


@case("sidecar-container-killed", own=True)
def sidecar_container_killed(context):
    """The primary's container `sidecar` dies as a whole: Postgres goes on, or is handed over in order."""
    return container_killed(context, "sidecar", moves=None)


@case("etcd-container-killed", own=True)
def etcd_container_killed(context):
    """The container `etcd` of the primary's pod dies as a whole."""
    return container_killed(context, "etcd", moves=None)


@case("primary-pod-deleted", short=True, both=True)
def primary_pod_deleted(context):
    """The primary's pod is deleted: handed over in order; made anew, it follows."""
    release, primary = context.up()
    writer = context.load()
    began = writer.now()
    release.kubectl("delete", "pod", primary, "--wait=false")
    release.wait_primary(other_than=primary)
    return context.settle(began)


@case("primary-pod-deleted-by-force")
def primary_pod_deleted_by_force(context):
    """Force-deleted and made anew on the same node, whose lock keeps the two from one volume."""
    release, primary = context.up()
    writer = context.load()
    began = writer.now()
    release.kubectl("delete", "pod", primary, "--force", "--grace-period=0")
    release.wait_primary(other_than=primary)
    return context.settle(began)


@case("witness-deleted")
def witness_deleted(context):
    """The witness' pod is deleted: nobody notices, and its successor is a voter again by itself."""
    release, _ = context.up()
    writer = context.load()
    began = writer.now()
    old = release.pods("witness")[0]["metadata"]["name"]
    release.kubectl("delete", "pod", old, "--wait=false")
    wait_for("another witness", lambda: all(p["metadata"]["name"] != old for p in release.pods("witness")), 60)
    return context.settle(began, 1, moves=0)


@case("both-data-pods-deleted")
def both_data_pods_deleted(context):
    """Both data pods are deleted at once: the cluster comes back with all its rows."""
    release, _ = context.up()
    writer = context.load()
    began = writer.now()
    release.kubectl("delete", "pod", *(p["metadata"]["name"] for p in release.pods("data")), "--wait=false")
    return context.settle(began, 30, moves=None)


@case("drain", short=True, both=True)
def drain(context):
    """The primary's node is drained: handed over; the pod comes back when the node does."""
    release, primary = context.up()
    writer = context.load()
    node = release.node_of(primary)
    began = writer.now()
    try:
        release.kubectl("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=120s", timeout=150)
        release.wait_primary(other_than=primary)
    finally:
        release.kubectl("uncordon", node)
    return context.settle(began)


@case("uninstall", short=True)
def uninstall(context):
    """Uninstalled and installed again on the same volumes: it comes back with its data."""
    release, primary = context.up()
    release.sql("create table if not exists kept as select 42 as answer", primary)
    release.uninstall()
    wait_for("the pods to be gone", lambda: not release.pods(), 120)
    assert len(release.get("pvc")["items"]) == 4, "the volumes did not stay"
    release.install(**release.values)
    primary = release.wait_healthy(180)
    assert release.sql("select answer from kept", primary) == ["42"]
    release.sql("drop table kept", primary)
    return f"primary {primary}"
