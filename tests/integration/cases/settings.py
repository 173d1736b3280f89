"""Settings and what is refused."""
from lab.cluster import wait_for

from . import case


@case("settings-reload-and-restart", short=True)
def settings(context):
    """A reload-only parameter takes effect; a restart-only one shows as pending restart until it is restarted."""
    cluster = context.up(ttl=3)
    primary = cluster.leader()
    status, _ = primary.rest("/config", "PATCH", {"postgresql": {"parameters": {"work_mem": "7MB",
                                                                                "max_connections": 80}}})
    assert status == 200, status
    for node in cluster.data:
        wait_for(f"work_mem on {node}", lambda n=node: n.sql("show work_mem")[0][0] == "7MB", 20)
        wait_for(f"pending restart on {node}", lambda n=node: n.rest("/patroni")[1].get("pending_restart"), 20)
        assert node.sql("show max_connections")[0][0] == "60"
    context.load()
    standby = next(n for n in cluster.data if n is not primary)
    for node in (standby, primary):
        status, body = node.rest("/restart", "POST", {}, timeout=60)
        assert status == 200, (node, status, body)
        wait_for(f"max_connections on {node}", lambda n=node: n.sql("show max_connections")[0][0] == "80", 30)
    context.settle()
    return "work_mem by reload, max_connections by restart"
