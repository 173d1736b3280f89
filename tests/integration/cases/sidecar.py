"""The sidecar, the guard and the lease (L3, L5, L7, G1, G3)."""
import base64
import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request

import psycopg2

from lab.cluster import BIN, DATA, wait_for
from lab.docker import docker, pid_of

from . import case, now, unharmed, within
from .pinned import SideBySide

SIDECAR = r"^\S*pgvigil-sidecar "   # not its supervisor, which has the same words behind --


def sidecar_restarted(context, ttl):
    cluster = context.up(ttl=ttl)
    writer = context.load()
    primary = cluster.leader()
    postmaster = primary.postmaster()
    timeline = primary.sql("select timeline_id from pg_control_checkpoint()")
    began = now()
    assert primary.signal(SIDECAR, signal.SIGKILL) >= 1
    wait_for("the restarted sidecar leads", lambda: primary.rest("/primary")[0] == 200, 15)
    # longer than the ttl: the adopted lease is renewed
    wait_for("two ttl passed", lambda: now() - began > 2 * cluster.ttl, 3 * cluster.ttl, 0.2)
    words = unharmed(writer, primary, postmaster, began, now() - 0.1)
    assert context.settle() is primary
    assert primary.sql("select timeline_id from pg_control_checkpoint()") == timeline
    return f"postmaster {postmaster} untouched, no failed write, {words}"


@case("sidecar-restarted", short=True)
def sidecar_restarted_10(context):
    """Sidecar of the primary killed, restarted by the supervisor: no failover, no restart, no failed write."""
    return sidecar_restarted(context, 10)


@case("sidecar-restarted-ttl3")
def sidecar_restarted_3(context):
    """The same at ttl 3."""
    return sidecar_restarted(context, 3)


def no_overlap(context, hurt, ttl, bound, mend):
    """Hurts the primary's control and shows that the old primary's last commit, at any level, came before the new
    primary's first, also when it is mended and back."""
    cluster = context.up(ttl=ttl)
    writer = context.load()
    old = cluster.leader()
    other = next(n for n in cluster.data if n is not old)
    both = SideBySide(context, old, other)
    began = now()
    hurt(old)
    try:
        wait_for("the standby is primary", lambda: other.sql("select 1 where not pg_is_in_recovery()"), bound + 20)
        writer.wait_writes(30)
        wait_for(f"{other} takes local commits", lambda: both.new.acks, 10)
    finally:
        mend(old)
    gap = writer.gap(began - 1)
    context.settle()
    return f"{within('write gap', gap, bound)}, {both.judge()}"


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


def ask_etcd(cluster, path, **body):
    request = urllib.request.Request(f"http://{cluster.witness.ip}:2379{path}", data=json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=2) as answer:
        return json.load(answer)


def record(cluster, name, **more):
    """{value, lease, create_revision, mod_revision, version} of a key; None when there is none."""
    wanted = base64.b64encode(f"/service/demo/{name}".encode()).decode()
    kvs = ask_etcd(cluster, "/v3/kv/range", key=wanted, **more).get("kvs")
    return {**kvs[0], "value": base64.b64decode(kvs[0]["value"]).decode()} if kvs else None


def given_up(cluster, lease, revision):
    """How a holder's lease was over when the key was taken at the revision, asked afterwards; None: it was not."""
    marked = json.loads(record(cluster, "pgvigil/release", revision=str(int(revision) - 1))["value"])
    if marked.get("released") and str(marked["lease"]) == lease:
        return "was marked as released"
    left = int(ask_etcd(cluster, "/v3/lease/timetolive", ID=lease).get("TTL", 0))
    return "was gone" if left == -1 else None


@case("leader-key-deleted", short=True)
def leader_key_deleted(context):
    """The leader key deleted by hand (L7): nobody else takes it while the former lease holds; no overlap."""
    cluster = context.up(ttl=3)
    context.load()
    old = cluster.leader()
    other = next(n for n in cluster.data if n is not old)
    both = SideBySide(context, old, other)
    former = record(cluster, "leader")
    began = now()
    cluster.etcd("del", "/service/demo/leader")
    key = wait_for("somebody leads again", lambda: record(cluster, "leader"), 30, 0.002)
    took, how = now() - began, given_up(cluster, former["lease"], key["create_revision"])
    assert key["create_revision"] != former["create_revision"], "the key was not deleted"
    leader = context.settle()
    if leader is other:
        assert how, f"{other} took the key while the former lease held"
        return f"{leader} leads; key after {took:.2f} s, the former lease {how}; {both.judge()}"
    both.stop()
    assert not both.new.acks, f"{other} accepted writes, {leader} leads"
    return f"{leader} leads as before; key after {took:.2f} s"


@case("two-of-one-name", short=True)
def two_of_one_name(context):
    """A second sidecar of the primary's name: fenced in turn (L7); the same key, the same Postgres, no failed write."""
    cluster = context.up(ttl=3)
    writer = context.load()
    primary = cluster.leader()
    both = SideBySide(context, primary, next(n for n in cluster.data if n is not primary))
    before, postmaster = record(cluster, "leader"), primary.postmaster()
    started = primary.sql("select pg_postmaster_start_time()")
    began = now()
    # a port of its own, or it would end before it has seen the guard
    said = primary.exec("sh", "-c", "PGVIGIL_RESTAPI_LISTEN=127.0.0.1:8018 timeout 6 pgvigil-sidecar "
                        "/etc/pgvigil/pgvigil.yml 2>&1; true", timeout=20)
    wait_for("two ttl passed", lambda: now() - began > 6 + 2 * cluster.ttl, 30, 0.2)
    words = unharmed(writer, primary, postmaster, began, now() - 0.1)
    after = record(cluster, "leader")
    assert context.settle() is primary and not both.new.acks
    both.stop()
    fenced = primary.logs().count("another sidecar has connected -> the one before is fenced")
    assert fenced >= 1, "the guard fenced nobody"
    assert "this process ends" in said and int(after["version"]) > int(before["version"]), (said[-500:], after)
    assert (after["value"], after["create_revision"]) == (before["value"], before["create_revision"]), (before, after)
    assert primary.postmaster() == postmaster and primary.sql("select pg_postmaster_start_time()") == started
    adopted = int(after["version"]) - int(before["version"])
    return f"fenced {fenced} times, adopted {adopted} times, key and postmaster the same, no failed write, {words}"


# Run with the guard's own uid, which it asks of whoever connects; wire.py comes before it.
START_BESIDE = """
sidecar = Sidecar("second.sock")
sidecar.until(lambda: sidecar.status)
print(*sidecar.start([{program}]))
"""


def start_beside(node, lock, *program):
    """What a second guard in the node's container, with this lock file, answers to a start of the program."""
    guard = subprocess.Popen(["docker", "exec", "-u", "postgres", node.container, "sh", "-c", "rm -f /tmp/second.sock; "
                              f"exec timeout 10 pgvigil-guard --socket /tmp/second.sock --lock {lock}"],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        node.exec("sh", "-c", "while ! test -S /tmp/second.sock; do :; done", timeout=10)
        with open(os.path.join(os.path.dirname(__file__), "..", "guard", "wire.py")) as f:
            script = f.read() + START_BESIDE.format(program=", ".join(repr(p) for p in program))
        done = subprocess.run([sys.executable, "-"], input=script, capture_output=True, text=True, timeout=30,
                              cwd=f"/proc/{pid_of(node.container)}/root/tmp", user=999, group=999, extra_groups=[])
        assert done.returncode == 0, done.stderr[-500:]
        return done.stdout.strip()
    finally:
        guard.wait(20)


@case("second-guard", short=True)
def second_guard(context):
    """A second guard, told to start Postgres on the same PGDATA, does not get the lock and starts nothing (G3)."""
    cluster = context.up()
    writer = context.load()
    primary = cluster.leader()
    lock = f"{cluster.config_of(primary)['pgvigil']['state_dir']}/lock"
    postmaster, began = primary.postmaster(), now()
    with_another = start_beside(primary, "/tmp/another.lock", "/bin/sleep", "1")
    assert with_another.startswith("0"), f"a guard with a lock of its own: {with_another}"
    answer = start_beside(primary, lock, f"{BIN}/postgres", "-D", f"{DATA}/pg/data", "-p", "5433")
    assert answer.startswith("1 another guard or its child holds"), answer
    taken = primary.exec("sh", "-c", f"flock -n {lock} true && echo taken || echo held")
    assert taken == "held", "the lock is free while Postgres runs"
    fds = f"/proc/{postmaster}/fd"
    assert f"{lock}" in [os.readlink(f"{fds}/{fd}") for fd in os.listdir(fds)], "the postmaster does not hold the lock"
    unharmed(writer, primary, postmaster, began)
    context.settle()
    return answer[2:]


@case("node-frozen", short=True)
def node_frozen(context):
    """The primary's whole node is frozen past the ttl and goes on: deposed before it acknowledges anything."""
    cluster = context.up(ttl=3)
    writer = context.load()
    old = cluster.leader()
    began = now()
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
