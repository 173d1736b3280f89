"""Partitions: the right primary each time, no overlap of commits at any level, heals by itself."""
from lab.cluster import wait_for

from . import case, now, within
from .pinned import SideBySide

ETCD = (2379, 2380)


def partition(context, cut, ttl=3, moves=True, bound=None, raft_leader_there=False):
    """cut(cluster, primary, standby, witness) cuts something off and returns who must be healed."""
    cluster = context.up(ttl=ttl)
    writer = context.load()
    old = cluster.leader()
    standby = next(n for n in cluster.data if n is not old)
    both = SideBySide(context, old, standby) if moves else None
    if raft_leader_there:
        cluster.move_raft_leader(old, settle=False)  # before the sidecar moves it away again
    else:
        cluster.move_raft_leader(cluster.witness)
    began = now()
    hurt = cut(cluster, old, standby, cluster.witness)
    if moves:
        wait_for("the standby is primary", lambda: standby.rest("/primary")[0] == 200, 30)
        wait_for(f"{standby} takes local commits", lambda: both.new.acks, 10)
    writer.wait_writes(30)
    # two ttl of calm with the fault in place
    wait_for("two ttl passed", lambda: now() - began > 2 * ttl + 2, 60, 0.2)
    writer.wait_writes(30)
    gap = writer.gap(began - 1)
    assert (standby if moves else old).rest("/primary")[0] == 200
    for node in hurt:
        node.heal()
    context.settle()
    words = within("write gap", gap, bound if bound is not None else ttl + 1)
    return f"{words}, {both.judge()}" if moves else words


def cut_all(cluster, primary, standby, witness):
    primary.cut()
    return [primary]


@case("partition-primary-from-all", short=True)
def from_all(context):
    """The primary is cut off from everything (clients too), without RST."""
    return partition(context, cut_all)


@case("partition-primary-from-all-ttl10")
def from_all_10(context):
    """The same at ttl 10."""
    return partition(context, cut_all, ttl=10)


@case("partition-primary-with-raft-leader-ttl3")
def with_raft_leader(context):
    """The primary is cut off from everything and etcd's raft leader with it, ttl 3."""
    return partition(context, cut_all, bound=3 + 2 + 2 * 0.5, raft_leader_there=True)


@case("partition-primary-with-raft-leader-ttl10")
def with_raft_leader_10(context):
    """The same at ttl 10."""
    return partition(context, cut_all, ttl=10, bound=10 + 2 + 2 * 1.0, raft_leader_there=True)


def cut_from_etcd(cluster, primary, standby, witness):
    primary.cut_ports([standby, witness], ETCD)
    return [primary]


@case("partition-primary-from-etcd", short=True)
def from_etcd(context):
    """The primary loses etcd only: its own member is alone behind closed ports."""
    return partition(context, cut_from_etcd)


@case("partition-primary-from-etcd-ttl10")
def from_etcd_10(context):
    """The same at ttl 10."""
    return partition(context, cut_from_etcd, ttl=10)


def cut_from_standby(cluster, primary, standby, witness):
    primary.cut([standby])
    return [primary]


@case("partition-primary-from-standby", short=True)
def from_standby(context):
    """Only the two data nodes lose each other: the primary stays, acknowledging alone after at most ttl + 1 s."""
    return partition(context, cut_from_standby, moves=False)


@case("partition-primary-from-standby-ttl10")
def from_standby_10(context):
    """The same at ttl 10."""
    return partition(context, cut_from_standby, ttl=10, moves=False)


def cut_from_witness(cluster, primary, standby, witness):
    primary.cut([witness])
    return [primary]


@case("partition-primary-from-witness", short=True)
def from_witness(context):
    """Primary and witness lose each other: nothing moves."""
    return partition(context, cut_from_witness, moves=False, bound=2)


@case("partition-primary-from-witness-ttl10")
def from_witness_10(context):
    """The same at ttl 10."""
    return partition(context, cut_from_witness, ttl=10, moves=False, bound=2)


def cut_out(cluster, primary, standby, witness):
    primary.cut([standby, witness], inbound=False)
    return [primary]


@case("partition-one-way-out", short=True)
def one_way_out(context):
    """What the primary sends is lost, what is sent to it arrives."""
    return partition(context, cut_out)


@case("partition-one-way-out-ttl10")
def one_way_out_10(context):
    """The same at ttl 10."""
    return partition(context, cut_out, ttl=10)


def cut_in(cluster, primary, standby, witness):
    primary.cut([standby, witness], outbound=False)
    return [primary]


def one_way_in_bound(ttl):
    """What the primary sent before it noticed still renews its lease in etcd: the round in flight and its second
    sequence, ttl/4 and ttl/8 after the last one that was answered."""
    return ttl + ttl / 4 + ttl / 8 + 1


@case("partition-one-way-in")
def one_way_in(context):
    """What is sent to the primary is lost, what it sends arrives."""
    return partition(context, cut_in, bound=one_way_in_bound(3))


@case("partition-one-way-in-ttl10")
def one_way_in_10(context):
    """The same at ttl 10."""
    return partition(context, cut_in, ttl=10, bound=one_way_in_bound(10))
