"""The chart as text: what it renders to, and whether the API server takes it."""
import os

from kubelab import machine, score
from kubelab.release import CHART
from lab.docker import run

from . import DEFAULTS, case

ROOT = os.path.join(machine.HERE, "..", "..")
PLAIN = "deploy/kubernetes/pgvigil.yaml"
VARIANTS = (
    {}, {"topology": "laptop"}, {"routing": "slice"}, {"tls.mode": "make"}, {"replicas": 3},
    {"controller.watchNodes": True, "controller.labels": "spilo"}, {"storage.wal.size": "1Gi"},
    {"etcd.external.endpoints": ["etcd.example:2379"], "etcd.external.secret": "etcd"},
    {"podSecurityContext": {"runAsUser": None, "runAsGroup": None, "fsGroup": None}},
    {"networkPolicy.clients": [{"namespaceSelector": {}}], "postgresql.initSQL": "select 1;"},
)


def text_of(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as source:
        return source.read()


def rendered():
    return run(os.path.join(machine.cached("helm"), "helm"), "template", "db", CHART, "--namespace", "default",
               "--skip-tests") + "\n"


@case("manifests", short=True)
def manifests(context):
    """The API server takes every variant, fields checked strictly; two renders are equal; helm lint, kube-score; deploy/kubernetes."""
    release = context.release
    release.make_namespace()
    assert rendered() == rendered(), "two renders differ"
    assert text_of("deploy/prometheus/pgvigil.rules.yml") == text_of("charts/pgvigil/files/pgvigil.rules.yml"), \
        "the chart's Prometheus rules are not those of deploy/prometheus: make manifests"
    assert text_of(PLAIN).split("---\n", 1)[1] == rendered().split("---\n", 1)[1], \
        f"{PLAIN} is not what the chart renders: make manifests"
    run(os.path.join(machine.cached("helm"), "helm"), "lint", "--strict", CHART)
    for values in VARIANTS:  # under another name than the installation's, whose objects they would be changes of
        text = release.helm("template", "variant", CHART, "--skip-tests", *release._value_words({**DEFAULTS, **values}))
        release.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", stdin=text)
    excused = score.judge(score.findings(rendered()))
    return f"{len(VARIANTS)} variants; {excused} kinds of findings of kube-score excused by name"
