"""etcd away everywhere, with and without the two ways round the lease: failsafe_mode (L6) and pause (L8)."""
import json
import signal

from lab.cluster import wait_for

from . import case, now, unharmed, within
from .sidecar import SIDECAR, freeze_supervisor_and_kill, thaw_supervisor

ETCD = r"(^|/)etcd --"


def freeze_etcd(cluster):
    for node in cluster.nodes:
        node.signal(ETCD, signal.SIGSTOP)
    return now()


def thaw_etcd(cluster):
    for node in cluster.nodes:
        node.signal(ETCD, signal.SIGCONT)


def wait_until(at):
    wait_for("the time has passed", lambda: now() > at, at - now() + 20, 0.2)


def other_than(cluster, primary):
    return next(n for n in cluster.data if n is not primary)


def metric(node, name):
    line = next(li for li in node.rest("/metrics")[1].splitlines() if li.startswith(name + "{"))
    return float(line.split()[-1])


def wait_failsafe(cluster):
    """Until /failsafe names every data node with its address."""
    wanted = {n.name: f"http://{n.ip}:8008/patroni" for n in cluster.data}
    wait_for("/failsafe names all", lambda: json.loads(cluster.key("failsafe") or "{}") == wanted, 15, 0.2)


def pause(cluster, on=True):
    """Sets or ends the pause, and waits until it has come to effect on the leader's guard."""
    leader = cluster.wait_leader()
    status, _ = leader.rest("/config", "PATCH", {"pause": True if on else None})
    assert status == 200, status
    wait_for(f"the deadline is {'lifted' if on else 'back'}",
             lambda: bool(json.loads(cluster.key("pgvigil/release")).get("lifted")) == on, 20, 0.1)
    if on:
        wait_for("the guard says so", lambda: "runs without a deadline" in leader.logs(), 10, 0.2)


def etcd_away(context, ttl, seconds, **options):
    """etcd stands still everywhere under load; the primary, its postmaster and when it began."""
    cluster = context.up(ttl=ttl, **options)
    writer = context.load()
    primary = cluster.leader()
    return cluster, writer, primary, primary.postmaster(), seconds


def stepped_down(context, ttl, seconds, **options):
    cluster, writer, primary, _, _ = etcd_away(context, ttl, seconds, **options)
    began = freeze_etcd(cluster)
    wait_until(began + seconds)
    last = writer.last_ack()
    thaw_etcd(cluster)
    assert last < began + ttl, f"writes went on {last - began:.1f} s without etcd"
    writer.wait_writes(60)
    context.settle()
    return f"last commit {last - began:.1f} s after etcd stood still on {primary}"


@case("etcd-stopped-60s")
def etcd_stopped(context):
    """etcd stopped everywhere for 60 s, failsafe off: the primary steps down in time (L2), all comes back by itself."""
    return stepped_down(context, 10, 60)


@case("etcd-stopped-20s")
def etcd_stopped_3(context):
    """The same at ttl 3 for 20 s."""
    return stepped_down(context, 3, 20)


def failsafe(context, ttl, seconds):
    cluster, writer, primary, postmaster, _ = etcd_away(context, ttl, seconds, dcs={"failsafe_mode": True})
    standby = other_than(cluster, primary)
    wait_failsafe(cluster)
    began = freeze_etcd(cluster)
    wait_for("the primary says that failsafe holds it",
             lambda: metric(primary, "patroni_failsafe_mode_is_active") == 1, ttl + 5, 0.2)
    assert primary.rest("/failsafe")[0] == 200
    wait_until(began + seconds)
    assert primary.rest("/primary")[0] == 200 and standby.rest("/replica")[0] == 200
    assert metric(standby, "patroni_failsafe_mode_is_active") == 1
    thaw_etcd(cluster)
    wait_for("a renewal counts again", lambda: metric(primary, "patroni_failsafe_mode_is_active") == 0, 60, 0.2)
    back = now()
    wait_until(back + 2 * ttl)
    words = unharmed(writer, primary, postmaster, began, now() - 0.5)
    context.settle()
    return f"{words} in {seconds} s without etcd and after"


@case("failsafe-etcd-stopped-60s")
def failsafe_60(context):
    """etcd stopped everywhere for 60 s, failsafe on: every member acknowledges the primary, no write fails (L6)."""
    return failsafe(context, 10, 60)


@case("failsafe-etcd-stopped-20s", short=True)
def failsafe_20(context):
    """The same at ttl 3 for 20 s."""
    return failsafe(context, 3, 20)


@case("failsafe-member-silent")
def failsafe_member_silent(context):
    """etcd stopped everywhere, failsafe on, one member's REST not reachable: the primary steps down in time (L2)."""
    cluster, writer, primary, _, _ = etcd_away(context, 3, 15, dcs={"failsafe_mode": True})
    wait_failsafe(cluster)
    other_than(cluster, primary).cut_ports([primary], [8008])
    began = freeze_etcd(cluster)
    wait_until(began + 15)
    last = writer.last_ack()
    thaw_etcd(cluster)
    other_than(cluster, primary).heal()
    assert last < began + 3, f"writes went on {last - began:.1f} s without etcd and without an acknowledgement"
    writer.wait_writes(60)
    context.settle()
    return f"last commit {last - began:.1f} s after etcd stood still"


@case("failsafe-standby-restarted")
def failsafe_standby_restarted(context):
    """etcd stopped everywhere, failsafe on; the standby's sidecar is killed and restarted: it acknowledges again."""
    cluster, writer, primary, postmaster, _ = etcd_away(context, 10, 25, dcs={"failsafe_mode": True})
    standby = other_than(cluster, primary)
    wait_failsafe(cluster)
    began = freeze_etcd(cluster)
    wait_for("failsafe holds", lambda: metric(primary, "patroni_failsafe_mode_is_active") == 1, 15, 0.2)
    assert standby.signal(SIDECAR, signal.SIGKILL) >= 1
    wait_until(began + 25)
    thaw_etcd(cluster)
    words = unharmed(writer, primary, postmaster, began, now() - 0.5)
    context.settle()
    return words


@case("failsafe-cut-from-etcd")
def failsafe_cut(context):
    """The primary alone is cut off from etcd, failsafe on: the standby sees a quorum and refuses, then takes over."""
    cluster, writer, primary, _, _ = etcd_away(context, 3, 0, dcs={"failsafe_mode": True})
    wait_failsafe(cluster)
    standby = other_than(cluster, primary)
    cluster.move_raft_leader(cluster.witness)
    began = now()
    primary.cut_ports([standby, cluster.witness], [2379, 2380])
    cluster.wait_leader(30, other_than=primary)
    writer.wait_writes(30)
    gap = writer.gap(began - 1)
    primary.heal()
    words = within("write gap", gap, 2 * 3 + 2)
    context.settle()
    return words


def paused(context, ttl, seconds, **options):
    cluster, writer, primary, postmaster, _ = etcd_away(context, ttl, seconds, **options)
    if options:
        wait_failsafe(cluster)
    pause(cluster)
    began = freeze_etcd(cluster)
    wait_until(began + seconds)
    thaw_etcd(cluster)
    wait_for("the leader key is there", lambda: cluster.key("leader") == primary.name, 60, 0.5)
    wait_until(now() + 2 * ttl)
    words = unharmed(writer, primary, postmaster, began, now() - 0.5)
    pause(cluster, False)
    context.settle()
    assert cluster.leader() is primary and primary.postmaster() == postmaster
    return f"{words} in {seconds} s without etcd and after"


@case("pause-etcd-stopped-60s")
def paused_60(context):
    """etcd stopped everywhere for 60 s in pause, failsafe off: Postgres runs on as primary and takes writes (L8)."""
    return paused(context, 10, 60)


@case("pause-etcd-stopped-20s", short=True)
def paused_20(context):
    """The same at ttl 3 for 20 s."""
    return paused(context, 3, 20)


@case("failsafe-and-pause-etcd-stopped-20s")
def paused_and_failsafe(context):
    """Both ways round the lease at once, ttl 3, etcd stopped everywhere for 20 s: no write fails (L6, L8)."""
    return paused(context, 3, 20, dcs={"failsafe_mode": True})


@case("pause-sidecar-killed")
def paused_sidecar_killed(context):
    """The primary's sidecar is killed in pause for longer than the ttl: Postgres runs on, the standby does not race;
    the new sidecar takes the key anew. Then the pause ends, and L3 is in force again."""
    cluster, writer, primary, postmaster, _ = etcd_away(context, 3, 10)
    pause(cluster)
    began = now()
    freeze_supervisor_and_kill(primary)
    wait_for("the leader key is gone", lambda: cluster.key("leader") is None, 20, 0.2)
    wait_until(began + 10)
    standby = other_than(cluster, primary)
    assert standby.sql("select pg_is_in_recovery()") == [(True,)]
    thaw_supervisor(primary)
    wait_for("the new sidecar has the key", lambda: cluster.key("leader") == primary.name, 30, 0.2)
    words = unharmed(writer, primary, postmaster, began, now() - 0.5)
    pause(cluster, False)
    freeze_supervisor_and_kill(primary)
    cluster.wait_leader(30, other_than=primary)
    thaw_supervisor(primary)
    context.settle()
    return words


@case("pause-ends-while-cut-off")
def pause_ends(context):
    """The pause ends while the last leader is cut off and runs without a deadline: nobody takes the key; it comes
    back and is the leader still. A person's failover is the way out where it does not."""
    cluster, writer, primary, postmaster, _ = etcd_away(context, 3, 12)
    standby = other_than(cluster, primary)
    pause(cluster)
    began = now()
    primary.cut_ports([standby, cluster.witness], [2379, 2380, 8008])
    wait_for("the leader key is gone", lambda: "null" in str(standby.rest("/cluster")[1]) or
             not any(m["role"] == "leader" for m in standby.rest("/cluster")[1]["members"]), 20, 0.2)
    status, _ = standby.rest("/config", "PATCH", {"pause": None})
    assert status == 200, status
    wait_until(began + 12)
    reason = standby.rest("/patroni")[1]["pgvigil"]["reason"]
    assert "has not seen the pause end" in reason, reason
    assert standby.sql("select pg_is_in_recovery()") == [(True,)]
    primary.heal()
    wait_for("the leader has the key again", lambda: cluster.key("leader") == primary.name, 30, 0.2)
    words = unharmed(writer, primary, postmaster, began, now() - 0.5)
    wait_for("the lift is over", lambda: not json.loads(cluster.key("pgvigil/release")).get("lifted"), 20, 0.2)
    context.settle()
    return words
