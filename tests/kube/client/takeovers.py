"""Notes when the leader key changes hands and when a member turns read-write, for ever.

    takeovers.py RELEASE MEMBER…

/tmp/takeovers gets one line each: K time member (the key is held by it) · R time member (it was
read-write when asked then, and in recovery a few milliseconds before). Times are the clock's."""
import base64
import json
import os
import sys
import threading
import time
import urllib.request

import psycopg2

RELEASE, MEMBERS = sys.argv[1], sys.argv[2:]
KEY = f"/service/{RELEASE}/leader".encode()
POLL, IDLE = 0.005, 0.1     # between questions to a standby, to a primary or to nobody
log = open("/tmp/takeovers", "a", buffering=1, encoding="utf-8")


def note(kind, when, member):
    log.write(f"{kind} {when:.4f} {member}\n")


def follow_key():
    """By way of the witness, which no failover touches."""
    request = {"create_request": {"key": base64.b64encode(KEY).decode()}}
    while True:
        try:
            with urllib.request.urlopen(f"http://{RELEASE}-witness.{RELEASE}:2379/v3/watch",
                                        json.dumps(request).encode(), timeout=600) as stream:
                for line in stream:
                    when = time.time()
                    for event in json.loads(line)["result"].get("events", []):
                        if event.get("type") != "DELETE":
                            note("K", when, base64.b64decode(event["kv"]["value"]).decode())
        except (OSError, ValueError, KeyError):
            pass
        time.sleep(IDLE)


def follow_member(member):
    host = f"{member}.{RELEASE}"
    while True:
        connection = None
        try:
            connection = psycopg2.connect(
                host=host, dbname="postgres", connect_timeout=2, tcp_user_timeout=1000, keepalives_idle=1,
                keepalives_interval=1, keepalives_count=2)
            connection.autocommit = True
            with connection.cursor() as cursor:
                standby = False
                while True:
                    when = time.time()
                    cursor.execute("select pg_is_in_recovery()")
                    before, standby = standby, cursor.fetchone()[0]
                    if before and not standby:
                        note("R", when, member)
                    time.sleep(POLL if standby else IDLE)
        except psycopg2.Error:
            pass
        finally:
            if connection is not None:
                connection.close()
        time.sleep(IDLE)


threading.Thread(target=follow_key, daemon=True).start()
for name in MEMBERS[1:]:
    threading.Thread(target=follow_member, args=(name,), daemon=True).start()
follow_member(MEMBERS[0])
