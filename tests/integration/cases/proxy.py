"""Clients behind the real HAProxy with deploy/haproxy/haproxy.cfg."""
import os
import re
import signal
import subprocess
import tempfile

import psycopg2

from lab.cluster import PASSWORDS, wait_for
from lab.writer import Writer

from . import case, now, within

TEMPLATE = os.path.join(os.path.dirname(__file__), "..", "..", "..", "deploy", "haproxy", "haproxy.cfg")


class Proxy:
    """HAProxy as a process here, on an address of this machine; looks to a Writer like the one node of a cluster."""
    name = "haproxy"

    def __init__(self, cluster, lane):
        self.cluster = cluster
        self.ip = f"127.77.{lane}.1"
        self.data = [self]
        with open(TEMPLATE) as f:
            text = f.read()
        text = text.replace("bind *:5000", f"bind {self.ip}:5432").replace("bind *:5001", f"bind {self.ip}:5433")
        for node in cluster.data:
            text = re.sub(rf"(server {node.name}) \S+:5432", rf"\1 {node.ip}:5432", text)
        with tempfile.NamedTemporaryFile("w", suffix=".cfg", delete=False) as f:
            f.write(text)
        self.file = f.name
        self.process = subprocess.Popen(["haproxy", "-db", "-f", self.file], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)

    def close(self):
        self.process.kill()
        self.process.wait()
        os.unlink(self.file)

    def rest(self, *_, **__):
        return 200, {}

    def wait_leader(self):
        return self.cluster.wait_leader()

    def leader(self):
        return self.cluster.leader()

    def reads(self):
        """Whether the second port leads to a standby."""
        connection = psycopg2.connect(host=self.ip, port=5433, user="postgres", password=PASSWORDS["postgres"],
                                      dbname="postgres", connect_timeout=2)
        try:
            with connection.cursor() as cursor:
                cursor.execute("select pg_is_in_recovery()")
                return cursor.fetchone()[0]
        finally:
            connection.close()


@case("haproxy", short=True)
def haproxy(context):
    """Writes through HAProxy during a switchover and after the primary's postmaster is killed."""
    cluster = context.up()
    proxy = Proxy(cluster, context.lane)
    context.more.append(proxy.close)
    writer = context.writer = Writer(proxy, lanes=3).start()
    writer.wait_writes(30)
    wait_for("the second port leads to a standby", proxy.reads, 10)
    old = cluster.leader()
    candidate = next(n for n in cluster.data if n is not old)
    began = now()
    status, body = old.rest("/switchover", "POST", {"leader": old.name, "candidate": candidate.name}, timeout=30)
    assert status == 200, (status, body)
    writer.wait_writes(30)
    switched = writer.gap(began - 1)
    cluster.wait_sync(60, standby=old)
    began = now()
    os.kill(candidate.postmaster(), signal.SIGKILL)
    cluster.wait_leader(30, other_than=candidate)
    writer.wait_writes(30)
    killed = writer.gap(began - 1)
    cluster.wait_sync(60, standby=candidate)
    wait_for("the second port leads to a standby again", proxy.reads, 20)
    context.settle()
    return f"{within('switchover', switched, 2.0)}, {within('postmaster killed', killed, 2.0)}"
