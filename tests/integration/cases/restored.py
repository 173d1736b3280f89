"""etcd set back or lost for good: where a person must decide (S6, E4)."""
from lab.cluster import DATA, wait_for

from . import case, now

ETCD_DATA = f"{DATA}/etcd/data"
ACCEPT = "a person must accept it"


def reason(node):
    return node.rest("/patroni", timeout=1)[1].get("pgvigil", {}).get("reason", "")


def restore(cluster, snapshot, newest):
    """What the etcd handbook says: every member from the same snapshot, as a new cluster. The standby is stopped
    before the primary, which else hands over to it: then that one has the newest data."""
    members = ",".join(f"{v.name}=http://{v.ip}:2380" for v in cluster.voters)
    packed = cluster.voters[0].exec("base64", "-w0", snapshot)
    for node in sorted(cluster.nodes, key=lambda n: (n not in cluster.data, n is newest)):
        node.stop(30)
    for node in cluster.voters:
        node.on_volume(
            f"base64 -d > {DATA}/etcd/yesterday; rm -rf {ETCD_DATA}; tool=$(command -v etcdutl || command -v etcdctl); "
            f"$tool snapshot restore {DATA}/etcd/yesterday --name={node.name} --data-dir={ETCD_DATA} "
            f"--initial-cluster={members} --initial-advertise-peer-urls=http://{node.ip}:2380 "
            f"--initial-cluster-token=restored", stdin=packed, timeout=120)


@case("etcd-restored-from-snapshot")
def restored(context):
    """etcd restored from yesterday's snapshot: nobody leads until a person accepts it (S6)."""
    cluster = context.up(ttl=3)
    first = cluster.voters[0]
    snapshot = f"{DATA}/etcd/snapshot"
    first.exec("etcdctl", f"--endpoints=http://{first.ip}:2379", "snapshot", "save", snapshot)
    writer = context.load()
    # the day goes on: another leader, another /sync
    old = cluster.leader()
    candidate = next(n for n in cluster.data if n is not old)
    status, body = old.rest("/switchover", "POST", {"leader": old.name, "candidate": candidate.name}, timeout=30)
    assert status == 200, (status, body)
    cluster.wait_sync(60, standby=old)
    writer.wait_writes(30)
    newest = cluster.leader()
    restore(cluster, snapshot, newest)
    cluster.start()
    wait_for("etcd answers", lambda: cluster.key("initialize"), 60, 0.3)
    words = wait_for("a data node says what a person must do", lambda: ACCEPT in reason(newest) and reason(newest), 60, 0.2)
    began = now()
    wait_for("three ttl passed", lambda: now() - began > 9, 20, 0.2)
    assert cluster.leader() is None and cluster.key("leader") is None, "somebody leads out of a restored etcd"
    out = newest.exec("pgvigilctl", "-c", "/etc/pgvigil/pgvigil.yml", "accept", "--force", newest.name)
    assert "accepted" in out, out
    wait_for(f"{newest} leads", lambda: cluster.leader() is newest, 60, 0.2)
    # the others only once that one is primary: their data are worth what the new leader's say
    for other in (n for n in cluster.data if n is not newest):
        other.exec("pgvigilctl", "-c", "/etc/pgvigil/pgvigil.yml", "accept", "--force", other.name)
    context.settle()
    return words[:110]


@case("quorum-lost-for-good")
def lost_for_good(context):
    """Two of three lost for good: nothing is acknowledged until a person orders recover-quorum; then it goes on."""
    cluster = context.up(ttl=3)
    writer = context.load()
    primary = cluster.leader()
    standby = next(n for n in cluster.data if n is not primary)
    primary.kill()
    cluster.witness.kill()
    began = now()
    wait_for("three ttl passed", lambda: now() - began > 9, 20, 0.2)
    assert writer.last_ack() < began + 0.5 and cluster.leader() is None
    said = wait_for("what a person must do", lambda: "recover-quorum" in standby.rest("/patroni")[1]["pgvigil"].get(
        "etcd", "") and standby.rest("/patroni")[1]["pgvigil"], 20, 0.2)
    out = standby.exec("pgvigilctl", "-c", "/etc/pgvigil/pgvigil.yml", "recover-quorum", "--force", "--member",
                       standby.name, timeout=150)
    assert "has formed a quorum" in out, out
    wait_for(f"{standby} leads", lambda: cluster.leader() is standby, 60, 0.2)
    writer.wait_writes(60)
    for node in (primary, cluster.witness):
        node.recreate(empty=True)
    wait_for("three voters again", lambda: len(cluster.voters_started()) == 3, 90, 0.5)
    cluster.wait_sync(90, standby=primary)
    context.settle()
    return said["etcd"][:110]
