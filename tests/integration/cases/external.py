"""External etcd (`etcd3:`), and an etcd whose database is full (E5)."""
import io
import os
import signal
import subprocess
import tarfile
import tempfile

from lab.cluster import wait_for
from lab.docker import CommandFailed, docker, run

from . import case, now, within

CERTS = "/etc/pgvigil/etcd"


def make_certs(ip):
    """{name: PEM} of a CA and of a server at this address."""
    with tempfile.TemporaryDirectory() as folder:
        def openssl(*argv):
            run("openssl", *argv)
        ca, key = os.path.join(folder, "ca.pem"), os.path.join(folder, "ca.key")
        request = os.path.join(folder, "server.csr")
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=lab CA",
                "-keyout", key, "-out", ca)
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=etcd", "-addext", f"subjectAltName=IP:{ip}",
                "-keyout", os.path.join(folder, "server.key"), "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", ca, "-CAkey", key, "-CAcreateserial", "-days", "2",
                "-copy_extensions", "copy", "-out", os.path.join(folder, "server.pem"))
        files = {}
        for name in ("ca.pem", "server.pem", "server.key"):
            with open(os.path.join(folder, name), "rb") as f:
                files[name] = f.read()
        return files


def put_files(container, files):
    """Writes {name: bytes} into /etc/pgvigil/etcd of a container, which may be stopped."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        folder = tarfile.TarInfo("etcd")
        folder.type, folder.mode, folder.uid, folder.gid = tarfile.DIRTYPE, 0o700, 999, 999
        tar.addfile(folder)
        for name, content in files.items():
            entry = tarfile.TarInfo(f"etcd/{name}")
            entry.size, entry.mode, entry.uid, entry.gid = len(content), 0o600, 999, 999
            tar.addfile(entry, io.BytesIO(content))
    subprocess.run(["docker", "cp", "-", f"{container}:/etc/pgvigil/"], input=packed.getvalue(),
                   check=True, capture_output=True, timeout=60)


class ExternalEtcd:
    """One etcd of its own with TLS and, once they are enabled, users."""

    def __init__(self, cluster, quota):
        self.cluster = cluster
        self.container = f"{cluster.name}-etcd"
        self.ip = f"{cluster.subnet}.50"
        self.url = f"https://{self.ip}:2379"
        self.files = make_certs(self.ip)
        self.login = []
        docker("create", "--name", self.container, "--network", cluster.network, "--ip", self.ip,
               "--label", f"pgvigil={cluster.name}", "--entrypoint", "etcd", cluster.image,
               "--name=lab", "--data-dir=/tmp/etcd", f"--listen-client-urls={self.url}",
               f"--advertise-client-urls={self.url}", f"--cert-file={CERTS}/server.pem",
               f"--key-file={CERTS}/server.key", f"--quota-backend-bytes={quota}", "--log-level=warn",
               "--heartbeat-interval=50", "--election-timeout=500")
        put_files(self.container, self.files)
        docker("start", self.container)
        wait_for("the external etcd", lambda: "true" in self.ctl("endpoint", "health", "-w", "json"), 30)

    def ctl(self, *argv, node=None, timeout=20):
        return docker("exec", self.container, "etcdctl", f"--endpoints={self.url}", f"--cacert={CERTS}/ca.pem",
                      *self.login, *argv, timeout=timeout)

    def protect(self):
        for argv in (("user", "add", "root:lab-root"), ("user", "grant-role", "root", "root"),
                     ("role", "add", "demo"),
                     ("role", "grant-permission", "demo", "readwrite", "--prefix=true", "/service/demo/"),
                     ("user", "add", "demo:lab-demo"), ("user", "grant-role", "demo", "demo"), ("auth", "enable")):
            self.ctl(*argv)
        self.login = ["--user=root:lab-root"]

    def set_password(self, password):
        docker("exec", self.container, "sh", "-c", f"echo {password} | etcdctl --endpoints={self.url} "
               f"--cacert={CERTS}/ca.pem --user=root:lab-root user passwd demo --interactive=false")


def up_external(context, quota=2 << 30, ttl=3):
    def edit(node, config):
        del config["pgvigil"]["etcd"]
        config["etcd3"] = {"hosts": [f"{node.cluster.subnet}.50:2379"], "protocol": "https",
                           "cacert": f"{CERTS}/ca.pem", "username": "demo", "password": "lab-demo"}
    cluster = context.make(ttl=ttl, edit=edit)
    etcd = ExternalEtcd(cluster, quota)
    etcd.protect()
    for node in cluster.data:
        put_files(node.container, {"ca.pem": etcd.files["ca.pem"]})
    cluster.etcd = etcd.ctl
    cluster.voters = []
    cluster.start(cluster.data)
    cluster.wait_leader(90)
    cluster.wait_sync(90)
    return cluster, etcd


@case("external-etcd-tls-password", short=True)
def external(context):
    """External etcd with TLS, user and password: failover, a restart of etcd that forgets all tokens, a password that is
    changed there."""
    cluster, etcd = up_external(context)
    writer = context.load()
    old = cluster.leader()
    began = now()
    os.kill(old.postmaster(), signal.SIGKILL)
    cluster.wait_leader(30, other_than=old)
    writer.wait_writes(30)
    gap = writer.gap(began - 1)
    cluster.wait_sync(60, standby=old)
    docker("restart", "-t", "1", etcd.container)
    began = now()
    wait_for("two ttl passed", lambda: now() - began > 6, 20, 0.2)  # the tokens from before are forgotten
    writer.wait_writes(30)
    etcd.set_password("other")
    wait_for("the refusal in a log", lambda: any("etcd refuses us" in n.logs() for n in cluster.data), 20, 0.2)
    etcd.set_password("lab-demo")
    context.settle()
    return within("write gap", gap, 3.0)  # the bound itself is the business of postmaster-killed


def said_everywhere(cluster):
    words = []
    for node in cluster.data:
        words.append(str(node.rest("/patroni", timeout=1)[1].get("pgvigil", {})))
    return words


@case("external-etcd-no-space")
def external_no_space(context):
    """An external etcd at NOSPACE: the primary writes on, failover impossible is said (E5); mended, it is over."""
    cluster, etcd = up_external(context, quota=4 << 20, ttl=10)
    writer = context.load()
    leader = cluster.leader()

    def full():
        try:
            for _ in range(60):
                docker("exec", etcd.container, "sh", "-c",
                       f"head -c 100000 /dev/zero | tr '\\0' x | etcdctl --endpoints={etcd.url} "
                       f"--cacert={CERTS}/ca.pem --user=root:lab-root put /junk")
            return False
        except CommandFailed as error:
            return "database space exceeded" in str(error)
    wait_for("etcd is full", full, 60)
    wait_for("failover impossible in REST", lambda: any("failover impossible" in w for w in said_everywhere(cluster)), 40)
    assert any("failover impossible" in n.logs() for n in cluster.data)
    assert cluster.leader() is leader
    writer.wait_writes(10)
    revision = etcd.ctl("endpoint", "status", "-w", "fields").split('"Revision" :')[1].split()[0]
    etcd.ctl("compact", revision)
    etcd.ctl("defrag")
    etcd.ctl("alarm", "disarm")
    wait_for("the alarm is over", lambda: not any("failover impossible" in w for w in said_everywhere(cluster)), 40)
    context.settle()
    return "reported, and over once mended"


@case("managed-etcd-no-space")
def managed_no_space(context):
    """Managed etcd at NOSPACE: reported, and mended without a person (E5)."""
    cluster = context.up(ttl=3)
    context.load()
    began = now()
    node = cluster.voters[-1]
    out = node.exec("sh", "-c", "head -c 1400000 /dev/zero | tr '\\0' x > /tmp/junk; n=0; while [ $n -lt 260 ]; do "
                    f"etcdctl --endpoints=http://{node.ip}:2379 put /junk < /tmp/junk 2>&1 | grep -q 'space exceeded' "
                    "&& break; n=$((n + 1)); done; echo $n", timeout=240)
    assert int(out) < 260, "etcd never was full"
    wait_for("failover impossible in a log", lambda: any("failover impossible" in n.logs() for n in cluster.nodes), 30, 0.3)
    wait_for("etcd takes writes again", lambda: "OK" in cluster.etcd("put", "/junk", "small"), 90, 0.5)
    context.settle()
    return f"full after {out} puts; mended {now() - began:.0f} s after the first"
