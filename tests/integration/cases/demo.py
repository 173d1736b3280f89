"""The demo, in short."""
import os
import subprocess
import sys

from . import case

DEMO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "deploy", "demo", "demo.py")


@case("demo-short", demo=True)
def demo_short(context):
    """`make demo` with ttl 3 from the first line to the last, then down: nothing is left."""
    environment = {**os.environ, "DEMO_NAME": context.name, "DEMO_LANE": str(context.lane), "DEMO_TTL": "3"}
    done = subprocess.run([sys.executable, DEMO], env=environment, capture_output=True, text=True, timeout=240)
    print(done.stdout, flush=True)
    down = subprocess.run([sys.executable, DEMO, "down"], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, (done.stdout + done.stderr)[-2000:]
    assert "0 are missing" in done.stdout and "goes on running" in done.stdout, done.stdout[-2000:]
    left = [subprocess.run(["docker", *what, "--filter", f"label=pgvigil={context.name}"], capture_output=True,
                           text=True).stdout.strip() for what in (["ps", "-aq"], ["volume", "ls", "-q"],
                                                                  ["network", "ls", "-q"])]
    assert down.returncode == 0 and not any(left), (down.stdout, down.stderr, left)
