"""Witness, volumes, etcd, quorum, everything at once."""
import threading

from lab.cluster import wait_for

from . import case, now, unharmed


def witness_lost(context, ttl):
    cluster = context.up(ttl=ttl)
    writer = context.load()
    primary = cluster.leader()
    postmaster = primary.postmaster()
    cluster.move_raft_leader(primary, settle=False)
    began = now()
    cluster.witness.kill()
    wait_for("some seconds of writes", lambda: writer.last_ack() > began + 2 * ttl, 3 * ttl + 20, 0.2)
    wait_for("the witness is gone", lambda: len(cluster.voters_started()) == 2, 10)
    cluster.witness.recreate(empty=True)
    wait_for("three voters again", lambda: len(cluster.voters_started()) == 3, 90, 0.5)
    words = unharmed(writer, primary, postmaster, began, now() - 0.1)
    assert context.settle() is primary
    clusters = {cluster.etcd("endpoint", "status", "-w", "fields", node=n).split('"ClusterID"')[1].split()[1]
                for n in cluster.voters}
    assert len(clusters) == 1, clusters
    return f"no failed write, {words}"


@case("witness-lost-ttl3", short=True)
def witness_lost_3(context):
    """Witness dead, then back with an empty disk: no failed write, three voters by itself, one cluster."""
    return witness_lost(context, 3)


@case("witness-lost-ttl10")
def witness_lost_10(context):
    """The same at ttl 10."""
    return witness_lost(context, 10)


def volume_lost(context, folders, of_primary, ttl=3):
    cluster = context.up(ttl=ttl)
    writer = context.load()
    primary = cluster.leader()
    victim = primary if of_primary else next(n for n in cluster.data if n is not primary)
    victim.kill()
    for folder in folders:
        victim.wipe(folder)
    writer.wait_writes(30)
    wait_for("the node is gone", lambda: len(cluster.voters_started()) == 2, 10)
    victim.start()
    wait_for("three voters again", lambda: len(cluster.voters_started()) == 3, 90, 0.5)
    cluster.wait_sync(120, standby=victim)
    context.settle()
    return f"{victim} is back"


@case("etcd-data-lost", short=True)
def etcd_data_lost(context):
    """The standby's etcd data lost: it joins again as an empty member."""
    return volume_lost(context, ["etcd"], False)


@case("etcd-data-lost-primary-ttl10")
def etcd_data_lost_primary(context):
    """The primary's etcd data lost, ttl 10."""
    return volume_lost(context, ["etcd"], True, ttl=10)


@case("postgres-data-lost", short=True)
def postgres_data_lost(context):
    """The primary's Postgres data lost: it clones."""
    return volume_lost(context, ["pg/data"], True)


@case("postgres-data-lost-standby-ttl10")
def postgres_data_lost_standby(context):
    """The standby's Postgres data lost, ttl 10."""
    return volume_lost(context, ["pg/data"], False, ttl=10)


@case("both-data-lost", short=True)
def both_lost(context):
    """A node comes back with an empty volume."""
    return volume_lost(context, ["pg", "etcd"], True)


@case("both-data-lost-standby-ttl10")
def both_lost_standby(context):
    """The standby comes back with an empty volume, ttl 10."""
    return volume_lost(context, ["pg", "etcd"], False, ttl=10)


def two_lost(context, which, ttl=3):
    """which(primary, standby, witness) names the two nodes that are lost, and then come back."""
    cluster = context.up(ttl=ttl)
    writer = context.load()
    primary = cluster.leader()
    standby = next(n for n in cluster.data if n is not primary)
    lost = which(primary, standby, cluster.witness)
    for node in lost:
        node.kill()
    began = now()
    wait_for("nobody leads", lambda: cluster.leader() is None, 20)
    wait_for("two ttl passed", lambda: now() - began > 2 * ttl + 2, 40, 0.2)
    assert cluster.leader() is None, f"{cluster.leader()} leads without a quorum"
    last = writer.last_ack()
    assert last < began + ttl, f"a commit was acknowledged {last - began:.1f} s after the quorum was lost"
    left = next(n for n in [primary, standby, cluster.witness] if n not in lost)
    wait_for("the log says what is missing", lambda: "no quorum: no word of" in left.logs(), 20, 0.3)
    for node in lost:
        node.start()
    writer.wait_writes(60)
    context.settle()
    return f"last acknowledged {last - began:.1f} s after the loss"


@case("two-of-three-lost", short=True)
def standby_and_witness_lost(context):
    """Standby and witness lost: nothing is acknowledged without quorum; both back: the same cluster goes on."""
    return two_lost(context, lambda primary, standby, witness: [standby, witness])


@case("primary-and-witness-lost")
def primary_and_witness_lost(context):
    """Primary and witness lost: the standby does not lead without quorum; both back: the same cluster goes on."""
    return two_lost(context, lambda primary, standby, witness: [primary, witness])


@case("both-data-nodes-lost-ttl10")
def data_nodes_lost(context):
    """Primary and standby lost and back, ttl 10."""
    return two_lost(context, lambda primary, standby, witness: [primary, standby], ttl=10)


def all_stopped(context, how, order):
    cluster = context.up(ttl=3)
    writer = context.load()
    ident = cluster.key("initialize")
    threads = [threading.Thread(target=how, args=(n,)) for n in cluster.nodes]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for name in order:
        cluster.node(name).start()
    writer.wait_writes(120)
    context.settle()
    assert cluster.key("initialize") == ident
    return f"started as {' '.join(order)}"


@case("all-killed", short=True)
def all_killed(context):
    """All three nodes killed at once and started, witness first."""
    return all_stopped(context, lambda n: n.kill(), ["w", "n2", "n1"])


@case("all-stopped")
def all_stopped_in_order(context):
    """All three stopped at once and started, n1 first."""
    return all_stopped(context, lambda n: n.stop(30), ["n1", "n2", "w"])


@case("reinit-as-the-leader-dies", short=True)
def reinit_as_leader_dies(context):
    """A member is told to clone itself again just when the leader is lost: its data stay, and it leads."""
    cluster = context.up(ttl=3)
    writer = context.load()
    primary = cluster.leader()
    standby = next(n for n in cluster.data if n is not primary)
    status, body = primary.rest("/config", "PATCH", {"synchronous_mode": False})
    assert status == 200, (status, body)
    wait_for("/sync names nobody", lambda: not cluster.sync_standbys(), 20, 0.1)
    writer.stop()
    wait_for("every acknowledged row on the standby", lambda: not writer.missing(standby), 20, 0.2)
    primary.kill()
    status, body = standby.rest("/reinitialize", "POST", {}, timeout=10)
    assert status == 200, (status, body)
    wait_for(f"{standby} leads", lambda: cluster.leader() is standby, 30, 0.1)
    missing = writer.missing(standby)
    assert not missing, f"{len(missing)} acknowledged rows are missing: {missing[:5]}"
    log = standby.logs()
    said = [line for line in log.splitlines() if "reach the leader" in line and "stopped at" in line]
    assert said, "the log does not say that the leader was asked in vain"
    assert "the order to clone it again is dropped" in log and " removing " not in log
    return said[0].split("stopped at ")[1][:110]
