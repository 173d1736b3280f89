"""The provisioner of StorageClass `local`: answers each claim that the scheduler has given a node with a
`local` volume there, in a folder that all machines share. A released volume and its folder are removed.

    volumes.py ACCESS   (JSON: server, ca, cert, key)"""
import json
import os
import shutil
import ssl
import sys
import threading
import time
import urllib.error
import urllib.request

PROVISIONER = "pgvigil.test/local"
FOLDER = "/volumes"

with open(sys.argv[1]) as source:
    ACCESS = json.load(source)
TLS = ssl.create_default_context(cafile=ACCESS["ca"])
TLS.load_cert_chain(ACCESS["cert"], ACCESS["key"])


def call(path, method="GET", body=None, timeout=30):
    request = urllib.request.Request(ACCESS["server"] + path, method=method)
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")
    return urllib.request.urlopen(request, timeout=timeout, context=TLS)


def changes(path):
    """Everything that is there, then every change, for ever."""
    while True:
        try:
            listed = json.load(call(path))
            yield from listed["items"]
            version = listed["metadata"]["resourceVersion"]
            with call(f"{path}?watch=1&resourceVersion={version}", timeout=300) as stream:
                for line in stream:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        break
                    if event["type"] != "DELETED":
                        yield event["object"]
        except (OSError, ValueError) as error:
            print(f"{path}: {error}", flush=True)
            time.sleep(0.5)


def provision(claim):
    meta, spec = claim["metadata"], claim["spec"]
    notes = meta.get("annotations", {})
    node = notes.get("volume.kubernetes.io/selected-node")
    if not node or notes.get("volume.kubernetes.io/storage-provisioner") != PROVISIONER or spec.get("volumeName"):
        return
    name = f"local-{meta['uid']}"
    folder = os.path.join(FOLDER, name)
    os.makedirs(folder, mode=0o755, exist_ok=True)
    call("/api/v1/persistentvolumes", "POST", {
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {"pv.kubernetes.io/provisioned-by": PROVISIONER}},
        "spec": {
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "accessModes": spec["accessModes"], "volumeMode": "Filesystem",
            "storageClassName": spec["storageClassName"], "persistentVolumeReclaimPolicy": "Delete",
            "local": {"path": folder},
            "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": meta["name"],
                         "namespace": meta["namespace"], "uid": meta["uid"]},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [
                {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}]}]}}}})
    print(f"{meta['namespace']}/{meta['name']} -> {name} on {node}", flush=True)


def reclaim(volume):
    if volume.get("status", {}).get("phase") not in ("Released", "Failed"):
        return
    shutil.rmtree(volume["spec"]["local"]["path"], ignore_errors=True)
    call(f"/api/v1/persistentvolumes/{volume['metadata']['name']}", "DELETE")
    print(f"{volume['metadata']['name']}: removed", flush=True)


def follow(path, act):
    for found in changes(path):
        try:
            act(found)
        except urllib.error.HTTPError as error:
            if error.code not in (404, 409):
                print(f"{found['metadata']['name']}: {error.code} {error.read().decode()}", flush=True)
        except OSError as error:
            print(f"{found['metadata']['name']}: {error}", flush=True)


threading.Thread(target=follow, args=("/api/v1/persistentvolumes", reclaim), daemon=True).start()
follow("/api/v1/persistentvolumeclaims", provision)
