"""Empty start, and what a node does with what it finds."""
import json
import signal

from lab.cluster import wait_for

from . import case, now


@case("empty-start-one-late", short=True)
def one_late(context):
    """Three empty nodes, the witness late: formation waits and says so; one initdb, the other clones."""
    cluster = context.make()
    cluster.start([cluster.node("n2"), cluster.node("n1")])
    wait_for("formation says that it waits", lambda: "w" in json.dumps(cluster.node("n1").rest("/pgvigil/etcd")[1]), 30)
    began = now()
    wait_for("five seconds passed", lambda: now() - began > 5, 10, 0.1)
    assert "waiting" in cluster.node("n1").logs(), "the log does not say what formation waits for"
    cluster.start([cluster.witness])
    cluster.wait_healthy()
    context.load()
    context.settle()
    both = sum(n.logs().count("initdb -> done") or ("plan: bootstrap -> done" in n.logs()) for n in cluster.data)
    assert both == 1, f"{both} nodes ran initdb to its end"
    assert json.loads(cluster.key("config"))["ttl"] == 10 and cluster.key("initialize").isdigit()
    return "one initdb"


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
    idents = {n.sql("select system_identifier from pg_control_system()")[0][0] for n in cluster.data}
    assert len(idents) == 1 and str(idents.pop()) == cluster.key("initialize")
    return f"{winner} was killed in initdb"


@case("foreign-system-identifier", short=True)
def foreign(context):
    """A data directory of another cluster stays out, says why, and is not touched."""
    cluster = context.up(ttl=3)
    primary = cluster.leader()
    victim = next(n for n in cluster.data if n is not primary)
    victim.stop(30)
    victim.wipe("pg/data")
    from lab.docker import run
    run("docker", "run", "--rm", "--user", "postgres", "--entrypoint", "initdb", "-v",
        f"{victim.volume}:/var/lib/pgvigil", cluster.image, "-D", "/var/lib/pgvigil/pg/data", "-U", "postgres")
    victim.start()
    reason = wait_for("the reason in REST", lambda: "another cluster" in
                      victim.rest("/patroni", timeout=1)[1].get("pgvigil", {}).get("reason", "") and
                      victim.rest("/patroni")[1]["pgvigil"]["reason"], 40)
    assert "another cluster" in victim.logs()
    victim.exec("test", "-f", "/var/lib/pgvigil/pg/data/PG_VERSION")
    context.load()
    context.settle(sync=False)
    return reason[:90]


@case("diverged-old-primary", short=True)
def diverged(context):
    """Local-only commits on an old primary: pg_rewind brings it back; they are gone, nothing acknowledged is."""
    cluster = context.up(ttl=3)
    writer = context.load()
    old = cluster.leader()
    standby = next(n for n in cluster.data if n is not old)
    old.sql("create table lonely(n int)")
    standby.cut_ports([old], [5432])   # what the kernels hold of the rows is lost with the connection
    for _ in range(20):
        old.sql("insert into lonely values (1)", options="-c synchronous_commit=local")
    import os
    os.kill(old.postmaster(), signal.SIGKILL)
    cluster.wait_leader(40, other_than=old)
    standby.heal()
    writer.wait_writes(40)
    context.settle()
    assert old.sql("select count(*) from lonely")[0][0] < 20, "the old primary was not rewound"
    return "rewound"
