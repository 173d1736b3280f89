"""Changes that a person makes: settings, images, numbers of pods, wrong values."""
import yaml

from kubelab import images
from kubelab.cluster import wait_for
from kubelab.release import CHART
from lab.docker import CommandFailed, docker

from . import DEFAULTS, case


@case("rolling-restart", both=True)
def rolling_restart(context):
    """A changed pod template: standby and witness first, then the primary after a switchover."""
    release, _ = context.up()
    writer = context.load()
    before = release.uids()
    began = writer.now()
    release.upgrade(**{"podAnnotations": {"rolled": str(began)}})
    wait_for("every pod to be another one", lambda: not release.uids() & before, 240, pause=1)
    return context.settle(began, timeout=240)


@case("upgrade-parameter")
def upgrade_parameter(context):
    """helm upgrade with another max_connections: restarted in order, without a pod being made anew."""
    release, _ = context.up()
    writer = context.load()
    before = release.uids()
    began = writer.now()
    release.upgrade(**{"postgresql.parameters.max_connections": 120})

    def taken():
        return all(release.sql("show max_connections", p["metadata"]["name"]) == ["120"] for p in release.pods("data"))
    wait_for("max_connections 120 on every data pod", taken, 240, pause=1)
    words = context.settle(began, timeout=240, moves=0)
    assert release.uids() == before, "a pod was made anew for a parameter"
    return words


@case("upgrade-images")
def upgrade_images(context):
    """helm upgrade to new images of sidecar and Postgres: one switchover, no lost row."""
    release, _ = context.up()
    with open(f"{CHART}/values.yaml", encoding="utf-8") as source:
        values = yaml.safe_load(source)
    next_ones = {f"{part}.image": values[part]["image"] + "-next" for part in ("sidecar", "postgres")}
    images.rename({values[part]["image"]: next_ones[f"{part}.image"] for part in ("sidecar", "postgres")}, context.machine)
    writer = context.load()
    before = release.uids()
    began = writer.now()
    release.upgrade(**next_ones)
    wait_for("every pod to be another one", lambda: not release.uids() & before, 240, pause=1)
    return context.settle(began, timeout=240)


@case("scale")
def scale(context):
    """From two data pods to three and back; the member that is gone leaves neither key nor slot."""
    release, primary = context.up()
    writer = context.load()
    began = writer.now()
    release.upgrade(replicas=3)
    release.wait_healthy(180)
    release.upgrade(replicas=2)
    wait_for("the third pod to be gone", lambda: release.pod(f"{release.name}-2") is None, 120)

    def forgotten():
        view = release.cluster_view()
        slots = release.sql("select slot_name from pg_replication_slots")
        return all(m["name"] != f"{release.name}-2" for m in view["members"]) and not any("2" in s for s in slots)
    wait_for("member key and slot of the third to be gone", forgotten, 90, pause=1)
    return context.settle(began, moves=0)


@case("wrong-values", short=True)
def wrong_values(context):
    """What cannot work is refused before anything is made, with words that help."""
    context.release.make_namespace()
    wrong = [({"replicas": 1}, "replicas"), ({"ttl": "7"}, "ttl"), ({"synchronousMode": "quorum"}, "synchronousMode"),
             ({"postgres.image": "postgres:latest"}, "exact tag"), ({"rotuing": "slice"}, "rotuing"),
             ({"postgresql.parameters.synchronous_standby_names": "*"}, "synchronous_standby_names")]
    for values, word in wrong:
        try:
            context.release.helm("template", "wrong", "charts/pgvigil",
                                 *context.release._value_words({**DEFAULTS, **values}))
        except CommandFailed as error:
            assert word in str(error), f"{values}: refused without naming {word}: {error}"
        else:
            raise AssertionError(f"{values} was taken")
    return f"{len(wrong)} refused"
