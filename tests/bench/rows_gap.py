"""How long nobody gets a commit acknowledged, and whether two primaries ever accept commits side by side."""
import os
import re
import signal
import time
import urllib.request

from clusters import SIDECAR, now, wait_ready
from lab.cluster import Timeout, wait_for
from writers import Writers

LATER = 1  # seconds: pauses that come after the takeover count, too


# --- ways to lose the primary: prepared(cluster, old) → hurt() → mend(); what takes time and does no harm comes first ---

def nothing():
    pass


def postmaster_killed(_cluster, old):
    pid = old.postmaster()

    def hurt():
        os.kill(pid, signal.SIGKILL)
        return nothing
    return hurt


def switchover(cluster, old):
    other = next(n for n in cluster.data if n is not old)

    def hurt():
        status, body = old.rest("/switchover", "POST", {"leader": old.name, "candidate": other.name}, timeout=60)
        if status != 200:
            raise Timeout(f"/switchover: {status} {body}")
        return nothing
    return hurt


def container_stop(_cluster, old):
    def hurt():
        old.stop(30)
        return old.start
    return hurt


def node_lost(_cluster, old):
    """Silence first, so that no peer is told by a closed connection; then nothing of the node runs."""
    def hurt():
        old.cut()
        old.kill()
        return old.start
    return hurt


def sidecar_stopped(_cluster, old):
    pids = old.pids(SIDECAR)

    def send(signum):
        for pid in pids:
            os.kill(pid, signum)

    def hurt():
        send(signal.SIGSTOP)
        return lambda: send(signal.SIGCONT)
    return hurt


def cut_off(cluster, old):
    """From every other node; the writers still reach it."""
    def hurt():
        old.cut([n for n in cluster.nodes if n is not old])
        return old.heal
    return hurt


# --- raft's leader ---

def etcd_metric(node, name):
    """What its etcd member says of itself, in milliseconds."""
    with urllib.request.urlopen(f"http://{node.ip}:2379/metrics", timeout=2) as answer:
        return float(re.search(rf"^{name} (\S+)$", answer.read().decode(), re.MULTILINE).group(1))


def leads_raft(node):
    return etcd_metric(node, "etcd_server_is_leader") == 1


def elections(cluster):
    """How many raft leaders the witness has seen: each new one extends every lease by a ttl."""
    return etcd_metric(cluster.witness, "etcd_server_leader_changes_seen_total")


def place_raft_leader(cluster, old, there):
    """Puts raft's leader on the node, or takes it away; the sidecars may move it once a minute themselves."""
    def placed():
        holder = cluster.raft_leader()
        if holder is None:
            return False
        if (holder is old) != there:
            cluster.move_raft_leader(old if there else cluster.witness)
            return False
        return True
    wait_for(f"raft's leader {'on' if there else 'not on'} {old}", placed, 90, 0.2)


# --- one run ---

def taken_over(writers, old, began):
    """True when commits go on after what was done: elsewhere, or on the same node after its sessions were lost."""
    lost = min((at for at, node in writers.lost if node == old.name and at > began), default=None)
    for _, ended, node in reversed(writers.acks):
        if ended < began:
            return False
        if node != old.name or (lost is not None and ended > lost):
            return True
    return False


def primary_that_writes(cluster, writers, raft_leader_there):
    """The primary, with raft's leader where it is wanted and the newest commits its own. Either may have moved
    meanwhile, which nobody has asked for: how often that was comes back as well."""
    for changes in range(8):
        old = wait_ready(cluster)
        writers.forget()
        writers.wait("writes", lambda: len(writers.acks) > 50, 60)
        if raft_leader_there is not None:
            place_raft_leader(cluster, old, raft_leader_there)
        writers.forget()
        time.sleep(0.5)
        writers.look()
        if not writers.acks or any(node != old.name for _, _, node in writers.acks) or cluster.leader() is not old:
            continue
        if raft_leader_there is None or leads_raft(old) == raft_leader_there:
            return old, changes
    raise Timeout("the primary or raft's leader changed eight times by itself")


def gap_once(cluster, prepared, raft_leader_there, bound):
    """The longest gap in seconds, and what else is worth keeping."""
    wait_ready(cluster)
    with Writers(cluster) as writers:
        old, changes = primary_that_writes(cluster, writers, raft_leader_there)
        hurt = prepared(cluster, old)
        writers.forget()
        time.sleep(0.5)
        losing = raft_leader_there is not None
        more = {"raft_leader_there": leads_raft(old)} if losing else {}
        elected = elections(cluster) if losing else 0
        began = now()
        mend = hurt()
        try:
            writers.wait("commits after it", lambda: taken_over(writers, old, began), bound + 30)
            time.sleep(LATER)
            writers.look()
            if losing:
                more["elections"] = elections(cluster) - elected
        finally:
            mend()
        seen = [ended for _, ended, _ in writers.acks if ended > began - 0.5]
        if len(seen) < 2:
            raise Timeout("the writers saw too little")
        if changes:
            more["attempts_before"] = changes
        return writers.gap(began), {"old": old.name, **handover(writers, old, began), **more}


def handover(writers, old, began):
    """When the old primary acknowledged its last commit, counted from what was done to it, and how long it was from
    there to the new one's first. The gap is longer where a later pause was."""
    first = min((ended for _, ended, node in writers.acks if node != old.name and ended > began), default=None)
    last = max((ended for _, ended, node in writers.acks if node == old.name and (first is None or ended < first)),
               default=None)
    if first is None or last is None:
        return {"restarted_in_place": first is None}
    return {"last_of_old": round(last - began, 4), "handover": round(first - last, 4)}


def overlap_once(cluster, prepared, bound):
    """Seconds from the first commit that the new primary may have made to the last that the old one acknowledged,
    not below 0. A commit lies between its sending and its answer; the sum errs towards an overlap."""
    wait_ready(cluster)
    with Writers(cluster, each=2, synchronous_commit="local", pause=0) as writers:
        old, _ = primary_that_writes(cluster, writers, None)
        hurt = prepared(cluster, old)
        writers.forget()
        time.sleep(1.5)
        began = now()
        mend = hurt()
        try:
            writers.wait("commits elsewhere",
                         lambda: any(a[2] != old.name and a[0] > began for a in reversed(writers.acks)), bound + 30)
            time.sleep(2)
            writers.look()
        finally:
            mend()
    first = min(a[0] for a in writers.acks if a[2] != old.name and a[0] > began)
    olds = [a[1] for a in writers.acks if a[2] == old.name]
    before = [t for t in olds if began - 1 < t <= began]
    spacing = sorted(b - a for a, b in zip(before, before[1:]))
    more = {"old": old.name, "margin": round(first - olds[-1], 4), "commits_per_second": len(before),
            "spacing_p99": round(spacing[int(len(spacing) * 0.99)], 5) if spacing else None}
    return max(0.0, olds[-1] - first), more
