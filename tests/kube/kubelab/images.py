"""Images without a registry: built here, handed to each node's containerd."""
import hashlib
import json
import os
import subprocess
import tempfile

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


def build_client():
    _stage("kube-client", "pgvigil/kube-client:1")


def build():
    """What the machines and the cluster itself need, and the client of the tests."""
    _stage("kube-node", "pgvigil/kube-node:1")
    _stage("kube-pause", layout.PAUSE)
    build_client()
    _coredns()


def _hand_over(names, command, what):
    """The engine's stream of these images into a command, without a file between them."""
    with subprocess.Popen(["docker", "save", *names], stdout=subprocess.PIPE) as saving:
        done = subprocess.run(command, stdin=saving.stdout, capture_output=True, timeout=600)
        saving.stdout.close()
    if saving.returncode != 0 or done.returncode != 0:
        raise CommandFailed(f"{what}: {done.stderr.decode(errors='replace')[-2000:]}")


# What the machines have: image name -> the engine's id.
LOADED = os.path.join(machine.STATE, "images.json")


def _loaded():
    if not os.path.exists(LOADED):
        return {}
    with open(LOADED, encoding="utf-8") as source:
        return json.load(source)


def _ids(names):
    return {n: docker("image", "inspect", "-f", "{{.Id}}", n) for n in names}


def seed(names):
    """Into the stores of all machines, before they run: unpacked once, linked for the others."""
    _hand_over(names, machine.seeder(), "loading images")
    layout.write(machine.STATE, "images.json", _ids(names))


def load(names):
    """Into containerd of every worker that runs, one after the other; those that it has not."""
    have, ids = _loaded(), _ids(names)
    new = [n for n in names if have.get(n) != ids[n]]
    for worker in layout.WORKERS if new else ():
        _hand_over(new, ["docker", "exec", "-i", machine.container(worker), "ctr", "-n", "k8s.io", "images", "import",
                         "--local", "-"], f"loading images into {worker}")
    layout.write(machine.STATE, "images.json", {**have, **ids})


def rename(names):
    """Gives images of the nodes further names, as a new release would bring them."""
    for old, new in names.items():
        full = [f"docker.io/{n if '/' in n else 'library/' + n}" for n in (old, new)]
        for worker in layout.WORKERS:
            machine.node_exec(worker, "ctr", "-n", "k8s.io", "images", "tag", "--force", *full)


def of_the_chart():
    """The images that the chart's values name; PostgreSQL's official name is given to ours, since no registry is asked."""
    with open(os.path.join(machine.HERE, "..", "..", "charts", "pgvigil", "values.yaml"), encoding="utf-8") as source:
        values = yaml.safe_load(source)
    docker("tag", "pgvigil/postgres", values["postgres"]["image"])
    names = [values[part]["image"] for part in ("postgres", "sidecar", "etcd", "controller")]
    return [n for n in names if docker("image", "ls", "-q", n)]
