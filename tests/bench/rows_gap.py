"""How long nobody gets a commit acknowledged, and whether two primaries ever accept commits side by side."""
import os
import signal
import time

from clusters import SIDECAR, now, wait_ready
from lab.cluster import Timeout, wait_for
from writers import Writers


# --- ways to lose the primary: hurt(cluster, old) → mend() ---

def postmaster_killed(_cluster, old):
    os.kill(old.postmaster(), signal.SIGKILL)
    return lambda: None


def switchover(cluster, old):
    other = next(n for n in cluster.data if n is not old)
    status, body = old.rest("/switchover", "POST", {"leader": old.name, "candidate": other.name}, timeout=60)
    if status != 200:
        raise Timeout(f"/switchover: {status} {body}")
    return lambda: None


def container_stop(_cluster, old):
    old.stop(30)
    return old.start


def node_lost(_cluster, old):
    """Silence first, so that no peer is told by a closed connection; then nothing of the node runs."""
    old.cut()
    old.kill()
    return old.start


def sidecar_stopped(_cluster, old):
    old.signal(SIDECAR, signal.SIGSTOP)
    return lambda: old.signal(SIDECAR, signal.SIGCONT)


def cut_off(cluster, old):
    """From every other node; the writers still reach it."""
    old.cut([n for n in cluster.nodes if n is not old])
    return old.heal


# --- raft's leader ---

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


def gap_once(cluster, hurt, raft_leader_there, bound):
    """The longest gap in seconds, and what else is worth keeping."""
    old = wait_ready(cluster)
    with Writers(cluster) as writers:
        writers.wait("writes", lambda: len(writers.acks) > 50, 60)
        time.sleep(1)
        if raft_leader_there is not None:
            place_raft_leader(cluster, old, raft_leader_there)
        writers.forget()
        time.sleep(0.5)
        began = now()
        mend = hurt(cluster, old)
        try:
            writers.wait("commits after it", lambda: taken_over(writers, old, began), bound + 30)
            time.sleep(2)
            writers.look()
        finally:
            mend()
        after = [ended for _, ended, node in writers.acks if node != old.name and ended > began]
        before = [ended for _, ended, node in writers.acks if ended > began - 0.5]
        more = {"old": old.name, "restarted_in_place": not after,
                "old_stopped": last_before(writers, old, after, began)}
        if len(before) < 2:
            raise Timeout("the writer saw too little")
        return writers.gap(began), more


def last_before(writers, old, after, began):
    """When the old primary acknowledged its last commit, counted from what was done to it."""
    end = min(after, default=None)
    times = [ended for _, ended, node in writers.acks if node == old.name and (end is None or ended < end)]
    return round(times[-1] - began, 4) if times and end is not None else None


def overlap_once(cluster, hurt, bound):
    """Seconds from the first commit that the new primary may have made to the last that the old one acknowledged,
    not below 0. A commit lies between its sending and its answer; the sum errs towards an overlap."""
    old = wait_ready(cluster)
    with Writers(cluster, each=2, synchronous_commit="local", pause=0) as writers:
        writers.wait("writes", lambda: len(writers.acks) > 50, 60)
        time.sleep(1)
        writers.forget()
        time.sleep(1.5)
        began = now()
        mend = hurt(cluster, old)
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
