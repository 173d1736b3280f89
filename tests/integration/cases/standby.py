"""The standby and the synchronous set (S2, S5)."""
import os
import signal
import threading

import psycopg2
from psycopg2.extras import PhysicalReplicationConnection

from lab.cluster import PASSWORDS, wait_for

from . import case, now, within


def standby_of(cluster):
    primary = cluster.leader()
    return primary, next(n for n in cluster.data if n.name in cluster.sync_standbys() and n is not primary)


@case("standby-stopped", short=True)
def standby_stopped(context):
    """Sync standby stopped in order: it leaves /sync first; writes stall for at most a second."""
    cluster = context.up()
    writer = context.load()
    primary, standby = standby_of(cluster)
    began = now()
    standby.stop(30)
    writer.wait_writes(10)
    gap = writer.gap(began - 1, now())
    assert cluster.sync_standbys() == [] and cluster.leader() is primary
    assert "ONE copy" in primary.logs(), "acknowledging with one copy is not in the log"
    standby.start()
    context.settle()
    return within("stall", gap, 1.0)


@case("standby-killed", short=True)
def standby_killed(context):
    """The standby's postmaster killed: its walsender is closed; writes stall for at most a second."""
    cluster = context.up()
    writer = context.load()
    _, standby = standby_of(cluster)
    began = now()
    os.kill(standby.postmaster(), signal.SIGKILL)
    wait_for("some writes after the kill", lambda: writer.last_ack() > began + 2.5, 20)
    gap = writer.gap(began - 1)
    context.settle()
    return within("stall", gap, 1.0)


def standby_silent(context, ttl):
    cluster = context.up(ttl=ttl)
    writer = context.load()
    primary, standby = standby_of(cluster)
    cluster.move_raft_leader(cluster.witness)
    began = now()
    standby.cut()
    wait_for("writes go on", lambda: writer.last_ack() > began + 1.5, ttl + 20)
    gap = writer.gap(began - 1)
    assert cluster.leader() is primary
    standby.heal()
    context.settle()
    return within("stall", gap, ttl + 1)


@case("standby-silent-ttl3", short=True)
def standby_silent_3(context):
    """The standby's node falls silent: writes stall for at most ttl + 1 s."""
    return standby_silent(context, 3)


@case("standby-silent-ttl10")
def standby_silent_10(context):
    """The same at ttl 10."""
    return standby_silent(context, 10)


@case("standby-lost-strict", short=True)
def standby_strict(context):
    """Strict mode: writes block without a standby, and the node says so; they go on when it is back."""
    cluster = context.up(ttl=3, dcs={"synchronous_mode_strict": True})
    writer = context.load()
    primary, standby = standby_of(cluster)
    standby.stop(30)
    began = now()
    wait_for("three ttl passed", lambda: now() - began > 9, 20, 0.2)
    assert writer.last_ack() < began + 0.5, "a commit was acknowledged with one copy in strict mode"
    words = primary.rest("/patroni")[1]
    standby.start()
    writer.wait_writes(60)
    context.settle()
    return str(words.get("pgvigil", {}).get("reason"))[:80]


def reader(context, lose):
    """A long reading transaction on the standby holds up replay while lose(old, standby) moves the leadership."""
    cluster = context.up()
    writer = context.load()
    old, standby = standby_of(cluster)
    old.sql("create table scratch as select generate_series(1, 1000) n")
    wait_for("the table on the standby", lambda: standby.sql("select count(*) from scratch"), 10)
    reading = standby.connect(options="-c statement_timeout=0")
    cursor = reading.cursor()
    cursor.execute("begin isolation level repeatable read")
    cursor.execute("select count(*) from scratch")
    old.sql("drop table scratch")   # conflicts with the reader: replay waits for it
    began = now()
    lose(old, standby)
    cluster.wait_leader(40, other_than=old)
    writer.wait_writes(40)
    gap = writer.gap(began - 1)
    reading.close()
    context.settle()
    return within("write gap", gap, 1.0)


@case("reader-blocks-replay", short=True)
def reader_failover(context):
    """A long reading transaction on the standby does not hold up the promotion after a crash."""
    return reader(context, lambda old, standby: os.kill(old.postmaster(), signal.SIGKILL))


@case("reader-blocks-switchover")
def reader_switchover(context):
    """Nor a switchover."""
    def switch(old, standby):
        status, body = old.rest("/switchover", "POST", {"leader": old.name, "candidate": standby.name}, timeout=30)
        assert status == 200, (status, body)
    return reader(context, switch)


@case("grow-with-stopped-checkpointer", short=True)
def grow(context):
    """S2: with the primary's checkpointer stopped /sync does not grow, whatever pg_stat_replication shows."""
    cluster = context.up(ttl=3)
    primary, standby = standby_of(cluster)
    standby.stop(30)
    wait_for("/sync names nobody", lambda: cluster.sync_standbys() == [], 10)
    assert primary.signal(r"postgres: .*checkpointer", signal.SIGSTOP) == 1
    try:
        standby.start()
        wait_for("the standby streams", lambda: primary.sql(
            "select 1 from pg_stat_replication where application_name = %s", standby.name), 40)
        began = now()
        wait_for("a while passed", lambda: now() - began > 6, 10, 0.2)
        assert cluster.sync_standbys() == [], "grew on a flag that backends do not obey"
    finally:
        primary.signal(r"postgres: .*checkpointer", signal.SIGCONT)
    context.load()
    context.settle()
    return "grew only after the checkpointer went on"


class Mute:
    """Streams in a member's place, in its slot and under its name, answers, and never says that it has flushed more."""

    def __init__(self, primary, standby):
        # psycopg2 itself says that all is flushed where what was said covers the last message: it never does here.
        start = primary.sql("select (pg_current_wal_flush_lsn() - '0/0')::bigint - 64")[0][0]
        self.flushed = start - 1
        self.connection = psycopg2.connect(
            host=primary.ip, user="replicator", password=PASSWORDS["replicator"], application_name=standby.name,
            connection_factory=PhysicalReplicationConnection)
        self.cursor = self.connection.cursor()
        self.cursor.start_replication(slot_name=standby.name, start_lsn=start)
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._stream, daemon=True)
        self.thread.start()

    def _stream(self):
        written = self.flushed
        while not self.ending.is_set():
            message = self.cursor.read_message()
            if message is not None:
                written = max(written, message.data_start + len(message.payload))
                continue
            if written > self.flushed:
                self.cursor.send_feedback(write_lsn=written, flush_lsn=self.flushed, apply_lsn=self.flushed,
                                          force=True)
            self.ending.wait(0.1)

    def stop(self):
        self.ending.set()
        self.thread.join(10)
        self.connection.close()


@case("standby-does-not-flush")
def does_not_flush(context):
    """What streams in the standby's slot answers and never flushes: it is tried later and later, and that is said."""
    cluster = context.up(ttl=3)
    primary, standby = standby_of(cluster)
    # The startup process does not ask for another walreceiver while it is stopped.
    assert standby.signal(r"postgres: .*startup", signal.SIGSTOP) == 1
    assert standby.signal(r"postgres: .*walreceiver", signal.SIGTERM) == 1
    wait_for("/sync names nobody", lambda: cluster.sync_standbys() == [], 10)
    writer = context.load()
    mute = Mute(primary, standby)
    began = now()
    try:
        said = wait_for("it is said why", lambda: [w for w in [primary.rest("/patroni")[1]["pgvigil"]["reason"]]
                                                   if "did not confirm in time (3 in a row)" in w], 60)[0]
        tries = now() - began  # each up to three seconds long; pauses of 2 and 4 s, then one of 8 s
        assert tries > 6, f"three tries within {tries:.1f} s"
        quiet = now() + 0.3
        wait_for("six seconds passed", lambda: now() - quiet > 6, 10, 0.2)
        stall = within("stall between the tries", writer.gap(quiet, now()), 0.7)
    finally:
        mute.stop()
        standby.signal(r"postgres: .*startup", signal.SIGCONT)
    cluster.wait_sync(60, standby=standby)
    context.settle()
    return f"three tries in {tries:.1f} s, {stall}; {said[:60]}"


POSTGRES = r"^(\S*/)?postgres(:| )"
PAGES = ("/liveness", "/primary", "/patroni", "/metrics")


def answers_while_stopped(node, seconds):
    """Each page of a node whose Postgres processes all stand still; (status by page, the slowest answer)."""
    assert node.signal(POSTGRES, signal.SIGSTOP) > 5
    try:
        began, slowest, seen = now(), 0.0, {}
        while now() - began < seconds:
            for page in PAGES:
                asked = now()
                seen.setdefault(page, set()).add(node.rest(page, timeout=5)[0])
                slowest = max(slowest, now() - asked)
    finally:
        node.signal(POSTGRES, signal.SIGCONT)
    return seen, slowest


@case("rest-while-postgres-hangs")
def rest_while_hanging(context):
    """All of Postgres stands still, first on the standby, then on the primary: REST answers from memory."""
    cluster = context.up()
    writer = context.load()
    primary, standby = standby_of(cluster)
    postmaster, began = primary.postmaster(), now()
    words = []
    for node, status in ((standby, 503), (primary, 200)):
        seen, slowest = answers_while_stopped(node, 5)
        words.append(f"{node}: {within('slowest answer', slowest, 1.0)}")
        assert seen == {page: {status if page == "/primary" else 200} for page in PAGES}, (node, seen)
        writer.wait_writes(30)
        cluster.wait_sync(60)
    assert cluster.leader() is primary and primary.postmaster() == postmaster
    context.settle()
    return f"{', '.join(words)}, write gap {writer.gap(began):.1f} s"
