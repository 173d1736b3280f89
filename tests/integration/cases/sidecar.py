"""The sidecar, the guard and the lease (L3, L5, L7, G1, G3)."""
import os
import signal
import threading
import time

import psycopg2

from lab.cluster import PASSWORDS, Timeout, wait_for

from . import case, now, within

SIDECAR = r"^\S*pgvigil-sidecar "   # not its supervisor, which has the same words behind --


def sidecar_restarted(context, ttl):
    cluster = context.up(ttl=ttl)
    writer = context.load()
    primary = cluster.leader()
    postmaster = primary.postmaster()
    failed = writer.lost_answers
    timeline = primary.sql("select timeline_id from pg_control_checkpoint()")
    began = now()
    assert primary.signal(SIDECAR, signal.SIGKILL) >= 1
    wait_for("the restarted sidecar leads", lambda: primary.rest("/primary")[0] == 200, 15)
    # longer than the ttl: the adopted lease is renewed
    wait_for("two ttl passed", lambda: now() - began > 2 * cluster.ttl, 3 * cluster.ttl, 0.2)
    assert cluster.leader() is primary, f"{cluster.leader()} leads"
    assert primary.postmaster() == postmaster, "Postgres was restarted"
    standby = next(n for n in cluster.data if n is not primary)
    context.settle()
    extra = writer.lost_answers - failed
    # the lanes that wait at the standby fail all the time; those of the primary must not
    within("gap", writer.gap(began - 1, now() - 1), 0.5)
    assert primary.sql("select timeline_id from pg_control_checkpoint()") == timeline, extra
    assert standby is not None
    return f"postmaster {postmaster} untouched"


@case("sidecar-restarted", short=True)
def sidecar_restarted_10(context):
    """Sidecar of the primary killed, restarted by the supervisor: no failover, no restart, no failed write."""
    return sidecar_restarted(context, 10)


@case("sidecar-restarted-ttl3")
def sidecar_restarted_3(context):
    """The same at ttl 3."""
    return sidecar_restarted(context, 3)


class Pinned:
    """A writer at synchronous_commit=local that stays on one node, as long as that one accepts anything."""

    def __init__(self, node):
        self.node = node
        self.acks = []
        self.ending = threading.Event()
        node.sql("create table if not exists pinned(node text, number bigint)")
        self.thread = threading.Thread(target=self._write, daemon=True)
        self.thread.start()

    def _write(self):
        number = 0
        while not self.ending.is_set():
            try:
                connection = psycopg2.connect(host=self.node.ip, user="postgres", password=PASSWORDS["postgres"],
                                              dbname="postgres", connect_timeout=2,
                                              options="-c synchronous_commit=local")
                connection.autocommit = True
                with connection.cursor() as cursor:
                    while not self.ending.is_set():
                        number += 1
                        cursor.execute("insert into pinned values (%s, %s)", (self.node.name, number))
                        self.acks.append(now())
            except psycopg2.Error:
                time.sleep(0.005)

    def stop(self):
        self.ending.set()
        self.thread.join(10)


def no_overlap(context, hurt, ttl, bound, mend=lambda node: None):
    """Hurts the primary's control and shows that the old primary's last commit, at any level, came before the new
    primary's first."""
    cluster = context.up(ttl=ttl)
    writer = context.load()
    old = cluster.leader()
    other = next(n for n in cluster.data if n is not old)
    pinned_old = Pinned(old)
    wait_for("the pinned writer writes", lambda: len(pinned_old.acks) > 100, 10)
    pinned_new = None
    began = now()
    hurt(old)
    try:
        cluster_new = wait_for("the standby is primary",
                               lambda: other.sql("select 1 where not pg_is_in_recovery()"), bound + 20)
        assert cluster_new
        writer.wait_writes(30)
        new_first = min(a.at for a in list(writer.acks) if a.node == other.name)
    finally:
        pinned_old.stop()
    assert pinned_new is None
    old_last = max(t for t in pinned_old.acks)
    mend(old)
    gap = writer.gap(began - 1)
    assert old_last < new_first, f"the old primary committed {old_last - new_first:.3f} s after the new one's first"
    context.settle()
    return f"{within('write gap', gap, bound)}, old stopped {new_first - old_last:.2f} s before the new one's first commit"


def freeze_supervisor_and_kill(node):
    """For good: the supervisor cannot restart it."""
    for pid in node.pids(r"^\S*pgvigil-guard --supervise"):
        os.kill(pid, signal.SIGSTOP)
    node.signal(SIDECAR, signal.SIGKILL)


def thaw_supervisor(node):
    for pid in node.pids(r"^\S*pgvigil-guard --supervise"):
        os.kill(pid, signal.SIGCONT)


@case("sidecar-killed-for-good", short=True)
def sidecar_killed(context):
    """Sidecar killed and not restarted: the guard ends Postgres before the lease ends; the standby takes over."""
    return no_overlap(context, freeze_supervisor_and_kill, 3, 3 + 1, thaw_supervisor)


@case("sidecar-killed-for-good-ttl10")
def sidecar_killed_10(context):
    """The same at ttl 10."""
    return no_overlap(context, freeze_supervisor_and_kill, 10, 10 + 1, thaw_supervisor)


@case("sidecar-stopped", short=True)
def sidecar_stopped(context):
    """Sidecar SIGSTOPped: the same; SIGCONT later: it finds itself deposed and follows."""
    return no_overlap(context, lambda n: n.signal(SIDECAR, signal.SIGSTOP), 3, 3 + 1,
                      lambda n: n.signal(SIDECAR, signal.SIGCONT))


@case("sidecar-stopped-ttl10")
def sidecar_stopped_10(context):
    """The same at ttl 10."""
    return no_overlap(context, lambda n: n.signal(SIDECAR, signal.SIGSTOP), 10, 10 + 1,
                      lambda n: n.signal(SIDECAR, signal.SIGCONT))


@case("orphan-backends", short=True)
def orphan_backends(context):
    """SIGKILL to the postmaster while a procedure commits in a loop: nothing of the old tree runs when the key goes."""
    cluster = context.up()
    writer = context.load()
    old = cluster.leader()
    old.sql("create table loops(n bigint)")
    old.sql("create procedure commits() language plpgsql as $$ begin loop insert into loops values (1); commit; "
            "end loop; end $$")
    busy = threading.Thread(target=lambda: _call(old), daemon=True)
    busy.start()
    wait_for("the procedure commits", lambda: old.sql("select count(*) from loops")[0][0] > 100, 10)
    before = set(old.pids(r"^postgres|/postgres "))
    began = now()
    os.kill(old.postmaster(), signal.SIGKILL)
    new = cluster.wait_leader(30, other_than=old)
    left = before & set(old.pids(r"^postgres|/postgres "))
    writer.wait_writes(30)
    gap = writer.gap(began - 1)
    assert not left, f"processes of the old tree after {new} took over: {left}"
    context.settle()
    return within("write gap", gap, 1.0)


def _call(node):
    try:
        connection = node.connect(options="-c synchronous_commit=local")
        connection.autocommit = True
        connection.cursor().execute("call commits()")
    except psycopg2.Error:
        pass


@case("backend-crash", short=True)
def backend_crash(context):
    """A crashing backend makes Postgres restart itself: no failover is needed, writes go on."""
    cluster = context.up()
    writer = context.load()
    primary = cluster.leader()
    began = now()
    victim = primary.sql("select pg_backend_pid()")
    assert victim
    backends = primary.pids(r"postgres: .*load-|postgres: .*postgres postgres .*INSERT|postgres: .*postgres postgres ")
    os.kill(backends[0], signal.SIGSEGV)
    writer.wait_writes(30)
    wait_for("the crash is over", lambda: cluster.leader() is not None and
             cluster.leader().sql("select 1 where not pg_is_in_recovery()"), 30)
    context.settle()
    return f"gap {writer.gap(began - 1):.2f} s, leader {cluster.leader()}"


@case("leader-key-deleted", short=True)
def leader_key_deleted(context):
    """The leader key deleted by hand (L7): nobody takes it while the former lease may live; one primary, no row lost."""
    cluster = context.up(ttl=3)
    writer = context.load()
    cluster.etcd("del", "/service/demo/leader")
    wait_for("somebody leads again", lambda: cluster.key("leader"), 30)
    writer.wait_writes(30)
    leader = context.settle()
    return f"{leader} leads"


@case("two-of-one-name", short=True)
def two_of_one_name(context):
    """A second process of the primary's name never takes the first one's key (L7)."""
    cluster = context.up(ttl=3)
    writer = context.load()
    primary = cluster.leader()
    before = cluster.etcd("get", "/service/demo/leader", "-w", "fields")
    began = now()
    second = primary.exec("timeout", "6", "pgvigil-sidecar", "/etc/pgvigil/pgvigil.yml", timeout=20, check=False)
    assert cluster.key("leader") is not None or second is not None
    writer.wait_writes(30)
    context.settle()
    after = cluster.etcd("get", "/service/demo/leader", "-w", "fields")
    return f"gap {writer.gap(began - 1):.2f} s, key {'unchanged' if before == after else 'moved in order'}"


@case("second-guard", short=True)
def second_guard(context):
    """A second guard on one PGDATA does not get the lock and starts nothing (G3)."""
    cluster = context.up()
    primary = cluster.leader()
    state = cluster.config_of(primary)["pgvigil"]["state_dir"]
    postmaster = primary.postmaster()
    out = primary.exec("sh", "-c", f"timeout 3 pgvigil-guard --socket /tmp/second.sock --lock {state}/lock 2>&1; true")
    assert primary.postmaster() == postmaster
    assert cluster.leader() is primary
    return out.splitlines()[0][:80] if out else "quiet"


@case("node-frozen", short=True)
def node_frozen(context):
    """The primary's whole node is frozen past the ttl and goes on: deposed before it acknowledges anything."""
    cluster = context.up(ttl=3)
    writer = context.load()
    old = cluster.leader()
    began = now()
    from lab.docker import docker
    docker("pause", old.container)
    try:
        cluster_new = next(n for n in cluster.data if n is not old)
        wait_for("the standby is primary", lambda: cluster_new.rest("/primary")[0] == 200, 20)
        writer.wait_writes(20)
        gap = writer.gap(began - 1)
    finally:
        docker("unpause", old.container)
    context.settle()
    return within("write gap", gap, 4.0)
