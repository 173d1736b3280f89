"""What a case on Kubernetes is, and what all of them check."""
import os
import time

from kubelab.cluster import wait_for
from kubelab.release import Writer
from kubelab.watch import Watch
from lab.docker import CommandFailed

CASES = {}


class Skip(Exception):
    """Said with the reason."""


class Case:
    def __init__(self, name, function, short, own):
        self.name, self.function, self.short, self.own = name, function, short, own
        self.__doc__ = (function.__doc__ or "").strip().splitlines()[0] if function.__doc__ else ""


def case(name, short=False, own=False):
    """Registers a function of a Context; what it returns is shown beside "ok". own: it needs the cluster that
    we start ourselves, since it breaks nodes or the API server."""
    def register(function):
        assert name not in CASES, name
        CASES[name] = Case(name, function, short, own)
        return function
    return register


class Context:
    """An installation that cases share as long as they leave it healthy."""

    def __init__(self, release, machine=None):
        self.release, self.machine = release, machine
        self.installed = False
        self.writer = None
        self.watch = None

    def up(self, **values):
        """A healthy installation with these values."""
        if self.installed and self.release.values != {**DEFAULTS, **values}:
            self.tear_down()
        if not self.installed:
            self.release.remove()  # what a run with --keep has left
            self.release.make_namespace()
            self.installed = True
            self.release.install(**{**DEFAULTS, **values})
        primary = self.release.wait_healthy(180)
        self.watch = Watch(self.release.kubeconfig, self.release.namespace, self.release.name)
        return self.release, primary

    def load(self):
        """A writer that outlives what is done to the members: on the node that has none of them, if there is one."""
        taken = set(self.release.nodes_of_members().values())
        nodes = [n["metadata"]["name"] for n in self.release.get("nodes")["items"]]
        free = [n for n in nodes if n not in taken]
        self.writer = Writer(self.release, node=free[0] if free else None).start()
        return self.writer

    def settle(self, began, bound, timeout=180):
        """The end of a case under load: healthy again, every acknowledged row on every data pod, the gap in its
        bound, and never two primaries."""
        release, writer = self.release, self.writer
        writer.wait_writes(timeout, after=writer.now())
        primary = release.wait_healthy(timeout)
        writer.stop()
        gap = writer.gap(began)
        lost = writer.missing(primary)
        assert not lost, f"{len(lost)} acknowledged rows are missing on {primary}: {lost[:5]}"
        for pod in release.pods("data"):
            name = pod["metadata"]["name"]
            wait_for(f"every acknowledged row on {name}", lambda n=name: not writer.missing(n), 20, 0.3)
        acks = sum(1 for line in writer.lines() if line[0] == "A")
        self.end_load()
        violations = self.watch.end()
        assert not violations, f"two primaries at once: {violations[:3]}"
        assert gap <= bound, f"write gap {gap:.2f} s, the bound is {bound} s"
        return f"write gap {gap:.2f} s, {acks} rows"

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
        self.installed = False

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


# Small, and without the waits of a real cluster.
DEFAULTS = {"storage.data.size": "1Gi", "storage.etcd.size": "1Gi", "storage.data.storageClass": "local",
            "storage.etcd.storageClass": "local"}


def now():
    return time.monotonic()
