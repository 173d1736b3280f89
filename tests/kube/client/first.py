"""The first write that an installation takes through its Service, and the moment when it has a synchronous standby.

    first.py HOST

Waits for the password in /tmp/password, a line. /tmp/first gets a line each: W time - · S time standby. Times are the clock's."""
import os
import sys
import time

import psycopg2

HOST = sys.argv[1]
log = open("/tmp/first", "a", buffering=1, encoding="utf-8")


def password():
    while True:
        if os.path.exists("/tmp/password"):
            with open("/tmp/password", encoding="utf-8") as source:
                line = source.read()
            if line.endswith("\n"):
                return line.strip()
        time.sleep(0.01)


PASSWORD = password()
written = False
while True:
    connection = None
    try:
        connection = psycopg2.connect(host=HOST, dbname="postgres", password=PASSWORD, connect_timeout=2,
                                      tcp_user_timeout=2000, target_session_attrs="read-write")
        connection.autocommit = True
        with connection.cursor() as cursor:
            if not written:
                cursor.execute("create table if not exists first_write as select 1 as number")
                log.write(f"W {time.time():.4f} -\n")
                written = True
            while True:
                cursor.execute("select application_name from pg_stat_replication where state = 'streaming'"
                               " and sync_state in ('sync', 'quorum')")
                found = cursor.fetchone()
                if found:
                    log.write(f"S {time.time():.4f} {found[0]}\n")
                    while True:  # what was noted is read from here
                        time.sleep(3600)
                time.sleep(0.02)
    except psycopg2.Error:
        pass
    finally:
        if connection is not None:
            connection.close()
    time.sleep(0.01)
