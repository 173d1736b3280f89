"""Ways to lose the primary (issue table, design part 6)."""
import os
import re
import signal

from lab.cluster import BIN, DATA, wait_for
from lab.docker import docker

from . import case, now, within


@case("postmaster-killed", short=True)
def postmaster_killed(context):
    """SIGKILL to the primary's postmaster: the sync standby takes over at once, the old one comes back."""
    cluster = context.up()
    writer = context.load()
    old = cluster.leader()
    began = now()
    os.kill(old.postmaster(), signal.SIGKILL)
    new = cluster.wait_leader(30, other_than=old)
    writer.wait_writes(30)
    gap = writer.gap(began - 1)
    context.settle()
    assert old.name in cluster.sync_standbys(), f"the old primary {old} is not synchronous again"
    assert new is cluster.leader()
    return within("write gap", gap, 1.0)


@case("postmaster-killed-alone", short=True)
def postmaster_killed_alone(context):
    """SIGKILL to the primary's postmaster while nobody can take over: restarted in place, the key is kept."""
    cluster = context.up(ttl=3)
    primary = cluster.leader()
    standby = next(n for n in cluster.data if n is not primary)
    standby.stop(30)
    wait_for("/sync names nobody", lambda: cluster.sync_standbys() == [], 10)
    writer = context.load()
    key = key_revision(cluster)
    timeline = timeline_of(primary)
    began, former = now(), primary.postmaster()
    os.kill(former, signal.SIGKILL)
    wait_for("another postmaster", lambda: primary.postmaster() not in (None, former), 20)
    writer.wait_writes(30)
    gap = writer.gap(began - 1)
    assert cluster.wait_leader(10) is primary and key_revision(cluster) == key, "the key was given up"
    assert timeline_of(primary) == timeline, "it was promoted, not restarted"
    standby.start()
    context.settle()
    return f"gap {gap:.2f} s, restarted in place"


def key_revision(cluster):
    return re.search(r'"CreateRevision" : (\d+)', cluster.etcd("get", "/service/demo/leader", "-w", "fields")).group(1)


def timeline_of(node):
    """The timeline that a primary writes."""
    return int(node.sql("select pg_walfile_name(pg_current_wal_lsn())")[0][0][:8], 16)


def as_lsn(text):
    high, low = text.split("/")
    return int(high, 16) << 32 | int(low, 16)


def came_after_shutdown(old, new):
    """The stopped node's shutdown record lies before the new timeline's fork: the standby had it when it was promoted."""
    control = dict(line.split(":", 1) for line in
                   old.on_volume(f"{BIN}/pg_controldata -D {DATA}/pg/data").splitlines() if ":" in line)
    assert control["Database cluster state"].strip() == "shut down", control["Database cluster state"]
    record = as_lsn(control["Latest checkpoint location"].strip())
    history = new.sql("select pg_read_file('pg_wal/' || %s || '.history')", f"{timeline_of(new):08X}")[0][0]
    fork = as_lsn([line.split()[1] for line in history.splitlines() if line.strip()][-1])
    assert fork > record, f"shutdown record at {record:X}, promoted from {fork:X}"


def switched(context, body):
    cluster = context.up()
    writer = context.load()
    old = cluster.leader()
    candidate = next(n for n in cluster.data if n is not old)
    began = now()
    status, answer = old.rest("/switchover", "POST", body(old, candidate), timeout=30)
    assert status == 200 and f'over to "{candidate.name}"' in answer, (status, answer)
    assert cluster.wait_leader(10, other_than=old) is candidate
    writer.wait_writes(30)
    gap = writer.gap(began - 1)
    context.settle()
    wait_for("the old primary follows", lambda: old.rest("/replica")[0] == 200, 30)
    # with the shutdown record on both sides there is nothing to rewind, even where pg_rewind was asked
    assert old.logs().count("-> rewind") == old.logs().count("no rewind required"), f"{old} was rewound"
    return within("write gap", gap, 1.0)


@case("switchover", short=True)
def switchover(context):
    """To a named candidate, through REST."""
    return switched(context, lambda old, candidate: {"leader": old.name, "candidate": candidate.name})


@case("switchover-unnamed", short=True)
def switchover_unnamed(context):
    """To whoever is fit: the request names no candidate."""
    return switched(context, lambda old, candidate: {"leader": old.name})


def node_stopped(context, stop):
    """stop(node) ends the primary's node in order: handed over as in a switchover."""
    cluster = context.up()
    writer = context.load()
    old = cluster.leader()
    began = now()
    stop(old)
    new = cluster.wait_leader(30, other_than=old)
    writer.wait_writes(30)
    gap = writer.gap(began - 1)
    came_after_shutdown(old, new)
    assert "the guard has died" not in old.logs(), "an end in order was taken for a death"
    old.start()
    context.settle()
    return within("write gap", gap, 1.0)


def by_signal(name):
    def stop(node):
        docker("kill", "-s", name, node.container)
        wait_for(f"the end of {node}", lambda: not node.running, 30)
    return stop


@case("container-stop", short=True)
def container_stop(context):
    """Container stop of the primary, grace 30 s: handed over as in a switchover."""
    return node_stopped(context, lambda node: node.stop(30))


@case("container-stop-grace-10")
def container_stop_short(context):
    """The same with a grace of 10 s."""
    return node_stopped(context, lambda node: node.stop(10))


@case("node-sigint")
def node_sigint(context):
    """SIGINT to the primary's node, as from an image whose STOPSIGNAL is that."""
    return node_stopped(context, by_signal("INT"))


@case("node-sigquit")
def node_sigquit(context):
    """SIGQUIT to the primary's node."""
    return node_stopped(context, by_signal("QUIT"))


def node_killed(context, ttl, raft_leader_there):
    cluster = context.up(ttl=ttl)
    writer = context.load()
    old = cluster.leader()
    bound = ttl + 1
    if raft_leader_there:
        cluster.move_raft_leader(old, settle=False)  # before the sidecar moves it away again
        election = 0.5 if ttl < 6 else 1.0
        bound = ttl + 2 + 2 * election
    else:
        cluster.move_raft_leader(cluster.witness)
    began = now()
    old.cut()   # a dead node sends no FIN
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
