"""Partitions: the right primary each time, no overlap, heals by itself."""
from lab.cluster import wait_for

from . import case, now, within

ETCD = (2379, 2380)


def partition(context, cut, ttl=3, moves=True, bound=None):
    """cut(cluster, primary, standby, witness) cuts something off and returns who must be healed."""
    cluster = context.up(ttl=ttl)
    writer = context.load()
    old = cluster.leader()
    standby = next(n for n in cluster.data if n is not old)
    # the raft leader elsewhere, so that the bound is that of node loss
    cluster.move_raft_leader(cluster.witness)
    began = now()
    hurt = cut(cluster, old, standby, cluster.witness)
    if moves:
        wait_for("the standby is primary", lambda: standby.rest("/primary")[0] == 200, 30)
    writer.wait_writes(30)
    # two ttl of calm with the fault in place
    wait_for("two ttl passed", lambda: now() - began > 2 * ttl + 2, 60, 0.2)
    writer.wait_writes(30)
    gap = writer.gap(began - 1)
    assert (standby if moves else old).rest("/primary")[0] == 200
    for node in hurt:
        node.heal()
    context.settle()
    return within("write gap", gap, bound if bound is not None else ttl + 1)


@case("partition-primary-from-all", short=True)
def from_all(context):
    """The primary is cut off from everything (clients too), without RST."""
    def cut(cluster, primary, standby, witness):
        primary.cut()
        return [primary]
    return partition(context, cut)


@case("partition-primary-from-all-ttl10")
def from_all_10(context):
    """The same at ttl 10."""
    def cut(cluster, primary, standby, witness):
        primary.cut()
        return [primary]
    return partition(context, cut, ttl=10)


@case("partition-primary-from-etcd", short=True)
def from_etcd(context):
    """The primary loses etcd only: its own member too, by dropping etcd's ports between the nodes and stopping its own."""
    def cut(cluster, primary, standby, witness):
        primary.cut_ports([standby, witness], ETCD)
        return [primary]
    return partition(context, cut, bound=3 + 1)


@case("partition-primary-from-standby", short=True)
def from_standby(context):
    """Only the two data nodes lose each other: the primary stays, acknowledging alone after at most ttl + 1 s."""
    def cut(cluster, primary, standby, witness):
        primary.cut([standby])
        return [primary]
    return partition(context, cut, moves=False, bound=3 + 1 + 1)


@case("partition-primary-from-witness", short=True)
def from_witness(context):
    """Primary and witness lose each other: nothing moves."""
    def cut(cluster, primary, standby, witness):
        primary.cut([witness])
        return [primary]
    return partition(context, cut, moves=False, bound=2)


@case("partition-one-way-out", short=True)
def one_way_out(context):
    """What the primary sends is lost, what is sent to it arrives."""
    def cut(cluster, primary, standby, witness):
        primary.cut([standby, witness], inbound=False)
        return [primary]
    return partition(context, cut)


@case("partition-one-way-in")
def one_way_in(context):
    """What is sent to the primary is lost, what it sends arrives."""
    def cut(cluster, primary, standby, witness):
        primary.cut([standby, witness], outbound=False)
        return [primary]
    return partition(context, cut)
