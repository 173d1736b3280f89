"""One installation of the chart in a namespace of its own, and what cases ask and do to it."""
import base64
import json
import os
from datetime import datetime

from lab.docker import CommandFailed, run

from . import machine
from .cluster import wait_for

CHART = os.path.join(machine.HERE, "..", "..", "charts", "pgvigil")
KILL_POSTMASTER = "kill -9 $(head -n 1 /var/lib/postgresql/data/pgdata/postmaster.pid)"
ENFORCE = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}


class Release:
    def __init__(self, kubeconfig, namespace="pgvigil-check", name="db"):
        self.kubeconfig, self.namespace, self.name = kubeconfig, namespace, name
        self.values = {}

    # --- tools ---

    def kubectl(self, *argv, **more):
        return run(os.path.join(machine.cached("kubernetes"), "kubectl"), "--kubeconfig", self.kubeconfig,
                   "-n", self.namespace, *argv, **more)

    def helm(self, *argv, **more):
        return run(os.path.join(machine.cached("helm"), "helm"), "--kubeconfig", self.kubeconfig,
                   "-n", self.namespace, *argv, **more)

    def get(self, *argv):
        return json.loads(self.kubectl("get", *argv, "-o", "json"))

    def apply(self, *objects):
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        return self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=text)

    # --- life ---

    def make_namespace(self):
        self.apply({"apiVersion": "v1", "kind": "Namespace",
                    "metadata": {"name": self.namespace, "labels": dict(ENFORCE)}})

    def _value_words(self, values):
        return [word for key, value in values.items() for word in ("--set-json", f"{key}={json.dumps(value)}")]

    def install(self, **values):
        self.values = values
        return self.helm("install", self.name, CHART, *self._value_words(values), timeout=120)

    def upgrade(self, **values):
        self.values.update(values)
        return self.helm("upgrade", self.name, CHART, *self._value_words(self.values), timeout=120)

    def uninstall(self):
        return self.helm("uninstall", self.name, "--wait", "--timeout", "120s", timeout=150)

    def remove(self):
        self.kubectl("delete", "namespace", self.namespace, "--ignore-not-found", "--timeout=170s", timeout=180)

    # --- looking ---

    def pods(self, component=None):
        more = f",app.kubernetes.io/component={component}" if component else ""
        return self.get("pods", "-l", f"app.kubernetes.io/instance={self.name}{more}")["items"]

    def pod(self, name):
        try:
            return self.get("pod", name)
        except CommandFailed:
            return None

    def uids(self):
        """Of every member's pod: other ones when all were made anew."""
        return {p["metadata"]["uid"] for p in self.pods("data") + self.pods("witness")}

    def node_of(self, pod):
        return self.get("pod", pod)["spec"]["nodeName"]

    def nodes_of_members(self):
        return {p["metadata"]["name"]: p["spec"].get("nodeName")
                for p in self.pods("data") + self.pods("witness")}

    def free_node(self):
        """A node that has no member, if there is one."""
        taken = set(self.nodes_of_members().values())
        return next((n["metadata"]["name"] for n in self.get("nodes")["items"] if n["metadata"]["name"] not in taken), None)

    def rest(self, pod, path):
        """(works, parsed JSON or text): what a pod's REST API answers, by way of the API server."""
        scheme = "https:" if self.values.get("tls.mode", "off") != "off" else ""
        try:
            text = self.kubectl("get", "--raw", f"/api/v1/namespaces/{self.namespace}/pods/{scheme}{pod}:8008/proxy{path}",
                                timeout=10)
        except CommandFailed as error:
            return False, str(error)
        try:
            return True, json.loads(text)
        except ValueError:
            return True, text

    def primary(self):
        """The data pod that says of itself that it is the primary."""
        for pod in self.pods("data"):
            if self.rest(pod["metadata"]["name"], "/primary")[0]:
                return pod["metadata"]["name"]
        return None

    def said_at(self, words):
        """When sidecars of data pods logged a message that begins so, by their clocks."""
        moments = []
        for pod in self.pods("data"):
            text = self.kubectl("logs", pod["metadata"]["name"], "-c", "sidecar", timeout=30, check=False)
            for line in text.splitlines():
                if f'"message":"{words}' in line:
                    moments.append(datetime.fromisoformat(json.loads(line)["time"]).timestamp())
        return sorted(moments)

    def labelled(self, role="primary"):
        return [p["metadata"]["name"] for p in self.get("pods", "-l", f"app.kubernetes.io/instance={self.name},role={role}")["items"]]

    def cluster_view(self):
        for pod in self.pods("data"):
            fine, body = self.rest(pod["metadata"]["name"], "/cluster")
            if fine:
                return body
        return None

    def sync_standby(self):
        """The name of one that streams and is synchronous; None: there is none."""
        view = self.cluster_view()
        members = view.get("members", []) if isinstance(view, dict) else []
        return next((m["name"] for m in members if m.get("role") == "sync_standby" and m.get("state") == "streaming"), None)

    def healthy(self):
        """The primary's name when all is well: every pod ready (data pods as voters), one sync standby, the label."""
        pods = self.pods("data") + self.pods("witness")
        wanted = int(self.values.get("replicas", 2)) + 1
        if len(pods) != wanted or not all(is_ready(p) for p in pods):
            return None
        if self.sync_standby() is None:
            return None
        primary = self.primary()
        return primary if primary and self.labelled() == [primary] and self.routed() == [primary] else None

    def routed(self):
        """The pods that the primary's Service leads to."""
        slices = self.get("endpointslices", "-l", f"kubernetes.io/service-name={self.name}-primary")["items"]
        return sorted({e["targetRef"]["name"] for s in slices for e in s.get("endpoints") or []})

    def wait_healthy(self, timeout=120):
        try:
            return wait_for("a healthy cluster", self.healthy, timeout, pause=0.3)
        except TimeoutError as error:
            raise TimeoutError(f"{error}; pods: {self.kubectl('get', 'pods', '-o', 'wide', '-L', 'role')}; "
                               f"cluster: {self.cluster_view()}") from None

    def wait_primary(self, other_than=None, timeout=60):
        def look():
            names = self.labelled()
            return names[0] if len(names) == 1 and names[0] != other_than else None
        return wait_for(f"a primary other than {other_than}", look, timeout)

    def sql(self, query, pod=None, database="postgres"):
        """Rows of one query as texts, in the pod's own container, by its Unix socket."""
        out = self.kubectl("exec", pod or self.primary(), "-c", "postgres", "--", "psql", "-U", "postgres", "-X", "-A", "-t",
                           "-d", database, "-c", query, timeout=60)
        return out.splitlines()

    # --- doing ---

    def in_container(self, pod, container, *argv):
        return self.kubectl("exec", pod, "-c", container, "--", *argv, timeout=30)

    def kill_postmaster(self, pod):
        return self.in_container(pod, "postgres", "sh", "-c", KILL_POSTMASTER)

    def secret(self, name, key):
        return decoded(self.get("secret", name), key)


def container_status(pod, container):
    return next(s for s in pod["status"].get("initContainerStatuses", []) + pod["status"]["containerStatuses"]
                if s["name"] == container)


def decoded(secret, key):
    return base64.b64decode(secret["data"][key]).decode()


def is_ready(pod):
    return pod["metadata"].get("deletionTimestamp") is None and any(
        c["type"] == "Ready" and c["status"] == "True" for c in pod.get("status", {}).get("conditions", []))
