"""The test cluster as a whole: up, down."""
import time

from lab.docker import CommandFailed

from . import images, layout, machine
from .machine import kubectl

BASE_IMAGES = (layout.PAUSE, layout.COREDNS, "pgvigil/kube-client:1")


def wait_for(what, look, timeout, pause=0.1):
    """The first answer that is true; a late one tells what was seen last."""
    last, until = None, time.monotonic() + timeout
    while True:
        try:
            last = look()
            if last:
                return last
        except CommandFailed as error:
            last = error
        if time.monotonic() > until:
            raise TimeoutError(f"{what}: not within {timeout} s; seen last: {last}")
        time.sleep(pause)


def _ready_nodes():
    out = kubectl("get", "nodes", "-o", 'jsonpath={range .items[*]}{.metadata.name} '
                  '{.status.conditions[?(@.type=="Ready")].status}{"\\n"}{end}')
    return sum(1 for line in out.splitlines() if line.endswith(" True"))


def up(say=print, more_images=()):
    """A cluster whose DNS answers. One that is up already is given the images that are new."""
    began = time.monotonic()

    def told(what):
        say(f"{time.monotonic() - began:5.1f} s  {what}")
    if machine.is_up() and machine.try_ready():
        images.load([*BASE_IMAGES, *more_images])
        told("the cluster is up already; images that are new are loaded")
        return
    machine.end()
    images.build()
    told("images of the machines are there")
    machine.start_control()
    images.seed([*BASE_IMAGES, *more_images])
    told("images loaded")
    machine.start_workers()
    told("machines started")
    wait_for("the API server", machine.try_ready, 60)
    wait_for("the manifests of DNS and storage",
             lambda: kubectl("apply", "-f", f"{machine.FILES}/manifests.json"), 30)
    wait_for("four ready nodes", lambda: _ready_nodes() == len(layout.WORKERS), 60)
    told("nodes ready")
    kubectl("-n", "kube-system", "rollout", "status", "deployment/coredns", "--timeout=90s", timeout=100)
    told("DNS answers")
