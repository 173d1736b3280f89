"""Pods of the tests that are clients of an installation; what they run is in tests/kube/client."""
import os
import time

from . import machine
from .cluster import wait_for
from .release import is_ready

IMAGE = os.environ.get("PGVIGIL_CLIENT_IMAGE", "pgvigil/kube-client:1")
SCRIPTS = os.path.join(machine.HERE, "client")


class Client:
    """A pod with one container for each program: {name of the container: argv in the folder of the scripts}."""

    def __init__(self, release, node, programs, password=True):
        self.release, self.node, self.programs, self.password = release, node, programs, password
        self.name = f"client-{int(time.time() * 10) % 1000000}"

    def start(self):
        release = self.release
        scripts = {}
        for name in sorted(n for n in os.listdir(SCRIPTS) if n.endswith(".py")):
            with open(os.path.join(SCRIPTS, name), encoding="utf-8") as source:
                scripts[name] = source.read()
        release.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "client"}, "data": scripts})
        spec = {
            "restartPolicy": "Never", "automountServiceAccountToken": False, "terminationGracePeriodSeconds": 1,
            "enableServiceLinks": False,
            "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
            "tolerations": [{"operator": "Exists", "effect": "NoExecute"}],
            "containers": [self._container(name, argv) for name, argv in self.programs.items()],
            "volumes": [{"name": "script", "configMap": {"name": "client"}}, {"name": "tmp", "emptyDir": {}}]}
        if self.node:
            spec["nodeName"] = self.node
        release.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": self.name}, "spec": spec})
        wait_for("the client pod", lambda: is_ready(release.get("pod", self.name)), 60)
        return self

    def _container(self, name, argv):
        environment = [{"name": "PGUSER", "value": "postgres"}]
        if self.password:
            environment.append({"name": "PGPASSWORD", "valueFrom": {"secretKeyRef": {
                "name": f"{self.release.name}-credentials", "key": "superuser-password"}}})
        return {"name": name, "image": IMAGE, "imagePullPolicy": "IfNotPresent",
                "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                    "capabilities": {"drop": ["ALL"]}},
                "command": ["python3", "-u", f"/script/{argv[0]}", *map(str, argv[1:])], "env": environment,
                "volumeMounts": [{"name": "script", "mountPath": "/script"}, {"name": "tmp", "mountPath": "/tmp"}]}

    def exec(self, *argv, **more):
        return self.release.kubectl("exec", self.name, "-c", next(iter(self.programs)), *(["-i"] if "stdin" in more else []),
                                    "--", *argv, **more)

    def notes(self, file, since=0.0):
        """Lines `word time …` of a file in /tmp, their first three blanks taken for separators."""
        text = self.exec("awk", f"$2 >= {since:.4f}", f"/tmp/{file}", timeout=60)
        return [line.split(" ", 3) for line in text.splitlines()]

    def remove(self):
        self.release.kubectl("delete", "pod", self.name, "--ignore-not-found", "--grace-period=1", timeout=60)


class Writer(Client):
    """Writes through the primary's Service (client/writer.py); with `watch` it also notes when members take over
    (client/takeovers.py)."""

    def __init__(self, release, node=None, lanes=2, watch=()):
        programs = {"writer": ["writer.py", f"{release.name}-primary", lanes]}
        if watch:
            programs["takeovers"] = ["takeovers.py", release.name, *watch]
        super().__init__(release, node, programs)

    def start(self):
        super().start()
        self.wait_writes(60)
        return self

    def lines(self, since=0.0):
        return self.notes("acks", since)

    def now(self):
        """The writer's clock."""
        return float(self.exec("python3", "-c", "import time; print(time.time())"))

    def last(self):
        lines = self.exec("sh", "-c", "grep '^A' /tmp/acks | tail -n 1").split(" ")
        return float(lines[1]) if len(lines) > 1 else 0.0

    def wait_writes(self, timeout=60, after=None):
        since = after if after is not None else 0.0
        return wait_for("an acknowledged commit through the Service", lambda: self.last() > since, timeout, pause=0.2)

    def stop(self):
        self.exec("touch", "/tmp/stop")
        wait_for("the writer to end", lambda: self.exec("sh", "-c", "test -e /tmp/done && echo yes || true"), 30)

    def gap(self, since):
        """(from, until) of the longest time without an acknowledged commit that ends after `since`."""
        times = sorted(float(line[1]) for line in self.lines(since - 5) if line[0] == "A")
        before = [t for t in times if t <= since]
        times = before[-1:] + [t for t in times if t > since]
        return max(zip(times, times[1:]), key=lambda pair: pair[1] - pair[0], default=(since, float("inf")))

    def connected(self, after):
        """When the first connection after that was made."""
        return next((float(line[1]) for line in self.lines(after) if line[0] == "C"), None)

    def missing(self, pod):
        """Acknowledged rows that the pod does not have."""
        rows = {tuple(line.split("|")) for line in self.release.sql("select lane, number from load", pod)}
        return [line for line in self.lines() if line[0] == "A" and (line[2], line[3]) not in rows]
