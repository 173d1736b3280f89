"""When each part of the way to a new primary was gone, in one failover: key → read-write → label → slice → rule →
connection. All times are those of the machine's one clock."""
import re
import subprocess
import threading
import time

from lab.docker import docker

from . import layout, machine

STAGES = ("key", "label", "slice", "rule", "connect")   # what is counted from read-write


class Rules:
    """What kube-proxy writes into a node's iptables about a Service, as it is committed: [(time, line)]."""

    def __init__(self, node, service):
        self.node, self.service, self.seen = node, service, []
        self.process = subprocess.Popen(
            ["docker", "exec", machine.container(node), "sh", "-c", "echo $$; exec stdbuf -oL xtables-monitor -e -4"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.pid = int(self.process.stdout.readline())
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            if self.service in line and "DNAT" in line:
                self.seen.append((time.time(), line))

    def since(self, began, address):
        return next((when for when, line in list(self.seen) if when > began and f"{address}:" in line), None)

    def end(self):
        docker("exec", machine.container(self.node), "kill", str(self.pid), check=False)
        self.process.wait(10)


def kube_proxy(node=layout.WORKERS[0]):
    """Version and mode, as it says itself."""
    version = machine.node_exec(node, "kube-proxy", "--version")
    mode = machine.node_exec(node, "python3", "-c", "import urllib.request as u; "
                             "print(u.urlopen('http://127.0.0.1:10249/proxyMode').read().decode())")
    settings = layout.PROXY.get(layout.PROXY["mode"], {})
    period = settings.get("minSyncPeriod", "1s (default)")
    return f"{re.sub('Kubernetes ', '', version)}, mode {mode}, minSyncPeriod {period}"


class Takeovers:
    """Looks at an installation whose Writer notes takeovers, too."""

    def __init__(self, release, writer, watch):
        self.release, self.writer, self.watch = release, writer, watch
        self.rules = Rules(writer.node, f"{release.namespace}/{release.name}-primary")

    def wait(self, old, began, timeout):
        """The pod that has the primary's label instead of `old`."""
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            for when, kind, names in list(self.watch.changes):
                if kind == "pods" and when > began and len(names) == 1 and names != [old]:
                    return names[0]
            time.sleep(0.02)
        raise TimeoutError(f"no primary other than {old} within {timeout} s; labels: {self.watch.changes[-3:]}")

    def stages(self, began, new):
        """{"last_to_write": seconds from the last commit of the old primary to read-write, and each of STAGES in milliseconds
        from read-write}; None where it was not seen."""
        address = self.release.get("pod", new)["status"]["podIP"]
        notes = self.writer.notes("takeovers", began)
        lines = self.writer.lines(began - 5)

        def noted(kind):
            return next((float(when) for word, when, who in notes if word == kind and who == new), None)
        write = noted("R")
        if write is None:
            raise TimeoutError(f"{new} was not seen to turn read-write; notes: {notes[-6:]}")
        connect = next((float(line[1]) for line in lines
                        if line[0] == "C" and float(line[1]) > began and line[3] == address), None)
        last = max((float(line[1]) for line in lines if line[0] == "A" and (connect is None or float(line[1]) < connect)),
                   default=None)
        times = {"key": noted("K"), "label": self.watch.since("pods", began, [new]),
                 "slice": self.watch.since("slices", began, [address]), "rule": self.rules.since(began, address),
                 "connect": connect}
        found = {name: None if when is None else round(1000 * (when - write), 1) for name, when in times.items()}
        return {"new": new, "last_to_write": None if last is None else round(write - last, 4), **found}

    def end(self):
        self.rules.end()
