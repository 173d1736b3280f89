"""The clusters that are measured: ours with external etcd, and Debian's Patroni on the same machine, PostgreSQL and
etcd; both with the interface of lab.cluster."""
import json
import time
import urllib.request

import yaml

from lab.cluster import BIN, PASSWORDS, Cluster, Node, wait_for
from lab.docker import docker

# The development image has what Patroni needs; a node image would only be a copy of it with less.
PATRONI_IMAGE = "pgvigil/dev"
PATRONI_HOME = "/var/lib/postgresql"
PATRONI = r"python3? \S*/?patroni "
SIDECAR = r"^\S*pgvigil-sidecar "   # not its supervisor, which has the same words behind --


class Etcds:
    """Three etcd members in containers of their own, on the network of a cluster."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.ips = [f"{cluster.subnet}.{20 + n}" for n in range(3)]
        self.names = [f"{cluster.name}-e{n}" for n in range(3)]
        self.hosts = [f"{ip}:2379" for ip in self.ips]

    def start(self):
        members = ",".join(f"e{n}=http://{ip}:2380" for n, ip in enumerate(self.ips))
        for n, (name, ip) in enumerate(zip(self.names, self.ips)):
            docker("run", "-d", "--name", name, "--network", self.cluster.network, "--ip", ip,
                   "--label", f"pgvigil={self.cluster.name}", "--entrypoint", "etcd", self.cluster.image_of_etcd,
                   "--name", f"e{n}", "--data-dir", "/tmp/etcd",
                   "--listen-peer-urls", f"http://{ip}:2380", "--initial-advertise-peer-urls", f"http://{ip}:2380",
                   "--listen-client-urls", f"http://{ip}:2379,http://127.0.0.1:2379",
                   "--advertise-client-urls", f"http://{ip}:2379", "--initial-cluster", members,
                   "--initial-cluster-state", "new")
        wait_for("etcd's quorum", self.healthy, 60)

    def healthy(self):
        def one(ip):
            with urllib.request.urlopen(f"http://{ip}:2379/health", timeout=1) as answer:
                return json.loads(answer.read())["health"] == "true"
        return all(one(ip) for ip in self.ips)


def external_etcd(etcds):
    """For Cluster(edit=…): no etcd of our own, that one instead."""
    def edit(node, config):
        del config["pgvigil"]["etcd"]
        config["etcd3"] = {"hosts": ",".join(etcds.hosts)}
    return edit


class ClusterOnEtcd(Cluster):
    """Two data nodes of ours on three external etcd members; no witness runs."""

    def __init__(self, name, lane, ttl=10):
        super().__init__(name, lane, ttl=ttl)
        self.image_of_etcd = self.image
        self.etcds = Etcds(self)
        self.edit = external_etcd(self.etcds)
        self.nodes = self.nodes[:-1]

    def make(self):
        super().make()
        self.etcds.start()


def synchronous_on(nodes):
    """The node that calls itself the synchronous standby; None."""
    for node in nodes:
        try:
            if node.rest("/synchronous", timeout=1)[0] == 200:
                return node
        except OSError:
            continue
    return None


class PatroniNode(Node):
    def create(self):
        docker("volume", "create", "--label", f"pgvigil={self.cluster.name}", self.volume)
        docker("create", "--name", self.container, "--hostname", self.name, "--network", self.cluster.network,
               "--ip", self.ip, "--label", f"pgvigil={self.cluster.name}", "--shm-size", "256m", "--user", "postgres",
               "-v", f"{self.volume}:{PATRONI_HOME}", "-w", PATRONI_HOME, "--entrypoint", "patroni",
               self.cluster.image, "/etc/patroni-bench/pgvigil.yml")
        self.configure(self.cluster.config_of(self))

    def configure(self, config):
        """As a file in a folder of its own; its parent exists in every image."""
        import io
        import subprocess
        import tarfile
        content = yaml.safe_dump(config, sort_keys=False).encode()
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            folder = tarfile.TarInfo("patroni-bench")
            folder.type, folder.mode, folder.uid, folder.gid = tarfile.DIRTYPE, 0o700, 999, 999
            tar.addfile(folder)
            entry = tarfile.TarInfo("patroni-bench/pgvigil.yml")
            entry.size, entry.mode, entry.uid, entry.gid = len(content), 0o600, 999, 999
            tar.addfile(entry, io.BytesIO(content))
        subprocess.run(["docker", "cp", "-", f"{self.container}:/etc/"], input=packed.getvalue(),
                       check=True, capture_output=True, timeout=60)


class PatroniCluster(Cluster):
    """Patroni at its floor (ttl 20, loop_wait 1, retry_timeout 3), synchronous as ours is, on three etcd members."""

    def __init__(self, name, lane, etcd_image):
        super().__init__(name, lane, ttl=20, image=PATRONI_IMAGE)
        self.image_of_etcd = etcd_image
        self.nodes = [PatroniNode(self, f"n{n}", n, False) for n in (1, 2)]
        self.voters = []
        self.etcds = Etcds(self)

    def make(self):
        super().make()
        self.etcds.start()

    def config_of(self, node):
        def account(name):
            return {"username": name, "password": PASSWORDS[name]}
        return {
            "scope": "demo", "namespace": "/service/", "name": node.name,
            "restapi": {"listen": "0.0.0.0:8008", "connect_address": f"{node.ip}:8008"},
            "etcd3": {"hosts": ",".join(self.etcds.hosts)},
            "bootstrap": {
                "dcs": {"ttl": self.ttl, "loop_wait": 1, "retry_timeout": 3, "maximum_lag_on_failover": 1048576,
                        "synchronous_mode": True,
                        "postgresql": {"use_pg_rewind": True, "use_slots": True,
                                       "parameters": {"max_connections": 60}}},
                "initdb": [{"encoding": "UTF8"}, "data-checksums"],
            },
            "postgresql": {
                "listen": "0.0.0.0:5432", "connect_address": f"{node.ip}:5432",
                "data_dir": f"{PATRONI_HOME}/bench", "bin_dir": BIN, "pgpass": "/tmp/pgpass",
                "authentication": {"superuser": account("postgres"), "replication": account("replicator"),
                                   "rewind": account("rewinder")},
                "pg_hba": ["local all all scram-sha-256", "host all all 0.0.0.0/0 scram-sha-256",
                           "host replication all 0.0.0.0/0 scram-sha-256"],
                "parameters": {"shared_buffers": "64MB", "max_wal_size": "512MB", "unix_socket_directories": "/tmp"},
            },
        }


def wait_ready(cluster, timeout=120):
    """A primary and its synchronous standby, as they say themselves; of ours with managed etcd three voters, too.
    Returns the primary."""
    leader = cluster.wait_leader(timeout)
    wait_for("a synchronous standby", lambda: synchronous_on(cluster.data), timeout, 0.1)
    if cluster.voters and cluster.witness.witness:
        wait_for("three etcd voters", lambda: len(cluster.voters_started()) == 3, timeout, 0.2)
    return cluster.leader() or leader


def members_urls(cluster):
    ips = cluster.etcds.ips if hasattr(cluster, "etcds") else [n.ip for n in cluster.voters]
    return [f"http://{ip}:2379" for ip in ips]


def etcd_requests(cluster):
    """{method: what clients have asked of all etcd members since they started}: unary requests, and every message of
    a client on a stream (those that come by the JSON gateway arrive as gRPC, too)."""
    found = {}
    for url in members_urls(cluster):
        with urllib.request.urlopen(f"{url}/metrics", timeout=5) as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith("grpc_server_msg_received_total{"):
                    method = line.split('grpc_method="')[1].split('"')[0]
                    found[method] = found.get(method, 0) + float(line.rsplit(" ", 1)[1])
    return found


def now():
    return time.monotonic()
