"""Orders of settings, of persons and of strangers that must not cost a commit (S1, S2, S7, part 4)."""
import signal
import threading

from lab.cluster import PASSWORDS, wait_for

from . import case, now
from .three import streaming, up_three


class Strangers:
    """pg_receivewal and a slow base backup of the primary, under an application_name or their own."""

    def __init__(self, primary, name=None):
        self.primary = primary
        login = f"host={primary.ip} user=replicator password={PASSWORDS['replicator']}"
        login += f" application_name={name}" if name else ""
        wal, base = "/tmp/receivewal", "/tmp/basebackup"
        self.threads = [threading.Thread(target=lambda c=command: primary.exec("sh", "-c", c, timeout=90, check=False),
                                         daemon=True)
                        for command in (f"mkdir -p {wal}; timeout 60 pg_receivewal -D {wal} --synchronous -d '{login}'",
                                        f"timeout 60 pg_basebackup -D {base} -c fast -r 1M -X stream -d '{login}'")]
        for thread in self.threads:
            thread.start()

    def end(self):
        self.primary.signal(r"^\S*(pg_receivewal|pg_basebackup) ", signal.SIGTERM)
        for thread in self.threads:
            thread.join(90)


def walsenders(primary):
    """Their states, sorted; with the member's name before it where it streams from the member's slot."""
    return sorted(f"{r[0] or ''} {r[1]}".strip() for r in primary.sql(
        "select s.slot_name, r.state from pg_stat_replication r left join pg_replication_slots s on s.active_pid = r.pid "
        "and s.slot_name = r.application_name"))


def grow_beside(context, same_name):
    """The standby comes back beside pg_receivewal, a clone and the clone's WAL."""
    cluster = context.up(ttl=3)
    writer = context.load()
    primary = cluster.leader()
    standby = next(n for n in cluster.data if n is not primary)
    standby.stop(30)
    wait_for("/sync names nobody", lambda: cluster.sync_standbys() == [], 20)
    strangers = Strangers(primary, standby.name if same_name else None)
    theirs = ["backup", "streaming", "streaming"]

    def holds(what, senders):
        wait_for(what, lambda: walsenders(primary) == senders, 40)
        began = now()

        def look():
            assert cluster.sync_standbys() == [], f"/sync names {cluster.sync_standbys()} beside {walsenders(primary)}"
            return now() - began > 4
        wait_for("a while passed", look, 20, 0.2)
        assert walsenders(primary) == senders, f"{what}: only {walsenders(primary)} at the end"
        writer.wait_writes(10)
    holds("pg_receivewal and the clone stream", theirs)
    standby.start()
    both = sorted([*theirs, f"{standby.name} streaming"])
    if same_name:
        holds("and the standby beside them", both)
        strangers.end()
    cluster.wait_sync(40, standby=standby)
    assert same_name or walsenders(primary) == both, f"the set grew beside {walsenders(primary)} only"
    strangers.end()
    context.settle()
    return f"beside {', '.join(both)}: {'nobody entered /sync' if same_name else 'the standby entered /sync'}"


@case("grow-beside-receivewal-and-clone", short=True)
def beside(context):
    """pg_receivewal and a clone under the standby's name, before and beside it: /sync does not grow (S2)."""
    return grow_beside(context, True)


@case("grow-beside-receivewal-and-clone-own-names")
def beside_own_names(context):
    """The same under names of their own: they never count, and do not keep the standby out."""
    return grow_beside(context, False)


def restart(node):
    """As a person would: again, where another plan is in progress."""
    def asked():
        status, body = node.rest("/restart", "POST", {}, timeout=60)
        assert status in (200, 503), (node, status, body)
        return status == 200
    wait_for(f"a restart of {node}", asked, 60, 0.3)


@case("max-connections-lowered", short=True)
def lowered(context):
    """max_connections lowered: a standby keeps the higher value until the primary has been restarted."""
    cluster = context.up(ttl=3)
    context.load()
    primary = cluster.leader()
    standby = next(n for n in cluster.data if n is not primary)
    status, _ = primary.rest("/config", "PATCH", {"postgresql": {"parameters": {"max_connections": 50}}})
    assert status == 200, status
    wait_for("pending restart", lambda: primary.rest("/patroni")[1].get("pending_restart"), 20)
    restart(standby)
    wait_for("the standby runs", lambda: standby.name in streaming(primary), 40)
    assert standby.sql("show max_connections")[0][0] == "60", "lower than the primary's: recovery would stop"
    restart(primary)
    leader = cluster.wait_leader(40)
    for node in cluster.data:
        def value(n=node):
            if n.sql("show max_connections")[0][0] == "50":
                return True
            if n is not cluster.leader():
                restart(n)
            return False
        wait_for(f"max_connections on {node}", value, 60, 1)
    assert leader is not None
    context.settle()
    return "standby kept 60 until the primary had 50"


@case("max-connections-raised", short=True)
def raised(context):
    """max_connections raised and the primary restarted first: the standby, which cannot replay, restarts by itself and
    can take over."""
    cluster = context.up()
    context.load()
    primary = cluster.leader()
    standby = next(n for n in cluster.data if n is not primary)
    status, _ = primary.rest("/config", "PATCH", {"postgresql": {"parameters": {"max_connections": 90}}})
    assert status == 200, status
    for node in cluster.data:
        wait_for(f"pending restart on {node}", lambda n=node: n.rest("/patroni")[1].get("pending_restart"), 20)
    restart(primary)
    wait_for("the standby has restarted", lambda: standby.sql("show max_connections")[0][0] == "90", 40)
    cluster.wait_sync(60, standby=standby)
    status, body = primary.rest("/switchover", "POST", {"leader": primary.name, "candidate": standby.name}, timeout=30)
    assert status == 200, (status, body)
    context.settle()
    return "the standby followed with a restart of its own"


@case("failover-outside-sync")
def outside(context):
    """Primary and sync standby lost; a person orders a failover to the third: honoured once, logged as accepted loss."""
    cluster, primary, sync, third = up_three(context)
    n3 = cluster.node("n3")
    if third is n3:  # without an etcd member: the other two would take the quorum with them
        sync.stop(30)
        cluster.wait_sync(60, standby=n3)
        sync.start()
        sync, third = n3, sync
        wait_for("two standbys stream", lambda: len(streaming(primary)) == 2, 60, 0.2)
        wait_for("three voters", lambda: len(cluster.voters_started()) == 3, 60, 0.3)
    cluster.move_raft_leader(cluster.witness)
    primary.sql("create table kept as select 1 as n")
    wait_for("the row is there", lambda: third.sql("select n from kept"), 10)
    sync.kill()
    primary.kill()
    wait_for("the key is gone", lambda: cluster.key("leader") is None, 30)
    began = now()
    wait_for("two ttl passed", lambda: now() - began > 6, 20, 0.2)
    assert cluster.leader() is None
    status, body = third.rest("/failover", "POST", {"candidate": third.name}, timeout=30)
    wait_for(f"{third} leads", lambda: cluster.leader() is third, 40)
    assert "accept" in third.logs().lower(), "the accepted loss is not in the log"
    # /primary is 200 with the key, as Patroni's; the promotion may take a moment more
    wait_for("a commit", lambda: third.sql("insert into kept values (2) returning n"), 20)
    for node in (primary, sync):
        node.start()
    wait_for("both follow", lambda: len(streaming(third)) == 2, 90, 0.3)
    cluster.wait_sync(60)
    assert cluster.leader() is third and len(third.sql("select n from kept")) == 2
    return f"asked: {status} {str(body)[:60]}"
