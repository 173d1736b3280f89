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


@case("upgrade-images", own=True)
def upgrade_images(context):
    """helm upgrade to new images of sidecar and Postgres: one switchover, no lost row."""
    release, _ = context.up()
    with open(f"{CHART}/values.yaml", encoding="utf-8") as source:
        values = yaml.safe_load(source)
    next_ones = {f"{part}.image": values[part]["image"] + "-next" for part in ("sidecar", "postgres")}
    images.rename({values[part]["image"]: next_ones[f"{part}.image"] for part in ("sidecar", "postgres")})
    writer = context.load()
    before = release.uids()
    began = writer.now()
    release.upgrade(**next_ones)
    wait_for("every pod to be another one", lambda: not release.uids() & before, 240, pause=1)
    return context.settle(began, timeout=240)


def wait_forgotten(release, name):
    """The pod is gone, and so are the member's key and slot."""
    def forgotten():
        view = release.cluster_view()
        slots = release.sql("select slot_name from pg_replication_slots")
        return all(m["name"] != name for m in view["members"]) and name.replace("-", "_") not in slots
    wait_for(f"pod {name} to be gone", lambda: release.pod(name) is None, 120)
    wait_for(f"member key and slot of {name} to be gone", forgotten, 90, pause=1)


@case("scale")
def scale(context):
    """From two data pods to three and back; the member that is gone leaves neither key nor slot."""
    release, _ = context.up()
    writer = context.load()
    began = writer.now()
    release.upgrade(replicas=3)
    release.wait_healthy(180)
    release.upgrade(replicas=2)
    wait_forgotten(release, f"{release.name}-2")
    return context.settle(began, moves=0)


@case("scale-in-primary")
def scale_in_primary(context):
    """The third data pod is primary when it is scaled away: it hands over, then it is forgotten."""
    release, primary = context.up()
    release.upgrade(replicas=3)
    release.wait_healthy(180)
    third = f"{release.name}-2"
    sync = release.sync_standby()
    if sync != third:
        release.kubectl("delete", "pod", sync, timeout=150)
        wait_for(f"{third} to be the synchronous standby", lambda: release.sync_standby() == third, 60)
    release.wait_healthy(180)
    release.kubectl("exec", primary, "-c", "sidecar", "--", "pgvigilctl", "switchover", "--candidate", third, "--force",
                    timeout=60)
    release.wait_primary(other_than=primary)
    assert release.wait_healthy(180) == third, f"{third} did not become primary"
    writer = context.load()
    began = writer.now()
    release.upgrade(replicas=2)
    wait_forgotten(release, third)
    return context.settle(began, moves=2)


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
