#!/usr/bin/env python3
"""The demo: forms a cluster, writes, kills the primary's postmaster, then a whole node, and shows the gap
that the writer saw each time."""
import os
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from lab.cluster import Cluster, Timeout, wait_for  # noqa: E402
from lab.writer import Writer  # noqa: E402

NAME = os.environ.get("DEMO_NAME", "pgvigil-demo")
LANE = int(os.environ.get("DEMO_LANE", "250"))
COLOUR = sys.stdout.isatty()


def paint(text, code):
    return f"\033[{code}m{text}\033[0m" if COLOUR else text


def head(text):
    print("\n" + paint(text, "1;36"), flush=True)


def line(text):
    print(f"  {text}", flush=True)


class Progress:
    """A word now and then while something takes longer than two seconds."""

    def __init__(self, what, look=lambda: ""):
        self.what, self.look, self.ended = what, look, threading.Event()

    def __enter__(self):
        self.began = time.monotonic()
        threading.Thread(target=self._tell, daemon=True).start()
        return self

    def __exit__(self, kind, *_):
        self.ended.set()
        took = time.monotonic() - self.began
        if kind is None:
            line(f"{paint('ok', '32')}  {self.what}  ({took:.1f} s)")

    def _tell(self):
        while not self.ended.wait(2):
            try:
                word = self.look()
            except Exception:  # a progress line must not end the demo
                word = ""
            if self.ended.is_set():  # while it looked
                return
            line(f"    … {self.what}, {time.monotonic() - self.began:.0f} s{': ' + word if word else ''}")


def why(node):
    """What the node itself says that it is doing."""
    try:
        own = node.rest("/patroni", timeout=1)[1]["pgvigil"]
        # what it would decide now is no news while it is at something
        return f"{node.name}: {own['running'] + ', ' + own['step'] if 'running' in own else own['reason']}"
    except (OSError, KeyError, TypeError):
        return ""


def doing(cluster):
    return "; ".join(w for w in (why(n) for n in cluster.data) if w)


def table(cluster):
    body = wait_for("an answer of /cluster", cluster.view, 20)
    line(paint(f"{'member':8} {'role':14} {'state':12} {'timeline':>8}  lag", "1"))
    for member in body["members"]:
        line(f"{member['name']:8} {member['role']:14} {member['state']:12} {str(member.get('timeline', '')):>8}  "
             f"{member.get('lag', '')}")
    for witness in body.get("witness", []):
        line(f"{witness['name'] if isinstance(witness, dict) else witness:8} witness")


def show_failover(node, since):
    """The lines of a node's log that tell of the failover."""
    words = ("plan: take", "plan: release", "plan: hand", "race:", "release-to", "demote", "fence", "sync:")
    told = node.logs(since=since)
    for log_line in told.splitlines():
        if f" {node.name} " in log_line and any(w in log_line for w in words):
            line(paint(log_line[11:165], "2"))


def broken(cluster, writer, title, act, heal):
    head(title)
    old = cluster.leader()
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    began = time.monotonic()
    act(old)
    with Progress("another node has become primary", lambda: doing(cluster)):
        new = cluster.wait_leader(60, other_than=old)
    writer.wait_writes(30)
    gap = writer.gap(began - 1, time.monotonic())
    line(f"primary was {old}, is {paint(new.name, '1;32')}; the writer saw a gap of {paint(f'{gap:.2f} s', '1;33')}")
    show_failover(new, since)
    heal(old)
    with Progress(f"{old} is back as synchronous standby", lambda: doing(cluster)):
        cluster.wait_sync(120, standby=old)
    table(cluster)
    return gap


def kill_postmaster(node):
    line(f"kill -9 of the postmaster of {node}")
    os.kill(node.postmaster(), signal.SIGKILL)


def up(cluster):
    head("A cluster of two data nodes and a witness")
    with Progress("containers and their network are there"):
        cluster.make()
        cluster.start()
    with Progress("three etcd members, a primary", lambda: doing(cluster)):
        cluster.wait_leader(180)
    with Progress("a synchronous standby", lambda: doing(cluster)):
        cluster.wait_sync(180)
    with Progress("three voters"):
        wait_for("three voters", lambda: len(cluster.voters_started()) == 3, 120, 0.3)
    table(cluster)


def farewell(cluster):
    leader = cluster.leader()
    head("The cluster goes on running. Look at it, break it, end it:")
    line(f"docker exec {cluster.data[0].container} pgvigilctl -c /etc/pgvigil/pgvigil.yml list")
    line(f"curl -s http://{leader.ip}:8008/cluster")
    line(f"PGPASSWORD=demo-superuser psql 'host={','.join(n.ip for n in cluster.data)} user=postgres "
         "target_session_attrs=read-write'")
    line(f"docker logs -f {leader.container}")
    line(f"docker kill {leader.container}        docker start {leader.container}")
    line("make demo-down")


def down():
    cluster = Cluster(NAME, LANE)
    cluster.destroy()
    print("the demo is down, nothing of it is left")


def play():
    cluster = Cluster(NAME, LANE, ttl=int(os.environ.get("DEMO_TTL", "10")))
    up(cluster)
    with Writer(cluster) as writer:
        writer.wait_writes(30)
        broken(cluster, writer, "The primary's postmaster is killed", kill_postmaster, lambda node: None)

        def kill_node(node):
            line(f"the whole node {node} is gone (ttl {cluster.ttl} s)")
            node.kill()

        broken(cluster, writer, "A whole node is lost", kill_node, lambda node: node.start())
    leader = cluster.wait_leader()
    missing = writer.missing(leader)
    head("What was acknowledged")
    line(f"{len(writer.acks)} commits were acknowledged, {paint(str(len(missing)), '1;31' if missing else '1;32')} are missing")
    if missing:
        return 1
    farewell(cluster)
    return 0


def main():
    if sys.argv[1:] == ["down"]:
        down()
        return 0
    try:
        return play()
    except Timeout as error:
        print(f"\ndemo: {error}\nThe containers {NAME}-* are left as they are; `docker logs {NAME}-n1` tells more; "
              "`make demo-down` ends them.", file=sys.stderr)
        return 1


sys.exit(main())
