"""kube-score on what the chart renders: what it finds and is not excused here by name, with the reason."""
import json
import os
import subprocess

from . import machine

ANY = "*"
# (check, object, finding): why it is as it is.
EXCUSED = {
    ("container-resources", ANY, "CPU limit is not set"):
        "a throttled sidecar or postmaster misses its deadlines; who wants a limit sets resources in the values",
    ("container-resources", "StatefulSet/apps/v1//db", "Memory limit is not set"):
        "of postgres alone: the limit belongs to shared_buffers and work_mem, which a person sets",
    ("container-ephemeral-storage-request-and-limit", ANY, "Ephemeral Storage limit is not set"):
        "root file systems are read-only and every emptyDir has its size limit",
    ("container-ephemeral-storage-request-and-limit", ANY, "Ephemeral Storage request is not set"):
        "as the limit",
    ("container-image-pull-policy", ANY, "ImagePullPolicy is not set to Always"):
        "tags are exact; a registry that is away must not keep a pod from coming back",
    ("container-security-context-user-group-id", ANY, "The container is running with a low user ID"):
        "the uid of postgres in Debian's images, which the files on claims belong to; a value",
    ("container-security-context-user-group-id", ANY, "The container running with a low group ID"):
        "as the uid",
    ("deployment-replicas", "Deployment/apps/v1//db-witness", "Deployment few replicas"):
        "the witness is one vote",
    ("networkpolicy-targets-pod", "NetworkPolicy/networking.k8s.io/v1//db-jobs",
     "The NetworkPolicys selector doesn't match any pods"):
        "pods of helm test and of the hook, which are rendered when they run",
    ("service-targets-pod", "Service/v1//db-primary", "The services selector does not match any pods"):
        "the controller sets the role label",
    ("service-targets-pod", "Service/v1//db-replicas", "The services selector does not match any pods"):
        "the controller sets the role label",
}


def findings(manifests):
    """What kube-score has to say of them: (check, object, finding)."""
    program = os.path.join(machine.cached("kube-score"), "kube-score")
    done = subprocess.run([program, "score", "--kubernetes-version", "v1.29", "--output-format", "json", "-"],
                          input=manifests, capture_output=True, text=True, timeout=60, check=False)
    if not done.stdout.startswith("["):
        raise AssertionError(f"kube-score: {done.stderr or done.stdout}")
    return {(check["check"]["id"], scored["object_name"], comment["summary"])
            for scored in json.loads(done.stdout) for check in scored["checks"]
            if not check["skipped"] and check["grade"] < 10
            for comment in check["comments"] or [{"summary": ""}]}


def judge(found):
    """Fails on what is not excused, and on an excuse that nothing needs any more."""
    used = {excuse for excuse in EXCUSED for finding in found
            if (finding[0], finding[2]) == (excuse[0], excuse[2]) and excuse[1] in (ANY, finding[1])}
    open_ = [f for f in sorted(found) if f not in used and (f[0], ANY, f[2]) not in used]
    assert not open_, f"kube-score finds what is not excused in kubelab/score.py: {open_}"
    idle = sorted(set(EXCUSED) - used)
    assert not idle, f"kubelab/score.py excuses what kube-score does not find any more: {idle}"
    return len(used)
