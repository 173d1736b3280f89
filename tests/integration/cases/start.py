"""Empty start, and what a node does with what it finds."""
import json
import os
import signal

from lab.cluster import BIN, DATA, wait_for

from . import case, now


@case("empty-start-one-late", short=True)
def one_late(context):
    """Three empty nodes, the witness late: formation waits and says so; one initdb, the other clones."""
    cluster = context.make()
    cluster.start([cluster.node("n2"), cluster.node("n1")])
    wait_for("formation says that it waits", lambda: "waiting for w" in cluster.node("n1").logs(), 30)
    began = now()
    wait_for("five seconds passed", lambda: now() - began > 5, 10, 0.1)
    words = cluster.node("n1").rest("/patroni")[1]["pgvigil"]["etcd"]
    assert "waiting for w" in words, f"REST does not say what formation waits for: {words}"
    cluster.start([cluster.witness])
    cluster.wait_healthy()
    context.load()
    context.settle()
    both = sum(n.logs().count("initdb -> done") or ("plan: bootstrap -> done" in n.logs()) for n in cluster.data)
    assert both == 1, f"{both} nodes ran initdb to its end"
    one_cluster(cluster)
    return f"one initdb; {words[:80]}"


def one_cluster(cluster):
    """Every key that a new cluster writes is there and says the same as the data."""
    leader = cluster.leader()
    identifiers = {str(n.sql("select system_identifier from pg_control_system()")[0][0]) for n in cluster.data}
    assert identifiers == {cluster.key("initialize")}, (identifiers, cluster.key("initialize"))
    assert cluster.key("leader") == leader.name, (cluster.key("leader"), leader)
    config = json.loads(cluster.key("config"))
    assert config["ttl"] == cluster.ttl and config["synchronous_mode"] is True, config
    sync = json.loads(cluster.key("sync"))
    assert sync["leader"] == leader.name and sync["sync_standby"] not in (None, "", leader.name), sync


@case("empty-start-any-order")
def any_order(context):
    """Witness, second data node, a long pause, the first one; the witness is killed in the middle and comes back."""
    cluster = context.make(ttl=3)
    n1, n2 = cluster.data
    cluster.start([cluster.witness])
    wait_for("the witness waits", lambda: "waiting for" in cluster.witness.logs(), 30)
    cluster.start([n2])
    wait_for("n2 waits for n1", lambda: "waiting for n1" in n2.logs(), 30)
    cluster.witness.kill()
    cluster.start([n1])
    wait_for("n1 waits for the witness", lambda: "waiting for w" in n1.logs(), 30)
    cluster.witness.start()
    cluster.wait_healthy()
    context.load()
    context.settle()
    one_cluster(cluster)
    return "one cluster"


@case("empty-start-data-node-restarted", short=True)
def restarted(context):
    """A data node is killed as soon as etcd has formed and started again: it does not make a second cluster."""
    cluster = context.make(ttl=3)
    cluster.start()
    n1 = cluster.data[0]
    # before that nothing of it is on a disk, and the next one rightly founds anew
    wait_for("n1 has founded etcd", lambda: "write the mark" in n1.logs(), 30, 0.02)
    n1.kill()
    n1.start()
    cluster.wait_healthy(120)
    context.load()
    context.settle()
    one_cluster(cluster)
    assert "found a new cluster" not in n1.logs().split("start: pgvigil-sidecar")[-1], "etcd was founded twice"
    return "founder killed and back"


@case("empty-start-winner-killed", short=True)
def winner_killed(context):
    """The node that runs initdb is killed in the middle; still exactly one cluster comes out of it."""
    cluster = context.make(ttl=3)
    cluster.start()

    def running_initdb():
        return next((n for n in cluster.data if n.pids(r"(^|/)initdb ")), None)
    winner = wait_for("an initdb runs", running_initdb, 60, 0.005)
    winner.kill()
    winner.start()
    cluster.wait_healthy(120)
    context.load()
    context.settle()
    one_cluster(cluster)
    return f"{winner} was killed in initdb"


def stays_down(node):
    """Longer than two looks at the data directory: none of them is taken for leave to start."""
    began = now()

    def look():
        assert node.postmaster() is None, f"Postgres was started on {node}"
        return now() - began > 12
    wait_for("two looks passed", look, 20, 0.05)


@case("foreign-system-identifier", short=True)
def foreign(context):
    """A data directory of another cluster stays out, says why, and is not touched."""
    cluster = context.up(ttl=3)
    primary = cluster.leader()
    victim = next(n for n in cluster.data if n is not primary)
    victim.stop(30)
    victim.wipe("pg/data")
    victim.on_volume(f"initdb -D {DATA}/pg/data -U postgres")
    victim.start()
    reason = wait_for("the reason in REST", lambda: "another cluster" in
                      victim.rest("/patroni", timeout=1)[1].get("pgvigil", {}).get("reason", "") and
                      victim.rest("/patroni")[1]["pgvigil"]["reason"], 40)
    assert "another cluster" in victim.logs()
    stays_down(victim)
    victim.exec("test", "-f", "/var/lib/pgvigil/pg/data/PG_VERSION")
    context.load()
    context.settle(sync=False)
    return reason[:90]


def diverge(context, postgresql=None, before=lambda cluster: None):
    """A primary that has commits of its own is killed while its standby is cut off; it comes back and has diverged.
    before(cluster) is called on the healthy cluster."""
    cluster = context.up(ttl=3, dcs={"postgresql": postgresql or {}})
    before(cluster)
    writer = context.load()
    old = cluster.leader()
    standby = next(n for n in cluster.data if n is not old)
    old.sql("create table lonely(n int)")
    standby.cut_ports([old], [5432])   # what the kernels hold of the rows is lost with the connection
    for _ in range(20):
        old.sql("insert into lonely values (1)", options="-c synchronous_commit=local")
    os.kill(old.postmaster(), signal.SIGKILL)
    cluster.wait_leader(40, other_than=old)
    standby.heal()
    writer.wait_writes(40)
    return cluster, old


@case("diverged-old-primary", short=True)
def diverged(context):
    """Local-only commits on an old primary: pg_rewind brings it back; they are gone, nothing acknowledged is."""
    _, old = diverge(context, {"use_pg_rewind": True})
    context.settle()
    assert old.sql("select count(*) from lonely")[0][0] < 20, "the old primary was not rewound"
    return "rewound"


@case("diverged-without-rewind", short=True)
def diverged_stays_out(context):
    """pg_rewind is not allowed, nor a clone: the old primary stays out, says why, and keeps its data; reinit mends it."""
    cluster, old = diverge(context, {"use_pg_rewind": False})
    reason = wait_for("the reason in REST", lambda: "use_pg_rewind is off" in said(old) and said(old), 40)
    assert reason in old.logs() and cluster.leader() is not old
    stays_down(old)
    old.exec("test", "-f", f"{DATA}/pg/data/PG_VERSION")
    status, body = old.rest("/reinitialize", "POST", {}, timeout=30)
    assert status == 200, (status, body)
    context.settle()
    assert old.sql("select count(*) from lonely")[0][0] < 20, "the old primary was not cloned"
    return reason[:110]


@case("diverged-cloned-again")
def diverged_cloned(context):
    """pg_rewind is not allowed, but a clone is: the old primary is cloned again."""
    _, old = diverge(context, {"use_pg_rewind": False, "remove_data_directory_on_diverged_timelines": True})
    context.settle()
    assert "base backup" in old.logs() and old.sql("select count(*) from lonely")[0][0] < 20
    return "cloned again"


@case("diverged-rewind-fails")
def diverged_rewind_fails(context):
    """pg_rewind fails (its program is gone): the old primary stays out and says so; with leave to clone, it clones."""
    def break_rewind(cluster):
        for node in cluster.data:
            node.exec("chmod", "a-x", f"{BIN}/pg_rewind", user="root")
    cluster, old = diverge(context, before=break_rewind)
    reason = wait_for("the reason in REST", lambda: "pg_rewind failed" in said(old) and said(old), 60)
    stays_down(old)
    old.exec("test", "-f", f"{DATA}/pg/data/PG_VERSION")
    leader = cluster.leader()
    status, body = leader.rest("/config", "PATCH", {"postgresql": {"remove_data_directory_on_rewind_failure": True}})
    assert status == 200, (status, body)
    context.settle()
    assert old.sql("select count(*) from lonely")[0][0] < 20, "the old primary was not cloned"
    return reason[:110]


def said(node):
    return node.rest("/patroni", timeout=1)[1].get("pgvigil", {}).get("reason", "")
