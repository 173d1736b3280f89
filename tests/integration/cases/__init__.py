"""What a case is, and what every case of a failover checks."""
import os
import re
import time

from lab.cluster import Cluster, wait_for
from lab.writer import Writer

CASES = {}
bounded = True   # False: bounds of time are not held against a case (a node with sanitizers is slow)
REPORT = re.compile(r"ERROR: \w+Sanitizer.*|\S+: runtime error: .*|Sanitizer has encountered .*")


class Skip(Exception):
    """Said with the reason; the list of reasons that CI accepts is empty."""


class Case:
    def __init__(self, name, function, short, soak, demo):
        self.name, self.function, self.short, self.soak, self.demo = name, function, short, soak, demo
        self.__doc__ = (function.__doc__ or "").strip().splitlines()[0] if function.__doc__ else ""

    def run(self, context):
        return self.function(context)


def case(name, short=False, soak=False, demo=False):
    """Registers a function of a Context; what it returns is shown beside "ok"."""
    def register(function):
        assert name not in CASES, name
        CASES[name] = Case(name, function, short, soak, demo)
        return function
    return register


class Context:
    """The cluster of one case, and the checks that cases share."""

    def __init__(self, case_, name, lane):
        self.case, self.name, self.lane = case_, name, lane
        self.cluster = None
        self.writer = None
        self.more = []

    def make(self, **options):
        """A cluster of containers, not started."""
        self.cluster = Cluster(self.name, self.lane, **options)
        self.cluster.make()
        return self.cluster

    def up(self, **options):
        """A healthy cluster: primary, synchronous standby, three voters."""
        self.make(**options)
        self.cluster.start()
        self.cluster.wait_healthy()
        return self.cluster

    def load(self, **options):
        """A writer on the cluster; its commits are checked at the end by settle()."""
        self.writer = Writer(self.cluster, **options).start()
        self.writer.wait_writes(30)
        return self.writer

    def stop_writer(self):
        if self.writer is not None:
            self.writer.stop()

    def close(self):
        for extra in self.more:
            extra()
        self.stop_writer()
        if self.cluster is not None:
            self.cluster.destroy()

    def check_logs(self):
        """No sanitizer has anything to say in the log of a node."""
        for node in self.cluster.nodes if self.cluster else []:
            report = REPORT.search(node.logs())
            assert not report, f"{node}: {report.group(0)[:200]}"

    def save_logs(self, folder, error=None):
        os.makedirs(folder, exist_ok=True)
        if error is not None:
            with open(os.path.join(folder, "error.txt"), "w") as f:
                f.write(error)
        for node in self.cluster.nodes if self.cluster else []:
            with open(os.path.join(folder, f"{node.name}.log"), "w") as f:
                f.write(node.logs())

    # --- checks ---

    def settle(self, sync=True, timeout=90):
        """The end of a case under load: a primary writes, the standby is synchronous again, every acknowledged
        row is there, on the primary and on its sync standby."""
        self.writer.wait_writes(timeout)
        if sync:
            self.cluster.wait_sync(timeout)
        self.writer.stop()
        leader = self.cluster.wait_leader(timeout)
        missing = self.writer.missing(leader)
        assert not missing, f"{len(missing)} acknowledged rows are missing on {leader}: {missing[:5]}"
        for name in self.cluster.sync_standbys() if sync else []:
            standby = self.cluster.node(name)
            wait_for(f"every acknowledged row on {name}", lambda s=standby: not self.writer.missing(s), 20, 0.2)
        assert self.writer.overlap() == 0, f"two nodes acknowledged commits side by side for {self.writer.overlap()} s"
        return leader

    def gap_since(self, since):
        return self.writer.gap(since)


def within(what, seconds, bound):
    assert seconds <= bound or not bounded, f"{what}: {seconds:.2f} s, the bound is {bound} s"
    return f"{what} {seconds:.2f} s"


def now():
    return time.monotonic()


def unharmed(writer, primary, postmaster, began, until=None):
    """No commit failed on the primary, none waited for long, and it is the same postmaster."""
    failed = [round(at - began, 2) for at, node in writer.failures if node == primary.name and at > began]
    assert not failed, f"commits failed {failed} s after the beginning"
    assert primary.postmaster() == postmaster, "Postgres was restarted"
    return within("longest pause between writes", writer.gap(began, until), 1.0)
