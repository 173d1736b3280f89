"""Three data nodes (design part 4): only members of /sync race, the third follows, the set is refilled."""
from lab.cluster import wait_for

from . import case, now, within


def up_three(context, ttl=3):
    """Primary, sync standby and a third one that streams and is not in /sync."""
    cluster = context.up(data=3, ttl=ttl)
    primary = cluster.leader()
    wait_for("two standbys stream", lambda: len(streaming(primary)) == 2, 60, 0.2)
    sync = cluster.node(cluster.sync_standbys()[0])
    third = next(n for n in cluster.data if n not in (primary, sync))
    return cluster, primary, sync, third


def streaming(primary):
    return sorted(r[0] for r in primary.sql(
        "select application_name from pg_stat_replication where state = 'streaming'"))


def led(node):
    """Whether the node's log tells of a promotion."""
    return "pg_promote" in node.logs() or "plan: promote" in node.logs()


@case("three-clonefrom")
def clone_from(context):
    """A member with the tag clonefrom serves the base backup of another; the leader is the upstream all the same."""
    def edit(node, config):
        if node.name == "n3":
            config["tags"] = {"clonefrom": True}

    cluster = context.up(data=3, ttl=3, edit=edit)
    primary = cluster.leader()
    wait_for("two standbys stream", lambda: len(streaming(primary)) == 2, 60, 0.2)
    context.load()
    if primary.name == "n3":
        status, body = primary.rest("/switchover", "POST", {"leader": "n3"}, timeout=30)
        assert status == 200, (status, body)
        primary = cluster.wait_leader(30, other_than=primary)
    other = next(n for n in cluster.data if n is not primary and n.name != "n3")
    wait_for("n3 streams", lambda: "n3" in streaming(primary), 60, 0.2)
    status, body = other.rest("/reinitialize", "POST", {}, timeout=30)
    assert status == 200, (status, body)
    wait_for("a clone from n3", lambda: "clone: basebackup from n3" in other.logs(), 30, 0.2)
    wait_for(f"{other} streams from {primary}", lambda: other.name in streaming(primary), 60, 0.2)
    context.settle()
    return f"{other} was cloned from n3 and follows {primary}"


@case("three-primary-lost", short=True)
def primary_lost(context):
    """Three data nodes, the primary's is lost: the sync standby leads, the third follows and fills the set."""
    cluster, old, sync, third = up_three(context)
    writer = context.load()
    cluster.move_raft_leader(cluster.witness)
    began = now()
    old.kill()
    new = cluster.wait_leader(30, other_than=old)
    assert new is sync, f"{new} leads, but /sync named {sync}"
    writer.wait_writes(30)
    gap = writer.gap(began - 1)
    cluster.wait_sync(60, standby=third)
    wait_for(f"{third} follows {new}", lambda: streaming(new) == [third.name], 30)
    assert third.sql("select timeline_id from pg_control_checkpoint()") is not None
    old.start()
    wait_for(f"{old} is back", lambda: old.name in streaming(new), 60, 0.2)
    context.settle()
    return within("write gap", gap, 3 + 1)


@case("three-standby-lost")
def standby_lost(context):
    """Three data nodes, the sync standby's is lost: the third takes its place in /sync."""
    cluster, primary, sync, third = up_three(context)
    writer = context.load()
    cluster.move_raft_leader(cluster.witness)
    began = now()
    sync.kill()
    wait_for("writes go on", lambda: writer.last_ack() > began + 1.5, 30)
    gap = writer.gap(began - 1)
    cluster.wait_sync(60, standby=third)
    assert cluster.leader() is primary
    sync.start()
    wait_for(f"{sync} is back", lambda: sync.name in streaming(primary), 60, 0.2)
    assert cluster.sync_standbys() == [third.name], f"the set holds {cluster.sync_standbys()}"
    context.settle()
    return within("stall", gap, 3 + 1)  # S5: of a lost node the last packet may be lost as well


@case("three-both-lost")
def both_lost(context):
    """Primary and sync standby lost: the third does not race, and says why; with the sync standby back it goes on."""
    cluster, primary, sync, third = up_three(context)
    n3 = cluster.node("n3")
    if third is n3:  # without an etcd member: the other two would take the quorum with them
        sync.stop(30)
        cluster.wait_sync(60, standby=n3)
        sync.start()
        sync, third = n3, sync
        wait_for("two standbys stream", lambda: len(streaming(primary)) == 2, 60, 0.2)
        wait_for("three voters", lambda: len(cluster.voters_started()) == 3, 60, 0.3)
    writer = context.load()
    cluster.move_raft_leader(cluster.witness)
    assert cluster.sync_standbys() == [sync.name]
    primary.kill()  # first: it would else have dropped the standby from /sync, and only itself may lead then
    sync.kill()
    began = now()
    wait_for("three ttl passed", lambda: now() - began > 10, 20, 0.2)
    assert writer.last_ack() < began + 0.2 and cluster.leader() is None and cluster.key("leader") is None
    reason = third.rest("/patroni")[1].get("pgvigil", {}).get("reason", "")
    assert "/sync does not name" in reason, reason
    sync.start()
    new = cluster.wait_leader(60)
    assert new is sync, f"{new} leads, but /sync named {sync}"
    cluster.wait_sync(60, standby=third)
    primary.start()
    wait_for(f"{primary} is back", lambda: primary.name in streaming(new), 60, 0.2)
    context.settle()
    return f"{third} waited: {reason[:80]}"
