"""Tools of Patroni's users, as Debian ships them, unchanged: patronictl, check_patroni, vip-manager (design part 8)."""
import json
import os
import subprocess
import tempfile

import psycopg2
import yaml

from lab.cluster import PASSWORDS, wait_for
from lab.docker import pid_of

from . import case, within


class Patronictl:
    """patronictl here, told of etcd and of the REST API's password, as its users write it."""

    def __init__(self, cluster):
        config = {"scope": "demo", "namespace": "/service/",
                  "etcd3": {"hosts": [f"{v.ip}:2379" for v in cluster.voters]},
                  "ctl": {"authentication": {"username": "admin", "password": "demo-rest"}}}
        with tempfile.NamedTemporaryFile("w", suffix=".yml", delete=False) as f:
            yaml.safe_dump(config, f)
        self.file = f.name

    def close(self):
        os.unlink(self.file)

    def __call__(self, *argv, ok=True, timeout=60):
        done = subprocess.run(["patronictl", "-c", self.file, *argv], capture_output=True, text=True, timeout=timeout,
                              stdin=subprocess.DEVNULL, env={**os.environ, "PGPASSWORD": PASSWORDS["postgres"]})
        out = done.stdout + done.stderr
        assert (done.returncode == 0) == ok, f"patronictl {' '.join(argv)}: exit {done.returncode}: {out[-1500:]}"
        return out

    def members(self):
        """{name: row} of list."""
        return {row["Member"]: row for row in json.loads(self("list", "-f", "json"))}


def started(context, **options):
    cluster = context.up(**options)
    tool = Patronictl(cluster)
    context.more.append(tool.close)
    return cluster, tool


def pair(cluster):
    primary = cluster.leader()
    return primary, next(n for n in cluster.data if n is not primary)


def wait_rows(tool, what, look):
    return wait_for(f"{what} in patronictl list", lambda: look(tool.members()) and tool.members(), 30, 0.2)


@case("patronictl-looks", short=True)
def looks(context):
    """patronictl list, topology, history, show-config, dsn, query and version read the cluster as Patroni's."""
    cluster, tool = started(context)
    primary, standby = pair(cluster)
    rows = wait_rows(tool, "a streaming sync standby", lambda rows: rows[standby.name]["State"] == "streaming")
    assert set(rows) == {"n1", "n2"}, rows
    assert rows[primary.name]["Role"] == "Leader" and rows[primary.name]["State"] == "running", rows
    assert rows[standby.name]["Role"] == "Sync Standby" and int(rows[standby.name]["Lag in MB"]) == 0, rows
    assert {row["TL"] for row in rows.values()} == {1} and {row["Cluster"] for row in rows.values()} == {"demo"}
    text = tool("list", "-e")
    assert cluster.key("initialize") in text and primary.ip in text, text
    tree = tool("topology")
    assert f"+ {standby.name}" in tree and tree.index(primary.name) < tree.index(f"+ {standby.name}"), tree
    shown = yaml.safe_load(tool("show-config"))
    assert shown["ttl"] == 10 and shown["postgresql"]["use_pg_rewind"] is True, shown
    assert f"host={primary.ip}" in tool("dsn") and f"host={standby.ip}" in tool("dsn", "-r", "replica")
    answer = tool("query", "demo", "-r", "replica", "-U", "postgres", "-c", "select pg_is_in_recovery()")
    assert "True" in answer, answer
    version = tool("version", "demo")
    assert f"{primary.name}: Patroni" in version and "PostgreSQL 1" in version, version
    old, new = primary, standby
    status, body = old.rest("/switchover", "POST", {"leader": old.name, "candidate": new.name}, timeout=30)
    assert status == 200, (status, body)
    rows = wait_for("the switchover in history", lambda: json.loads(tool("history", "-f", "json")), 20, 0.2)
    assert rows[-1]["TL"] == 1 and rows[-1]["New Leader"] == new.name, rows
    wait_rows(tool, "timeline 2 on both", lambda rows: {row["TL"] for row in rows.values()} == {2})
    return f"{len(rows)} row of history"


@case("patronictl-moves", short=True)
def moves(context):
    """patronictl switchover, to a named candidate and not, and failover."""
    cluster, tool = started(context)
    writer = context.load()
    gaps = []
    for words in (lambda old, new: ("switchover", "--leader", old.name, "--candidate", new.name),
                  lambda old, new: ("switchover",),
                  lambda old, new: ("failover", "--candidate", new.name)):
        old, new = pair(cluster)
        cluster.wait_sync(60, standby=new)
        began = writer.last_ack()
        command = words(old, new)
        out = tool(command[0], "demo", *command[1:], "--force")
        assert f'over to "{new.name}"' in out, out
        assert cluster.wait_leader(10, other_than=old) is new
        writer.wait_writes(30)
        gaps.append(writer.gap(began - 0.1))
    old, new = pair(cluster)
    out = tool("switchover", "demo", "--leader", new.name, "--candidate", old.name, "--force", ok=False)
    assert "is not the leader" in out, out
    context.settle()
    return within("worst write gap", max(gaps), 1.0)


@case("patronictl-settings", short=True)
def settings(context):
    """patronictl edit-config, reload, restart (also --pending), pause and resume with --wait."""
    cluster, tool = started(context)
    context.load()
    primary, standby = pair(cluster)
    tool("edit-config", "demo", "--force", "-p", "work_mem=9MB", "-p", "max_connections=70", "-s", "maximum_lag_on_failover=2097152")
    for node in cluster.data:
        wait_for(f"work_mem on {node}", lambda n=node: n.sql("show work_mem")[0][0] == "9MB", 20)
    rows = wait_rows(tool, "pending restart", lambda rows: all(r.get("Pending restart") == "*" for r in rows.values()))
    assert "max_connections: 60->70" in rows[primary.name]["Pending restart reason"], rows
    out = tool("reload", "demo", "--force")
    assert "Reload request received for member n1" in out and "n2" in out, out
    was = {n.name: n.sql("select pg_postmaster_start_time()")[0][0] for n in cluster.data}
    for node in (standby, primary):
        out = tool("restart", "demo", node.name, "--force", "--pending")
        assert f"Success: restart on member {node.name}" in out, out
    wait_rows(tool, "no pending restart", lambda rows: not any(r.get("Pending restart") for r in rows.values()))
    for node in cluster.data:
        assert node.sql("show max_connections")[0][0] == "70"
        assert node.sql("select pg_postmaster_start_time()")[0][0] > was[node.name]
    assert cluster.leader() is primary
    assert "Success" not in tool("restart", "demo", primary.name, "--force", "--pending"), "restarted with nothing pending"
    cluster.wait_sync(60)
    assert "Success" in tool("pause", "demo", "--wait")
    assert "Maintenance mode: on" in tool("list")
    assert "Success" in tool("resume", "demo", "--wait")
    assert "Maintenance mode" not in tool("list")
    context.settle()
    return "max_connections 60 -> 70 by restart --pending"


@case("patronictl-reinit")
def reinit(context):
    """patronictl reinit --wait clones a member again; the leader is refused."""
    cluster, tool = started(context)
    context.load()
    primary, standby = pair(cluster)
    mark = standby.sql("show data_directory")[0][0] + "/mark"
    standby.exec("touch", mark)
    out = tool("reinit", "demo", standby.name, "--force", "--wait", timeout=120)
    assert f"Success: reinitialize for member {standby.name}" in out, out
    cluster.wait_sync(60, standby=standby)
    assert "No such file" in standby.exec("sh", "-c", f"ls {mark} 2>&1; true"), "the data were not replaced"
    assert "No replica among" in tool("reinit", "demo", primary.name, "--force", ok=False)
    status, body = primary.rest("/reinitialize", "POST", {})
    assert status == 503 and body == "I am the leader, can not reinitialize", (status, body)
    context.settle()
    return "cloned again"


class CheckPatroni:
    def __init__(self, nodes):
        self.nodes = nodes

    def __call__(self, *argv, node=None, want=0):
        """The plugin's words; want: 0 OK, 1 WARNING, 2 CRITICAL, and 3, UNKNOWN, where it stumbles: over a member that is
        just stopping and tells no timeline, of Patroni as of us."""
        wanted = want if isinstance(want, tuple) else (want,)
        ends = [part for n in ([node] if node else self.nodes) for part in ("-e", f"http://{n.ip}:8008")]
        done = subprocess.run(["check_patroni", *ends, *argv], capture_output=True, text=True, timeout=30)
        assert done.returncode in wanted, f"check_patroni {' '.join(argv)}: exit {done.returncode}, not {want}: {done.stdout}{done.stderr}"
        return done.stdout


def scheduled_restart(context, cluster, node, check):
    """A restart that is to come is in the member's key: each tool shows it, and flush takes it away."""
    tool = Patronictl(cluster)
    context.more.append(tool.close)

    def seen():
        return next(m for m in node.rest("/cluster")[1]["members"] if m["name"] == node.name).get("scheduled_restart")
    status, body = node.rest("/restart", "POST", {"schedule": "2099-01-01T00:00:00+00:00", "restart_pending": True})
    assert (status, body) == (202, "Restart scheduled"), (status, body)
    wait_for("the scheduled restart in /cluster", seen, 5)
    check("cluster_has_scheduled_action", want=2)
    row = tool.members()[node.name]
    assert "2099-01-01" in row["Scheduled restart"], row
    assert "2099-01-01" in node.exec("pgvigilctl", "-c", "/etc/pgvigil/pgvigil.yml", "list"), "not in pgvigilctl list"
    out = tool("flush", "demo", node.name, "restart", "--force")
    assert f"Success: flush scheduled restart for member {node.name}" in out, out
    wait_for("no scheduled restart in /cluster", lambda: not seen(), 5)
    check("cluster_has_scheduled_action")


@case("check-patroni", short=True)
def check_patroni(context):
    """Every check of check_patroni, in good days and in bad ones."""
    cluster = context.up()
    primary, standby = pair(cluster)
    check = CheckPatroni(cluster.data)
    wait_for("the standby streams", lambda: standby.rest("/replica?lag=0")[0] == 200, 20)
    check("cluster_has_leader")
    check("cluster_has_replica", "--warning", "1:", "--critical", "1:", "--sync-warning", "1:", "--sync-critical", "1:",
          "--max-lag", "1MB")
    check("cluster_has_replica", "--critical", "2:", want=2)
    check("cluster_node_count", "--warning", "2:2", "--healthy-critical", "2:")
    check("cluster_node_count", "--critical", "3:", want=2)
    check("cluster_is_in_maintenance")
    check("cluster_has_scheduled_action")
    scheduled_restart(context, cluster, standby, check)
    digest = check("cluster_config_has_changed", "--hash", "0" * 32, want=2)
    new_hash = digest.split("is_configuration_changed")[0]
    assert "hash" in digest.lower(), new_hash
    with tempfile.TemporaryDirectory() as folder:
        state = os.path.join(folder, "state")
        check("cluster_config_has_changed", "--state-file", state, "--save", want=2)
        check("cluster_config_has_changed", "--state-file", state)
        check("node_tl_has_changed", "--state-file", state + "2", "--save", node=primary, want=2)
        check("node_tl_has_changed", "--state-file", state + "2", node=primary)
    check("node_tl_has_changed", "--timeline", "1", node=standby)
    for node in cluster.data:
        check("node_is_alive", node=node)
        check("node_is_pending_restart", node=node)
    check("node_is_primary", node=primary)
    check("node_is_leader", node=primary)
    check("node_is_primary", node=standby, want=2)
    check("node_is_replica", "--is-sync", node=standby)
    check("node_is_replica", "--max-lag", "1MB", node=standby)
    check("node_is_replica", node=primary, want=2)
    version = primary.rest("/patroni")[1]["patroni"]["version"]
    check("node_patroni_version", "--patroni-version", version, node=primary)
    status, _ = primary.rest("/config", "PATCH", {"pause": True, "postgresql": {"parameters": {"max_connections": 70}}})
    assert status == 200
    wait_for("maintenance", lambda: primary.rest("/cluster")[1].get("pause"), 10)
    check("cluster_is_in_maintenance", want=2)
    wait_for("pending restart", lambda: standby.rest("/patroni")[1].get("pending_restart"), 10)
    check("node_is_pending_restart", node=standby, want=2)
    status, _ = primary.rest("/config", "PATCH", {"pause": None})
    assert status == 200
    wait_for("no maintenance", lambda: not primary.rest("/cluster")[1].get("pause"), 10)
    standby.stop(30)
    wait_for("one member", lambda: "CRITICAL" in check("cluster_has_replica", "--critical", "1:", want=(2, 3)), 20, 0.5)
    check("cluster_has_leader")
    return "14 checks"


class VipManager:
    """vip-manager in the network of one node, as it runs beside Patroni."""

    def __init__(self, node, address, arguments):
        self.process = subprocess.Popen(
            ["nsenter", "-t", str(pid_of(node.container)), "-n", "vip-manager", "--interface", "eth0", "--ip", address,
             "--netmask", "24", "--interval", "200", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def close(self):
        self.process.terminate()
        self.process.wait(10)


def who_answers(address):
    """(name, whether it takes writes) of the Postgres behind the address."""
    connection = psycopg2.connect(host=address, user="postgres", password=PASSWORDS["postgres"], dbname="postgres",
                                  connect_timeout=1, tcp_user_timeout=1000)
    try:
        with connection.cursor() as cursor:
            cursor.execute("select host(inet_server_addr()), not pg_is_in_recovery()")
            return cursor.fetchone()[1]
    finally:
        connection.close()


def vip_moves(context, arguments):
    """arguments(node): what tells that vip-manager whom to ask."""
    cluster = context.up(ttl=3)
    address = f"{cluster.subnet}.77"
    for node in cluster.data:
        context.more.append(VipManager(node, address, arguments(node)).close)

    def holders():
        return [n for n in cluster.data if address in n.exec("ip", "-4", "addr", "show", "eth0")]
    for turn in range(2):
        old, new = pair(cluster)
        wait_for(f"the address on {old}", lambda n=old: holders() == [n], 20, 0.1)
        wait_for("a primary behind the address", lambda: who_answers(address), 10, 0.1)
        cluster.wait_sync(60, standby=new)
        status, body = old.rest("/switchover", "POST", {"leader": old.name, "candidate": new.name}, timeout=30)
        assert status == 200, (turn, status, body)
    old, _ = pair(cluster)
    wait_for(f"the address on {old}", lambda: holders() == [old], 20, 0.1)
    assert who_answers(address)
    return f"{address} moved twice"


@case("vip-manager-etcd", short=True)
def vip_etcd(context):
    """vip-manager watches the leader key in etcd: the address follows the primary."""
    return vip_moves(context, lambda node: [
        "--dcs-type", "etcd", "--dcs-endpoints", ",".join(f"http://{v.ip}:2379" for v in node.cluster.voters),
        "--trigger-key", "/service/demo/leader", "--trigger-value", node.name])


@case("vip-manager-rest")
def vip_rest(context):
    """vip-manager asks the node's REST API (its dcs-type patroni)."""
    return vip_moves(context, lambda node: [
        "--dcs-type", "patroni", "--dcs-endpoints", "http://127.0.0.1:8008/", "--trigger-key", "/leader",
        "--trigger-value", "200"])
