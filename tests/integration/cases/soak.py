"""What takes over three minutes: make soak."""
import os

from lab.cluster import wait_for

from . import case
from .sidecar import SIDECAR

GUARD = r"^\S*pgvigil-guard .*--socket"
TURNS = 20
WARM = 4               # every kind of buffer has been used by then, on both nodes
MEMORY_MORE_KB = 512   # what pages that are touched late may add
FILES_MORE = 2         # a connection that is open right now
WAL_KEPT = 10          # segments: wal_keep_size, and two


def private_kb(pid):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return sum(int(line.split()[1]) for line in f if line.startswith("Private_Dirty"))


def footprint(cluster):
    """{(node, program): (private dirty kB, open files)}"""
    found = {}
    for node in cluster.nodes:
        for program, pattern in (("sidecar", SIDECAR), ("guard", GUARD)):
            for pid in node.pids(pattern):
                found[node.name, f"{program} {pid}"] = (private_kb(pid), len(os.listdir(f"/proc/{pid}/fd")))
    return found


def slots(cluster):
    return {node.name: sorted(r[0] for r in node.sql("select slot_name from pg_replication_slots"))
            for node in cluster.data}


def move_on(leader):
    """Past the segments of the turns: PostgreSQL keeps those of one number on all timelines until wal_keep_size is past."""
    for _ in range(12):
        leader.sql("select pg_logical_emit_message(true, 'soak', 'x'), pg_switch_wal()")


def segment(name):
    return int(name[8:16], 16) * 256 + int(name[16:24], 16)


def old_wal(node, leader):
    """Segments that a checkpoint leaves (on a standby a restartpoint at one of the leader's) beyond wal_keep_size; not
    those that were renamed for future use."""
    for each in (leader, node):
        each.sql("checkpoint", timeout=30)
    here = segment(leader.sql("select pg_walfile_name(pg_current_wal_lsn())")[0][0])
    names = [r[0] for r in node.sql("select name from pg_ls_waldir() where name ~ '^[0-9A-F]{24}$'")]
    return sorted(n for n in names if segment(n) < here - WAL_KEPT)


def grown(before, after):
    """What of the footprint is larger than it may be, in words."""
    words = []
    for who, (memory, files) in after.items():
        memory_before, files_before = before.get(who, (None, None))
        if memory_before is None:
            words.append(f"{who} was not there before: it was restarted")
        elif memory > memory_before + MEMORY_MORE_KB or files > files_before + FILES_MORE:
            words.append(f"{who}: {memory_before} -> {memory} kB, {files_before} -> {files} files")
    return words


@case("twenty-switchovers", soak=True)
def twenty(context):
    """20 switchovers in a row under load: none fails, nothing leaks (memory, files, slots, WAL)."""
    cluster = context.up()
    writer = context.load()
    before, gaps = None, []
    for turn in range(1, TURNS + 1):
        old = cluster.leader()
        candidate = next(n for n in cluster.data if n is not old)
        cluster.wait_sync(60, standby=candidate)
        began = writer.last_ack()
        status, body = old.rest("/switchover", "POST", {"leader": old.name, "candidate": candidate.name}, timeout=40)
        assert status == 200, (turn, status, body)
        writer.wait_writes(30)
        gaps.append(writer.gap(began - 0.1))
        if turn == WARM:
            cluster.wait_sync(60, standby=old)
            before = footprint(cluster)
    leader = context.settle()
    wait_for("memory and files as before", lambda: not grown(before, footprint(cluster)), 20, 0.5)
    others = {n.name: [m.name for m in cluster.data if m is not n] for n in cluster.data}
    wait_for("a slot for the other node, and no more", lambda: all(
        set(found) <= set(others[name]) for name, found in slots(cluster).items()), 20, 0.5)
    assert slots(cluster)[leader.name] == others[leader.name], slots(cluster)
    move_on(leader)
    for node in cluster.data:
        wait_for(f"no old WAL on {node}", lambda n=node: not old_wal(n, leader), 30, 1)
    after = footprint(cluster)
    most = max(after[who][0] - before[who][0] for who in after)
    return f"worst gap {max(gaps):.2f} s; memory {most:+d} kB at most in {TURNS - WARM} turns"
