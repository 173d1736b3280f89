"""Images without a registry: built here, handed to each node's containerd."""
import hashlib
import os
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor

import yaml

from lab.docker import CommandFailed, docker

from . import layout, machine

os.environ["DOCKER_BUILDKIT"] = "0"


def _label(image):
    try:
        return docker("image", "inspect", "-f", '{{index .Config.Labels "pgvigil.recipe"}}', image)
    except CommandFailed:
        return None


def _stage(target, image):
    """A stage of tests/kube/Dockerfile, if it is not what that file says."""
    with open(os.path.join(machine.HERE, "Dockerfile"), encoding="utf-8") as source:
        text = source.read()
    recipe = hashlib.sha256(text.encode()).hexdigest()[:16]
    if _label(image) != recipe:
        docker("build", "--target", target, "-t", image, "--label", f"pgvigil.recipe={recipe}", "-", stdin=text,
               timeout=1800)


def _coredns():
    """Its program and nothing else. The tag is enough to know it by: it carries the version."""
    folder = machine.cached("coredns")
    recipe = os.path.basename(folder)
    if _label(layout.COREDNS) == recipe:
        return
    with tempfile.TemporaryDirectory(dir=folder) as context:
        os.link(os.path.join(folder, "coredns"), os.path.join(context, "coredns"))
        with open(os.path.join(context, "Dockerfile"), "w", encoding="ascii") as out:
            out.write('FROM scratch\nCOPY coredns /coredns\nENTRYPOINT ["/coredns"]\n')
        docker("build", "-t", layout.COREDNS, "--label", f"pgvigil.recipe={recipe}", context, timeout=300)


def build():
    """What the machines and the cluster itself need, and the client of the tests."""
    _stage("kube-node", "pgvigil/kube-node:1")
    _stage("kube-pause", layout.PAUSE)
    _stage("kube-client", "pgvigil/kube-client:1")
    _coredns()


def load(names, workers=layout.WORKERS):
    """Into containerd of every worker, side by side: each reads the same stream of the engine's."""
    def one(worker):
        done = subprocess.run(["docker", "exec", "-i", machine.container(worker), "ctr", "-n", "k8s.io", "images",
                               "import", "--local", "-"], stdin=streams[worker], capture_output=True, timeout=600)
        streams[worker].close()
        if done.returncode != 0:
            raise CommandFailed(f"loading images into {worker}: {done.stderr.decode(errors='replace')[-2000:]}")
    with tempfile.NamedTemporaryFile() as packed:
        subprocess.run(["docker", "save", "-o", packed.name, *names], check=True, timeout=600)
        streams = {w: open(packed.name, "rb") for w in workers}
        with ThreadPoolExecutor(len(workers)) as pool:
            list(pool.map(one, workers))


def of_the_chart():
    """The images that the chart's values name; PostgreSQL's official name is given to ours, since no registry is asked."""
    with open(os.path.join(machine.HERE, "..", "..", "charts", "pgvigil", "values.yaml"), encoding="utf-8") as source:
        values = yaml.safe_load(source)
    docker("tag", "pgvigil/postgres", values["postgres"]["image"])
    names = [values[part]["image"] for part in ("postgres", "sidecar", "etcd", "controller")]
    return [n for n in names if docker("image", "ls", "-q", n)]
