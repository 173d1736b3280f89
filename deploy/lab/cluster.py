"""Nodes as containers on a network of their own: made, started, stopped, cut off, looked at."""
import json
import os
import re
import time
import urllib.error
import urllib.request

import psycopg2
import yaml

from .docker import CommandFailed, docker, in_network_of, is_running, pid_of, run

IMAGE = os.environ.get("NODE_IMAGE", "pgvigil/node")
PASSWORDS = {"postgres": "demo-superuser", "replicator": "demo-replication", "rewinder": "demo-rewind"}
DATA = "/var/lib/pgvigil"
PG = os.environ.get("PG") or "17"
BIN = f"/usr/lib/postgresql/{PG}/bin"


class Timeout(Exception):
    pass


def wait_for(what, look, timeout, pause=0.05):
    """Waits until look() is true and returns it; else says what was seen last."""
    end = time.monotonic() + timeout
    last = None
    while True:
        try:
            last = look()
            if last:
                return last
        except (OSError, CommandFailed, psycopg2.Error, ValueError, KeyError) as error:
            last = error
        if time.monotonic() > end:
            raise Timeout(f"{what}: not within {timeout} s; last seen: {last!r}")
        time.sleep(pause)


class Node:
    def __init__(self, cluster, name, number, witness):
        self.cluster = cluster
        self.name = name
        self.witness = witness
        self.ip = f"{cluster.subnet}.{10 + number}"
        self.container = f"{cluster.name}-{name}"
        self.volume = f"{cluster.name}-{name}"

    def __repr__(self):
        return self.name

    # --- life ---

    def create(self):
        docker("volume", "create", "--label", f"pgvigil={self.cluster.name}", self.volume)
        command = ["pgvigil-sidecar"] + (["--witness"] if self.witness else []) + ["/etc/pgvigil/pgvigil.yml"]
        options = ["--cap-add", "SYS_PTRACE"] if os.environ.get("LAB_TRACE") else []
        docker("create", "--name", self.container, "--hostname", self.name, "--network", self.cluster.network,
               "--ip", self.ip, "--label", f"pgvigil={self.cluster.name}", "--shm-size", "256m",
               "-v", f"{self.volume}:{DATA}", *options, self.cluster.image, *command)
        self.configure(self.cluster.config_of(self))

    def configure(self, config):
        """Writes the node's configuration into its container, which may be stopped."""
        import io
        import subprocess
        import tarfile
        content = yaml.safe_dump(config, sort_keys=False).encode()
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            entry = tarfile.TarInfo("pgvigil.yml")
            entry.size, entry.mode, entry.uid, entry.gid = len(content), 0o600, 999, 999
            tar.addfile(entry, io.BytesIO(content))
        subprocess.run(["docker", "cp", "-", f"{self.container}:/etc/pgvigil/"], input=packed.getvalue(),
                       check=True, capture_output=True, timeout=60)

    def start(self):
        docker("start", self.container)

    def stop(self, grace=30):
        docker("stop", "-t", str(grace), self.container, timeout=grace + 60)

    def kill(self):
        """The node is gone at once: every process of it, and its network with them."""
        docker("kill", self.container)

    def remove(self, volume=True):
        docker("rm", "-f", self.container, check=False)
        if volume:
            docker("volume", "rm", "-f", self.volume, check=False)

    def recreate(self, empty=False):
        """Another container of the same name and address; its disk empty if so said."""
        docker("rm", "-f", self.container, check=False)
        if empty:
            docker("volume", "rm", "-f", self.volume)
        self.create()
        self.start()

    def on_volume(self, script, stdin=None, timeout=60):
        """Runs a shell script on the volume of a stopped node; what it printed."""
        return run("docker", "run", "--rm", "-i", "--user", "postgres", "--network", "none", "--entrypoint", "sh",
                   "-v", f"{self.volume}:{DATA}", self.cluster.image, "-ec", script, stdin=stdin, timeout=timeout)

    def wipe(self, folder):
        """Removes <volume>/<folder> of a stopped node."""
        self.on_volume(f"rm -rf {DATA}/{folder}")

    @property
    def running(self):
        return is_running(self.container)

    # --- inside ---

    def exec(self, *argv, user="postgres", timeout=60, check=True):
        return docker("exec", "-u", user, self.container, *argv, timeout=timeout, check=check)

    def processes(self):
        """[(pid as this machine sees it, command line)] of the node."""
        try:
            root = pid_of(self.container)
            namespace = os.readlink(f"/proc/{root}/ns/pid")
        except (CommandFailed, OSError):
            return []
        found = []
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                if os.readlink(f"/proc/{entry}/ns/pid") != namespace:
                    continue
                with open(f"/proc/{entry}/cmdline", "rb") as f:
                    found.append((int(entry), f.read().replace(b"\0", b" ").decode(errors="replace").strip()))
            except OSError:
                continue
        return found

    def pids(self, pattern):
        return [pid for pid, line in self.processes() if re.search(pattern, line)]

    def postmaster(self):
        """The pid of the postmaster as this machine sees it; None when there is none."""
        found = self.pids(r"^\S*/?postgres .*(-D|data)")
        return found[0] if found else None

    def signal(self, pattern, signum):
        """Sends a signal to the processes whose command line matches; how many there were."""
        pids = self.pids(pattern)
        for pid in pids:
            try:
                os.kill(pid, signum)
            except ProcessLookupError:
                pass
        return len(pids)

    def logs(self, since=None):
        more = ["--since", since] if since else []
        import subprocess
        done = subprocess.run(["docker", "logs", *more, self.container], capture_output=True, text=True,
                              errors="replace", timeout=60)
        return done.stdout + done.stderr

    # --- network ---

    def _nft(self, script):
        in_network_of(self.container, "nft", "-f", "-", stdin=script)

    def cut(self, others=None, inbound=True, outbound=True):
        """Drops packets from and to the given nodes, or all: no RST, just silence."""
        peers = "" if others is None else "{ " + ", ".join(n.ip for n in others) + " }"
        rules = ["add table inet cut", "flush table inet cut"]
        if inbound:
            rules.append("add chain inet cut in { type filter hook prerouting priority -400; }")
            rules.append(f"add rule inet cut in iifname eth0 {'ip saddr ' + peers if peers else ''} drop")
        if outbound:
            rules.append("add chain inet cut out { type filter hook postrouting priority 400; }")
            rules.append(f"add rule inet cut out oifname eth0 {'ip daddr ' + peers if peers else ''} drop")
        self._nft("\n".join(rules) + "\n")

    def cut_ports(self, others, ports, inbound=True, outbound=True):
        """Drops TCP with these ports on either end, from and to the given nodes."""
        peers = "{ " + ", ".join(n.ip for n in others) + " }"
        plist = "{ " + ", ".join(str(p) for p in ports) + " }"
        rules = ["add table inet cut", "flush table inet cut"]
        if inbound:
            rules.append("add chain inet cut in { type filter hook prerouting priority -400; }")
            rules += [f"add rule inet cut in ip saddr {peers} tcp {end} {plist} drop" for end in ("sport", "dport")]
        if outbound:
            rules.append("add chain inet cut out { type filter hook postrouting priority 400; }")
            rules += [f"add rule inet cut out ip daddr {peers} tcp {end} {plist} drop" for end in ("sport", "dport")]
        self._nft("\n".join(rules) + "\n")

    def heal(self):
        self._nft("add table inet cut\ndelete table inet cut\n")

    # --- from outside ---

    def rest(self, path, method="GET", body=None, timeout=2.0, auth=True):
        """(status, parsed JSON or text)."""
        request = urllib.request.Request(f"http://{self.ip}:8008{path}", method=method)
        if auth and method != "GET":
            import base64
            request.add_header("Authorization", "Basic " + base64.b64encode(b"admin:demo-rest").decode())
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                status, text = answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read().decode()
        try:
            return status, json.loads(text)
        except ValueError:
            return status, text

    def connect(self, user="postgres", dbname="postgres", timeout=2, options=""):
        return psycopg2.connect(host=self.ip, port=5432, user=user, password=PASSWORDS.get(user, ""), dbname=dbname,
                                connect_timeout=timeout, application_name="lab", options=options,
                                tcp_user_timeout=int(timeout * 1000))

    def sql(self, query, *args, timeout=5, options=""):
        """Rows of one query (autocommit); [] for commands without a result."""
        connection = self.connect(options=f"-c statement_timeout={int(timeout * 1000)} {options}")
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(query, args or None)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()


class Cluster:
    """`data` data nodes n1, n2 …, and a witness w; a network of its own."""

    def __init__(self, name, lane=0, data=2, ttl=10, dcs=None, image=IMAGE, edit=None):
        self.name = name
        self.image = image
        self.network = name
        self.subnet = f"10.213.{lane}"
        self.ttl = ttl
        self.dcs = dcs or {}
        self.edit = edit
        self.nodes = [Node(self, f"n{i + 1}", i + 1, False) for i in range(data)]
        self.nodes.append(Node(self, "w", 9, True))
        self.voters = [self.nodes[0], self.nodes[1], self.nodes[-1]]

    @property
    def data(self):
        return [n for n in self.nodes if not n.witness]

    @property
    def witness(self):
        return self.nodes[-1]

    def node(self, name):
        return next(n for n in self.nodes if n.name == name)

    def config_of(self, node):
        config = {
            "scope": "demo",
            "name": node.name,
            "restapi": {"listen": "0.0.0.0:8008", "connect_address": f"{node.ip}:8008",
                        "authentication": {"username": "admin", "password": "demo-rest"}},
            "bootstrap": {"dcs": {"ttl": self.ttl, "synchronous_mode": True, **self.dcs,
                                  "postgresql": {"use_pg_rewind": True, "use_slots": True,
                                                 "parameters": {"max_connections": 60},
                                                 **self.dcs.get("postgresql", {})}}},
            "pgvigil": {
                "state_dir": f"{DATA}/pgvigil" if not node.witness else f"{DATA}/etcd/pgvigil",
                "etcd": {
                    "members": [{"name": v.name, "peer_url": f"http://{v.ip}:2380",
                                 "client_url": f"http://{v.ip}:2379", "api_url": f"http://{v.ip}:8008"}
                                for v in self.voters],
                    "data_dir": f"{DATA}/etcd/data",
                },
            },
        }
        if not node.witness:
            config["postgresql"] = {
                "listen": "0.0.0.0:5432",
                "connect_address": f"{node.ip}:5432",
                "data_dir": f"{DATA}/pg/data",
                "bin_dir": BIN,
                "authentication": {
                    "superuser": {"username": "postgres", "password": PASSWORDS["postgres"]},
                    "replication": {"username": "replicator", "password": PASSWORDS["replicator"]},
                    "rewind": {"username": "rewinder", "password": PASSWORDS["rewinder"]},
                },
                "pg_hba": ["local all all scram-sha-256",
                           "host all all 0.0.0.0/0 scram-sha-256",
                           "host replication all 0.0.0.0/0 scram-sha-256"],
                "parameters": {"shared_buffers": "64MB", "max_wal_size": "512MB",
                               "unix_socket_directories": "/tmp"},
            }
            config["pgvigil"]["state_dir"] = f"{DATA}/pg/pgvigil"
        if self.edit:
            self.edit(node, config)
        return config

    # --- life ---

    def make(self):
        self.destroy()
        docker("network", "create", "--label", f"pgvigil={self.name}", "--subnet", f"{self.subnet}.0/24", self.network)
        for node in self.nodes:
            node.create()

    def start(self, nodes=None):
        for node in nodes or self.nodes:
            node.start()

    def destroy(self):
        for kind, remove in (("ps", ("rm", "-f", "-v")), ("volume", ("volume", "rm", "-f")),
                             ("network", ("network", "rm"))):
            listing = ["ps", "-aq"] if kind == "ps" else [kind, "ls", "-q"]
            found = docker(*listing, "--filter", f"label=pgvigil={self.name}").split()
            if found:
                docker(*remove, *found, check=False, timeout=120)

    # --- looking ---

    def view(self):
        """/cluster as the first node that answers tells it."""
        last = None
        for node in self.nodes:
            try:
                status, body = node.rest("/cluster", timeout=1)
                if status == 200:
                    return body
            except OSError as error:
                last = error
        raise OSError(f"no node answers: {last}")

    def leader(self):
        """The node that says of itself that it is the primary; None."""
        for node in self.data:
            try:
                if node.rest("/primary", timeout=1)[0] == 200:
                    return node
            except OSError:
                continue
        return None

    def wait_leader(self, timeout=60, other_than=None):
        def look():
            leader = self.leader()
            return leader if leader is not None and leader is not other_than else None
        return wait_for(f"a leader{f' other than {other_than}' if other_than else ''}", look, timeout)

    def etcd(self, *argv, node=None, timeout=10):
        """etcdctl in a node's container, against its own member."""
        nodes = [node] if node else [n for n in self.voters if n.running]
        last = None
        for candidate in nodes:
            try:
                return candidate.exec("etcdctl", f"--endpoints=http://{candidate.ip}:2379", *argv, timeout=timeout)
            except CommandFailed as error:
                last = error
        raise last or CommandFailed("no node runs")

    def key(self, name):
        """A key of the cluster; None when it is absent."""
        out = self.etcd("get", f"/service/demo/{name}", "-w", "json")
        import base64
        kvs = json.loads(out).get("kvs")
        return base64.b64decode(kvs[0].get("value", "")).decode() if kvs else None

    def sync_standbys(self):
        sync = json.loads(self.key("sync") or "{}")
        return sorted((sync.get("sync_standby") or "").split(",")) if sync.get("sync_standby") else []

    def wait_sync(self, timeout=90, standby=None):
        """Until /sync names a standby (that one) and it is streaming."""
        def look():
            names = self.sync_standbys()
            return names if names and (standby is None or standby.name in names) else None
        return wait_for("a synchronous standby in /sync", look, timeout)

    def voters_started(self):
        """Names of the nodes whose own sidecar says that their etcd member is a started voter."""
        def votes(node):
            try:
                return node.rest("/pgvigil/etcd", timeout=1)[1].get("voter")
            except (OSError, AttributeError):
                return False
        return [n.name for n in self.voters if votes(n)]

    def wait_healthy(self, timeout=120):
        """A primary, its sync standbys, three voters."""
        leader = self.wait_leader(timeout)
        self.wait_sync(timeout)
        wait_for("three etcd voters", lambda: len(self.voters_started()) == 3, timeout, pause=0.3)
        return leader

    def raft_leader(self):
        """The node whose etcd member leads raft."""
        for node in self.voters:
            if not node.running:
                continue
            try:
                out = json.loads(node.exec("etcdctl", f"--endpoints=http://{node.ip}:2379", "endpoint", "status",
                                           "-w", "json", timeout=10))
                status = out[0]["Status"]
                if status["leader"] == status["header"]["member_id"]:
                    return node
            except (CommandFailed, ValueError, IndexError):
                continue
        return None

    def lease_left(self):
        """Seconds for which the leader holds the key without another renewal."""
        text = self.wait_leader(10).rest("/metrics")[1]
        return float(re.search(r"^pgvigil_lease_left_seconds\{.*\} (\S+)$", text, re.M).group(1))

    def move_raft_leader(self, node, settle=True):
        """Raft leadership to this node's member. settle: and a renewal of the leader's lease under it, for a new raft
        leader extends all leases by an election timeout, and the next renewal takes that back."""
        out = json.loads(self.etcd("member", "list", "-w", "json"))
        wanted = next(m["ID"] for m in out["members"] if m["name"] == node.name)
        if self.raft_leader() is node:
            return

        def moved():
            holder = self.raft_leader()
            if holder is not node:  # etcd gives a transfer up that takes longer than an election
                holder.exec("etcdctl", f"--endpoints=http://{holder.ip}:2379", "move-leader", format(wanted, "x"))
            return self.raft_leader() is node
        wait_for(f"raft leader {node}", moved, 20)
        if not settle:
            return
        seen = [self.lease_left()]

        def renewed():
            seen.append(self.lease_left())
            return seen[-1] > seen[-2]
        wait_for("a renewal under the new raft leader", renewed, 2 * self.ttl)
