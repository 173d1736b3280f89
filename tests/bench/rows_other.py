"""What a cluster costs at rest, how fast its REST API answers, how soon it is there."""
import os
import re
import socket
import subprocess
import threading
import time

from clusters import PATRONI, SIDECAR, etcd_requests, now, synchronous_on
from lab.cluster import wait_for
from lab.docker import docker

TICK = os.sysconf("SC_CLK_TCK")


# --- at rest ---

def memory_in(rollup):
    """{"Private_Dirty", "Pss", "Anonymous", "Rss"} in MB, of the text of a smaps_rollup."""
    found = re.findall(r"^(Private_Dirty|Pss|Anonymous|Rss):\s+(\d+) kB", rollup, re.M)
    return {name: int(kb) / 1024 for name, kb in found}


def memory_of(pid):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return memory_in(f.read())


def cpu_of(pid):
    """Seconds of processor time, all threads, kernel and user."""
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def managers(cluster, patroni):
    """{node name: pid} of what manages Postgres. Patroni as PID 1 is a small reaper with the real one as its child."""
    found = {}
    for node in cluster.nodes:
        pids = sorted(node.pids(PATRONI if patroni else SIDECAR))[-1 if patroni else 0:]
        if len(pids) != 1:
            raise OSError(f"{node}: {len(pids)} processes match")
        found[node.name] = pids[0]
    return found


def at_rest(cluster, patroni, wanted, span, each):
    """`wanted` looks at the last `span` seconds; each(figures of one look), each(None) while the first span passes."""
    pids = managers(cluster, patroni)
    step = span / 20
    looks = []
    while len(looks) < 20 + wanted:
        looks.append((now(), {n: cpu_of(p) for n, p in pids.items()}, etcd_requests(cluster)))
        if len(looks) > 20:
            then, cpu, requests = looks[-21]
            seconds = looks[-1][0] - then
            each({"seconds": round(seconds, 2), "memory": {n: memory_of(p) for n, p in pids.items()},
                  "cpu": {n: 100 * (looks[-1][1][n] - cpu[n]) / seconds for n in pids},
                  "requests": {m: round(60 * (count - requests.get(m, 0)) / seconds, 1)
                               for m, count in looks[-1][2].items() if count > requests.get(m, 0)}})
        else:
            each(None)
        time.sleep(step)


# --- REST ---

def sequential(node, count):
    """Milliseconds of each of `count` requests, one after the other on one connection; a server that closes is
    connected to anew, within the time of the request."""
    request = f"GET /primary HTTP/1.1\r\nHost: {node.ip}:8008\r\n\r\n".encode()
    times = []
    connection = None
    for _ in range(count):
        began = now()
        if connection is None:
            connection = socket.create_connection((node.ip, 8008), timeout=5)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(request)
        keep = answer_read(connection)
        times.append(1000 * (now() - began))
        if not keep:
            connection.close()
            connection = None
    if connection is not None:
        connection.close()
    return times


def answer_read(connection):
    """Reads one answer of status 200; false where the server ends the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += received(connection)
    head, body = data.split(b"\r\n\r\n", 1)
    if b" 200 " not in head.split(b"\r\n", 1)[0]:
        raise OSError(f"GET /primary: {head[:60]!r}")
    length = re.search(rb"(?im)^content-length:\s*(\d+)", head)
    if length is None:
        while connection.recv(65536):
            pass
        return False
    while len(body) < int(length.group(1)):
        body += received(connection)
    return head.startswith(b"HTTP/1.1") and not re.search(rb"(?im)^connection:\s*close", head)


def received(connection):
    data = connection.recv(65536)
    if not data:
        raise OSError("the server closed the connection")
    return data


def throughput(node, seconds):
    """Requests per second of 8 connections."""
    done = subprocess.run(["wrk", "-t", "1", "-c", "8", "-d", f"{seconds}s", f"http://{node.ip}:8008/primary"],
                          capture_output=True, text=True, timeout=seconds + 30)
    found = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", done.stdout)
    if done.returncode != 0 or not found or bad:
        raise OSError(f"wrk: {(done.stdout + done.stderr)[-400:]}")
    return float(found.group(1))


# --- from nothing ---

def form(cluster, timeout=120):
    """Starts all nodes of a made cluster at once; seconds from the command to a streaming synchronous standby."""
    began = now()
    threads = [threading.Thread(target=docker, args=("start", n.container)) for n in cluster.nodes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    started = now() - began
    standby = wait_for("a synchronous standby", lambda: synchronous_on(cluster.data), timeout, 0.02)
    took = now() - began
    leader = next(n for n in cluster.data if n is not standby)
    state = leader.sql("select state || '/' || sync_state from pg_stat_replication")
    if ("streaming/sync",) not in state:
        raise OSError(f"{standby} calls itself synchronous, {leader} sees {state}")
    return took, {"containers_started": round(started, 3)}
