"""What is wrong on one node: said in its log and its REST API; the others go on, and nothing is deleted."""
import copy
import os
import signal

from lab.cluster import DATA, wait_for
from lab.docker import pid_of, run

from . import case, now


def said(node):
    """What the node says of itself: reason, alarm and step, in one line."""
    words = node.rest("/patroni", timeout=1)[1].get("pgvigil", {})
    return " | ".join(str(words[k]) for k in ("reason", "alarm", "etcd") if words.get(k))


def reconfigure(node, change):
    """Stops the node, changes its configuration, starts it; gives back what restores it."""
    before = node.cluster.config_of(node)
    changed = copy.deepcopy(before)
    change(changed)
    node.stop(30)
    node.configure(changed)
    node.start()

    def restore():
        node.stop(30)
        node.configure(before)
        node.start()
    return restore


def standby_with(context, change, words, in_log):
    """A standby whose configuration is wrong says so; the primary writes on; mended, it is sync again."""
    cluster = context.up(ttl=3)
    context.load()
    primary = cluster.leader()
    victim = next(n for n in cluster.data if n is not primary)
    restore = reconfigure(victim, change)
    reason = wait_for(f"'{words}' in what {victim} says", lambda: words in said(victim) and said(victim), 60, 0.2)
    wait_for(f"'{in_log}' in the log", lambda: in_log in victim.logs(), 10, 0.2)
    assert cluster.leader() is primary and cluster.sync_standbys() == []
    context.writer.wait_writes(10)
    victim.exec("test", "-f", f"{DATA}/pg/data/PG_VERSION")
    restore()
    context.settle()
    return reason[:140]


@case("wrong-replication-password", short=True)
def wrong_password(context):
    """The standby's replication password is wrong: it does not stream, and says why."""
    def change(config):
        config["postgresql"]["authentication"]["replication"]["password"] = "wrong"
    return standby_with(context, change, "not streaming from", "password authentication failed")


@case("wrong-superuser-password")
def wrong_superuser(context):
    """The sidecar's own password is wrong: it cannot look into its Postgres, and says why."""
    def change(config):
        config["postgresql"]["authentication"]["superuser"]["password"] = "wrong"
    return standby_with(context, change, "password authentication failed", "password authentication failed")


@case("port-taken", short=True)
def port_taken(context):
    """The port of the standby's Postgres belongs to somebody else."""
    def change(config):
        config["postgresql"]["listen"] = "0.0.0.0:2379"
    return standby_with(context, change, "did not start", "Address already in use")


@case("binary-missing", short=True)
def binary_missing(context):
    """No postgres where bin_dir says."""
    def change(config):
        config["postgresql"]["bin_dir"] = "/nonexistent"
    return standby_with(context, change, "No such file or directory (postgresql.bin_dir is /nonexistent)", "/nonexistent")


@case("clone-with-wrong-password")
def clone_wrong_password(context):
    """An empty node with the wrong password cannot clone, says why, and clones once it is mended."""
    cluster = context.up(ttl=3)
    context.load()
    primary = cluster.leader()
    victim = next(n for n in cluster.data if n is not primary)
    victim.stop(30)
    victim.wipe("pg/data")
    victim.start()
    restore = reconfigure(victim, lambda c: c["postgresql"]["authentication"]["replication"].update(password="wrong"))
    victim.stop(30)
    victim.wipe("pg/data")
    victim.start()
    reason = wait_for("the reason in REST", lambda: "password authentication failed" in said(victim) and said(victim),
                      60, 0.2)
    assert "password authentication failed" in victim.logs() and cluster.leader() is primary
    context.writer.wait_writes(10)
    restore()
    context.settle()
    return reason[:140]


def in_mounts_of(node, *argv):
    return run("nsenter", "-t", str(pid_of(node.container)), "-m", *argv)


@case("data-directory-read-only", short=True)
def read_only(context):
    """The primary's data directory turns read-only and Postgres falls: the standby leads, the node says why."""
    cluster = context.up(ttl=3)
    writer = context.load()
    old = cluster.leader()
    data, volume = f"{DATA}/pg/data", f"{DATA}/pg"
    in_mounts_of(old, "mount", "--bind", volume, volume)
    in_mounts_of(old, "mount", "-o", "remount,bind,ro", volume)
    before = old.exec("ls", data)
    began = now()
    os.kill(old.postmaster(), signal.SIGKILL)
    new = cluster.wait_leader(30, other_than=old)
    writer.wait_writes(30)
    gap = writer.gap(began - 1)
    reason = wait_for("the reason in REST", lambda: "cannot be written" in said(old) and said(old), 30, 0.2)
    assert "ead-only file system" in old.logs() and cluster.leader() is new
    left = set(before.split()) - set(old.exec("ls", data).split()) - {"postmaster.pid"}
    assert not left, f"deleted: {left}"
    assert len(old.logs()) < 2000000, "the log is flooded"
    in_mounts_of(old, "mount", "-o", "remount,bind,rw", volume)
    context.settle()
    return f"gap {gap:.2f} s; {reason[:120]}"
