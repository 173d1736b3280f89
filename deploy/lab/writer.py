"""Clients that write all the time and remember every commit that was acknowledged to them.

One thread for each pair of data node and lane: it writes to that node while the node accepts, whatever anybody
says. A connection is begun where the node's REST API calls it primary, as a load balancer does, and now and then
where the API does not answer. What counts is what somebody got acknowledged somewhere."""
import threading
import time

import psycopg2

from .cluster import PASSWORDS


class Ack:
    __slots__ = ("at", "node", "lane", "number")

    def __init__(self, at, node, lane, number):
        self.at, self.node, self.lane, self.number = at, node, lane, number


class Writer:
    def __init__(self, cluster, lanes=2, table="load", synchronous_commit="on", pause=0.002):
        self.cluster, self.table, self.pause = cluster, table, pause
        self.synchronous_commit = synchronous_commit
        self.acks = []            # appended by all threads; list.append is atomic
        self.warned = []          # commits that came back with a warning: not acknowledged
        self.lost_answers = 0
        self.failures = []        # (time, node) of each connection or commit that failed
        self.ending = threading.Event()
        self.lanes = lanes
        self.threads = []

    def start(self):
        leader = self.cluster.wait_leader()
        leader.sql(f"create table if not exists {self.table}"
                   "(node text, lane int, number bigint, primary key (node, lane, number))")
        for node in self.cluster.data:
            for lane in range(self.lanes):
                thread = threading.Thread(target=self._write, args=(node, lane), daemon=True)
                self.threads.append(thread)
                thread.start()
        return self

    def stop(self):
        self.ending.set()
        for thread in self.threads:
            thread.join(30)
        return self

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def _worth_a_try(self, node):
        """False after a moment's wait: the node says that it is no primary."""
        try:
            if node.rest("/primary", timeout=0.5)[0] == 200:
                return True
            self.ending.wait(0.02)
            return False
        except OSError:
            self.ending.wait(0.1)
            return True

    def _write(self, node, lane):
        number = 0
        while not self.ending.is_set():
            connection = None
            if not self._worth_a_try(node):
                continue
            try:
                connection = psycopg2.connect(
                    host=node.ip, user="postgres", password=PASSWORDS["postgres"], dbname="postgres",
                    connect_timeout=2, tcp_user_timeout=2000, keepalives_idle=1, keepalives_interval=1,
                    keepalives_count=2, application_name=f"load-{lane}", target_session_attrs="read-write",
                    options=f"-c synchronous_commit={self.synchronous_commit}")
                connection.autocommit = True
                with connection.cursor() as cursor:
                    while not self.ending.is_set():
                        number += 1
                        cursor.execute(f"insert into {self.table} values (%s, %s, %s)", (node.name, lane, number))
                        now = time.monotonic()
                        if connection.notices:
                            self.warned.append((node.name, lane, number, connection.notices[-1]))
                            del connection.notices[:]
                        else:
                            self.acks.append(Ack(now, node.name, lane, number))
                        time.sleep(self.pause)
            except psycopg2.Error:
                self.lost_answers += 1
                self.failures.append((time.monotonic(), node.name))
            finally:
                if connection is not None:
                    try:
                        connection.close()
                    except psycopg2.Error:
                        pass
            self.ending.wait(0.01)

    # --- what was seen ---

    def last_ack(self):
        return self.acks[-1].at if self.acks else None

    def gap(self, since=None, until=None):
        """The longest time without any acknowledged commit, in seconds."""
        times = sorted(a.at for a in list(self.acks))
        if since is not None:
            before = [t for t in times if t <= since]
            times = before[-1:] + [t for t in times if t > since]
        if until is not None:
            times = [t for t in times if t <= until] + [until]
        return max((b - a for a, b in zip(times, times[1:])), default=float("inf"))

    def overlap(self):
        """Seconds during which two nodes acknowledged commits at the same time, by spans of one node."""
        acks = sorted(list(self.acks), key=lambda a: a.at)
        worst = 0.0
        last = {}
        first_since = {}
        current = None
        for ack in acks:
            if ack.node != current:
                if current is not None:
                    first_since[ack.node] = ack.at
                current = ack.node
            last[ack.node] = ack.at
            for other, began in first_since.items():
                if other != ack.node and ack.at > began and first_since.get(ack.node, 0) < began:
                    worst = max(worst, ack.at - began)
        return worst

    def wait_writes(self, timeout=60, after=None):
        """Until a commit is acknowledged that began after now; seconds it took."""
        began = after if after is not None else time.monotonic()
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            last = self.last_ack()
            if last is not None and last > began:
                return last - began
            time.sleep(0.01)
        raise TimeoutError(f"no commit acknowledged for {timeout} s; last leader: {self.cluster.leader()}")

    def missing(self, node):
        """Acknowledged rows that the node does not have."""
        rows = {(r[0], r[1], r[2]) for r in
                node.sql(f"select node, lane, number from {self.table}", timeout=60)}
        return [(a.node, a.lane, a.number) for a in list(self.acks) if (a.node, a.lane, a.number) not in rows]
