"""Ways to lose the primary (issue table, design part 6)."""
import signal

from lab.cluster import wait_for

from . import case, now, within


@case("postmaster-killed", short=True)
def postmaster_killed(context):
    """SIGKILL to the primary's postmaster: the sync standby takes over at once, the old one comes back."""
    cluster = context.up()
    writer = context.load()
    old = cluster.leader()
    began = now()
    assert old.signal(r"postgres .*-D|postgres: .*", 0) and old.postmaster()
    import os
    os.kill(old.postmaster(), signal.SIGKILL)
    new = cluster.wait_leader(30, other_than=old)
    writer.wait_writes(30)
    gap = writer.gap(began - 1)
    context.settle()
    assert old.name in cluster.sync_standbys(), f"the old primary {old} is not synchronous again"
    assert new is cluster.leader()
    return within("write gap", gap, 1.0)


@case("switchover", short=True)
def switchover(context):
    """To a named candidate, through REST."""
    cluster = context.up()
    writer = context.load()
    old = cluster.leader()
    candidate = next(n for n in cluster.data if n is not old)
    began = now()
    status, body = old.rest("/switchover", "POST", {"leader": old.name, "candidate": candidate.name}, timeout=30)
    assert status == 200, (status, body)
    assert cluster.wait_leader(10, other_than=old) is candidate
    writer.wait_writes(30)
    gap = writer.gap(began - 1)
    context.settle()
    shutdown = wait_for("the old primary follows", lambda: old.rest("/replica")[0] == 200, 30)
    assert shutdown
    return within("write gap", gap, 1.0)


def node_stopped(context, grace):
    cluster = context.up()
    writer = context.load()
    old = cluster.leader()
    began = now()
    old.stop(grace)
    cluster.wait_leader(30, other_than=old)
    writer.wait_writes(30)
    gap = writer.gap(began - 1)
    old.start()
    context.settle()
    return within("write gap", gap, 1.0)


@case("container-stop", short=True)
def container_stop(context):
    """Container stop of the primary, grace 30 s: handed over as in a switchover."""
    return node_stopped(context, 30)


@case("container-stop-grace-10")
def container_stop_short(context):
    """The same with a grace of 10 s."""
    return node_stopped(context, 10)


def node_killed(context, ttl, raft_leader_there):
    cluster = context.up(ttl=ttl)
    writer = context.load()
    old = cluster.leader()
    bound = ttl + 1
    if raft_leader_there:
        cluster.move_raft_leader(old)
        election = 0.5 if ttl < 6 else 1.0
        bound = ttl + 2 + 2 * election
    began = now()
    old.kill()
    cluster.wait_leader(bound + 20, other_than=old)
    writer.wait_writes(30)
    gap = writer.gap(began - 1)
    old.start()
    context.settle()
    return within("write gap", gap, bound)


@case("node-killed-ttl3", short=True)
def node_killed_3(context):
    """The primary's node is gone, ttl 3, raft leader elsewhere."""
    return node_killed(context, 3, False)


@case("node-killed-ttl10")
def node_killed_10(context):
    """The primary's node is gone, ttl 10, raft leader elsewhere."""
    return node_killed(context, 10, False)


@case("node-killed-with-raft-leader-ttl3")
def node_killed_raft_3(context):
    """The primary's node and etcd's raft leader with it, ttl 3."""
    return node_killed(context, 3, True)


@case("node-killed-with-raft-leader-ttl10")
def node_killed_raft_10(context):
    """The primary's node and etcd's raft leader with it, ttl 10."""
    return node_killed(context, 10, True)
