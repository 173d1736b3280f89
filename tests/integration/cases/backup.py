"""The recipe of docs/operations.md, "Backup", as it is written there."""
import os
import re

import yaml

from lab.cluster import BIN, PASSWORDS, wait_for

from . import case
from .order import restart

OPERATIONS = os.path.join(os.path.dirname(__file__), "..", "..", "..", "docs", "operations.md")


def recipe():
    """(settings, shell commands of the backup, shell commands of the restore)."""
    with open(OPERATIONS) as f:
        section = re.search(r"^## Backup$(.*?)^## ", f.read(), re.M | re.S).group(1)
    settings, backup, restore = re.findall(r"^```(?:yaml|sh)\n(.*?)^```", section, re.M | re.S)
    return yaml.safe_load(settings), backup, restore


@case("archive-recipe")
def archive_recipe(context):
    """The recipe for backups: WAL is archived, a base backup verifies, a restore reaches a row written after it."""
    settings, backup, restore = recipe()
    cluster = context.up(ttl=3)
    context.load()
    primary = cluster.leader()
    standby = next(n for n in cluster.data if n is not primary)
    for node in cluster.data:
        node.exec("install", "-d", "-o", "postgres", "/backup/wal", "/backup/base", "/restore", user="root")
    status, body = primary.rest("/config", "PATCH", settings)
    assert status == 200, (status, body)
    for node in (standby, primary):
        wait_for(f"pending restart on {node}", lambda n=node: n.rest("/patroni")[1].get("pending_restart"), 20)
    for node in (standby, primary):
        restart(node)
    cluster.wait_sync(60)
    assert cluster.leader() is primary and primary.sql("show archive_mode") == [("on",)]
    login = f"export PATH={BIN}:$PATH PGPASSWORD={PASSWORDS['replicator']} standby={standby.ip}\n"
    verified = primary.exec("sh", "-ec", login + backup)
    assert "backup successfully verified" in verified, verified
    primary.sql("create table after_backup as select 42 as n")
    segment = primary.sql("select pg_walfile_name(pg_switch_wal())")[0][0]
    wait_for(f"{segment} is in the archive", lambda: primary.exec("ls", f"/backup/wal/{segment}", check=False), 20, 0.2)
    primary.exec("sh", "-ec", f"export PATH={BIN}:$PATH\n" + restore, timeout=120)
    primary.exec("sh", "-c", f"{BIN}/postgres -D /restore/data -p 5433 >/tmp/restored.log 2>&1 &")
    ask = f"PGPASSWORD={PASSWORDS['postgres']} psql -h /tmp -p 5433 -U postgres -Atc "
    wait_for("the restored one takes writes", lambda: primary.exec(
        "sh", "-c", ask + "'select not pg_is_in_recovery()'") == "t", 60, 0.3)
    row = primary.exec("sh", "-c", ask + "'select n from after_backup'")
    assert row == "42", f"the restored one has {row!r}"
    context.settle()
    return f"{segment} archived, {verified.splitlines()[-1]}, the restored one takes writes and has the later row"
