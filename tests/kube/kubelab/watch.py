"""Watches, for the whole of a case, that no moment shows two primaries: neither labels nor EndpointSlices."""
import json
import ssl
import tempfile
import threading
import time
import urllib.error
import urllib.request
from base64 import b64decode

import yaml


def _access(kubeconfig):
    """(server, ssl context, headers) of a kubeconfig's current context."""
    with open(kubeconfig, encoding="utf-8") as source:
        config = yaml.safe_load(source)
    context = next(c["context"] for c in config["contexts"] if c["name"] == config["current-context"])
    cluster = next(c["cluster"] for c in config["clusters"] if c["name"] == context["cluster"])
    user = next(u["user"] for u in config["users"] if u["name"] == context["user"])

    def file(entry, key):
        if key in entry:
            return entry[key]
        content = entry.get(f"{key}-data")
        if content is None:
            return None
        out = tempfile.NamedTemporaryFile(delete=False)
        out.write(b64decode(content))
        out.close()
        return out.name
    tls = ssl.create_default_context(cafile=file(cluster, "certificate-authority"))
    if file(user, "client-certificate"):
        tls.load_cert_chain(file(user, "client-certificate"), file(user, "client-key"))
    headers = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
    return cluster["server"], tls, headers


class Api:
    """Kubernetes' API without a program for each question."""

    def __init__(self, kubeconfig):
        self.server, self.tls, self.headers = _access(kubeconfig)

    def open(self, path, timeout=10):
        return urllib.request.urlopen(urllib.request.Request(self.server + path, headers=self.headers),
                                      timeout=timeout, context=self.tls)

    def get(self, path):
        with self.open(path) as answer:
            return json.load(answer)


class Watch:
    def __init__(self, kubeconfig, namespace, release, label="role=primary"):
        self.api = Api(kubeconfig)
        self.ending = threading.Event()
        self.violations = []
        self.seen = {"pods": {}, "slices": {}}
        self.changes = []    # (time, kind, names) each time that they change
        base = f"/api/v1/namespaces/{namespace}/pods?labelSelector=app.kubernetes.io/instance%3D{release},{label.replace('=', '%3D')}"
        slices = (f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
                  f"?labelSelector=kubernetes.io/service-name%3D{release}-primary")
        for kind, path in (("pods", base), ("slices", slices)):
            threading.Thread(target=self._follow, args=(kind, path), daemon=True).start()

    def since(self, kind, began, names):
        """When these and no others were named first after `began`; None: not yet."""
        return next((when for when, of, found in list(self.changes) if of == kind and when > began and found == names), None)

    @staticmethod
    def _primaries(kind, found):
        if kind == "pods":
            return {found["metadata"]["uid"]: found["metadata"]["name"]}
        return {f"{found['metadata']['name']}/{e.get('targetRef', {}).get('uid')}": e["addresses"][0]
                for e in found.get("endpoints") or []}

    def _note(self, kind):
        names = sorted({n for entries in self.seen[kind].values() for n in entries.values()})
        former = next((c for c in reversed(self.changes) if c[1] == kind), None)
        if former is None or former[2] != names:
            self.changes.append((time.time(), kind, names))
        if len(names) > 1:
            self.violations.append((kind, names))

    def _list(self, kind, path):
        """The version to watch from."""
        listed = self.api.get(path)
        self.seen[kind] = {i["metadata"]["uid"]: self._primaries(kind, i) for i in listed["items"]}
        self._note(kind)
        return listed["metadata"]["resourceVersion"]

    def _take(self, kind, event):
        """The version after this event; None: the server no longer knows where we are."""
        if event["type"] == "ERROR":
            return None
        found = event["object"]
        if event["type"] == "DELETED":
            self.seen[kind].pop(found["metadata"]["uid"], None)
        elif event["type"] != "BOOKMARK":
            self.seen[kind][found["metadata"]["uid"]] = self._primaries(kind, found)
        self._note(kind)
        return found["metadata"]["resourceVersion"]

    def _follow(self, kind, path):
        """Watches go on where they broke off, so that nothing between them stays unseen."""
        version = None
        while not self.ending.is_set():
            try:
                version = version or self._list(kind, path)
                with self.api.open(f"{path}&watch=1&allowWatchBookmarks=true&timeoutSeconds=30&resourceVersion={version}",
                                   40) as stream:
                    for line in stream:
                        version = self._take(kind, json.loads(line))
                        if version is None or self.ending.is_set():
                            break
            except urllib.error.HTTPError as error:
                version = None if error.code == 410 else version
                self.ending.wait(0.3)
            except (OSError, ValueError):
                self.ending.wait(0.3)

    def primaries(self):
        """The pods that had the label, one after the other."""
        names = [names[0] for _, kind, names in self.changes if kind == "pods" and names]
        return [n for i, n in enumerate(names) if i == 0 or names[i - 1] != n]

    def end(self):
        self.ending.set()
        return self.violations
