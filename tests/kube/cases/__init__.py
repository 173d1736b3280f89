"""What a case on Kubernetes is, and what all of them check."""
import os

from kubelab.client import Writer
from kubelab.cluster import wait_for
from kubelab.watch import Watch
from lab.docker import CommandFailed

CASES = {}


class Skip(Exception):
    """Said with the reason."""


class Case:
    def __init__(self, name, function, short, own, values):
        self.name, self.function, self.short, self.own, self.values = name, function, short, own, values
        self.__doc__ = (function.__doc__ or "").strip().splitlines()[0] if function.__doc__ else ""


def case(name, short=False, own=False, both=False, **values):
    """Registers a function of a Context; what it returns is shown beside "ok". own: it needs the cluster that
    we start ourselves, since it breaks nodes or the API server, or gives nodes images. both: once for each way of routing. The rest are
    values of the chart."""
    def register(function):
        for suffix, more in (("", {}), ("-slice", {"routing": "slice"}))[:1 + both]:
            assert name + suffix not in CASES, name + suffix
            CASES[name + suffix] = Case(name + suffix, function, short and not more, own, {**values, **more})
        return function
    return register


def worst_gap(release):
    """Of whatever is no loss of a node (docs/results.md), in seconds."""
    return 1.5 if release.values.get("routing") == "slice" else 4


def stages(release, writer, watch, since, until):
    """What happened in a gap and when, in seconds from the last commit before it."""
    def within(moments):
        return [m for m in moments if m is not None and since <= m <= until]
    found = [("key", within(release.said_at("plan: take the key -> take key"))),
             ("read-write", within(release.said_at("role: PRIMARY")))]
    for kind, name in (("pods", "label"), ("slices", "slice")):
        for empty, word in ((True, "off"), (False, "on")):
            found.append((f"{name} {word}", within(t for t, k, names in watch.changes if k == kind and (not names) == empty)))
    found.append(("connected", within([writer.connected(since)])))
    return " · ".join(f"{name} {moments[-1] - since:.2f}" for name, moments in found if moments) + f" · written {until - since:.2f}"


class Context:
    """An installation that cases share as long as they leave it healthy."""

    def __init__(self, release, machine=None):
        self.release, self.machine = release, machine
        self.values = {}        # of the case
        self.installed = None   # the values that the installation began with
        self.writer = None
        self.acks = ""          # of the last writer
        self.watch = None

    def up(self):
        """A healthy installation with the values of the case."""
        wanted = {**DEFAULTS, **self.values}
        if self.installed != wanted:
            self.tear_down()  # and what a run with --keep has left
            self.release.make_namespace()
            self.installed = wanted
            self.release.install(**wanted)
        primary = self.release.wait_healthy(180)
        if self.watch is not None:
            self.watch.end()
        self.watch = Watch(self.release.kubeconfig, self.release.namespace, self.release.name)
        return self.release, primary

    def load(self):
        """A writer that outlives what is done to the members: on the node that has none of them, if there is one."""
        self.writer = Writer(self.release, self.release.free_node()).start()
        return self.writer

    def settle(self, began, bound=None, timeout=180, moves=1):
        """The end of a case under load: healthy again, every acknowledged row on every data pod, the gap in its
        bound, the primary's place taken over so many times (None: whatever), and never two primaries."""
        release, writer = self.release, self.writer
        writer.wait_writes(timeout, after=writer.now())
        primary = release.wait_healthy(timeout)
        writer.stop()
        lost = writer.missing(primary)
        assert not lost, f"{len(lost)} acknowledged rows are missing on {primary}: {lost[:5]}"
        for pod in release.pods("data"):
            name = pod["metadata"]["name"]
            wait_for(f"every acknowledged row on {name}", lambda n=name: not writer.missing(n), 20, 0.3)
        acks = sum(1 for line in writer.lines() if line[0] == "A")
        since, until = writer.gap(began)
        self.acks = "\n".join(" ".join(line) for line in writer.lines())
        words = f"write gap {until - since:.2f} s, {acks} rows; {stages(release, writer, self.watch, since, until)}"
        self.end_load()
        violations = self.watch.end()
        assert not violations, f"two primaries at once: {violations[:3]}; {words}"
        primaries = self.watch.primaries()
        assert moves is None or len(primaries) == moves + 1, f"the primaries were {primaries}; {words}"
        bound = bound or worst_gap(release)
        assert until - since <= bound, f"the bound is {bound} s; {words}"
        return words

    def end_load(self):
        if self.writer is not None:
            self.writer.remove()
            self.release.sql("drop table load")
            self.writer = None

    def tear_down(self):
        self.writer = None
        if self.watch is not None:
            self.watch.end()
        self.release.remove()
        self.installed = None

    def save(self, folder, error):
        """Logs of every container, and what the API says of everything."""
        os.makedirs(folder, exist_ok=True)

        def keep(name, *argv):
            try:
                text = self.release.kubectl(*argv, timeout=30)
            except CommandFailed as failed:
                text = str(failed)
            with open(os.path.join(folder, name), "w", encoding="utf-8") as out:
                out.write(text + "\n")
        with open(os.path.join(folder, "error.txt"), "w", encoding="utf-8") as out:
            out.write(error)
        keep("all.txt", "get", "all,endpointslices,pvc,events", "-o", "wide")
        keep("describe.txt", "describe", "pods")
        try:
            pods = self.release.get("pods")["items"]
        except CommandFailed:
            pods = []
        for pod in pods:
            name = pod["metadata"]["name"]
            for status in pod["status"].get("initContainerStatuses", []) + pod["status"].get("containerStatuses", []):
                keep(f"{name}.{status['name']}.log", "logs", name, "-c", status["name"])
                if status.get("restartCount"):
                    keep(f"{name}.{status['name']}.before.log", "logs", name, "-c", status["name"], "--previous")
        if self.writer is not None:
            keep("acks.txt", "exec", self.writer.name, "--", "cat", "/tmp/acks")
        elif self.acks:
            with open(os.path.join(folder, "acks.txt"), "w", encoding="utf-8") as out:
                out.write(self.acks)


# Small; of the cluster's own storage class.
DEFAULTS = {"storage.data.size": "1Gi", "storage.etcd.size": "1Gi"}
