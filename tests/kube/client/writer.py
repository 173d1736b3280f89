"""Writes through a Service and notes every commit that was acknowledged, until /tmp/stop is there.

    writer.py HOST LANES

/tmp/acks gets one line each: A time lane number (acknowledged) · W time lane number (with a warning: not
acknowledged by a standby) · C time lane address (connected to) · E time lane message. Times are the clock's. The
name is asked for once, as by a client that remembers: what is tried is the Service, not the cluster's DNS."""
import os
import socket
import sys
import threading
import time

import psycopg2

HOST, LANES = sys.argv[1], int(sys.argv[2])
PAUSE = 0.004
log = open("/tmp/acks", "a", buffering=1, encoding="utf-8")


def resolved():
    while True:
        try:
            return socket.getaddrinfo(HOST, None, type=socket.SOCK_STREAM)[0][4][0]
        except OSError as error:
            note("E", 0, error)
            time.sleep(0.2)


def note(kind, lane, what):
    log.write(f"{kind} {time.time():.4f} {lane} {what}\n")


def connect():
    connection = psycopg2.connect(
        host=HOST, hostaddr=ADDRESS, dbname=os.environ.get("PGDATABASE", "postgres"), connect_timeout=2, tcp_user_timeout=2000,
        keepalives_idle=1, keepalives_interval=1, keepalives_count=2, target_session_attrs="read-write")
    connection.autocommit = True
    return connection


def write(lane):
    number = 0
    while not os.path.exists("/tmp/stop"):
        connection = None
        try:
            connection = connect()
            with connection.cursor() as cursor:
                cursor.execute("select host(inet_server_addr())")
                note("C", lane, cursor.fetchone()[0])
                while not os.path.exists("/tmp/stop"):
                    number += 1
                    cursor.execute("insert into load values (%s, %s)", (lane, number))
                    note("W" if connection.notices else "A", lane, number)
                    del connection.notices[:]
                    time.sleep(PAUSE)
        except psycopg2.Error as error:
            note("E", lane, str(error).strip().replace("\n", " ")[:200])
        finally:
            if connection is not None:
                connection.close()
        time.sleep(0.01)


def make_table():
    while True:
        try:
            connection = connect()
            with connection.cursor() as cursor:
                cursor.execute("create table if not exists load(lane int, number bigint, primary key (lane, number))")
                cursor.execute("select coalesce(max(lane), 0) from load")
                first = cursor.fetchone()[0] + 1
            connection.close()
            return first
        except psycopg2.Error as error:
            note("E", 0, str(error).strip().replace("\n", " ")[:200])
            time.sleep(0.2)


ADDRESS = resolved()
first_lane = make_table()
threads = [threading.Thread(target=write, args=(first_lane + n,)) for n in range(LANES)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
with open("/tmp/done", "w", encoding="ascii"):
    pass
while True:  # what was noted is read from here
    time.sleep(3600)
