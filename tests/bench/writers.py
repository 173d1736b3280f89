"""Writers with the time of each commit, one process for each: they share the machine's monotonic clock and nothing
else, and what the driver of a run does cannot delay them.

A writer stays on one node. While the node is no primary it asks so on a connection that stays open (a connection
costs the machine a process and an authentication), and as soon as it is one it connects anew, as a client that was
turned away does: the reconnect is part of the gap."""
import multiprocessing
import threading
import time

import psycopg2

from lab.cluster import PASSWORDS

POLL = 0.004       # between questions to a standby
REFUSED = 0.005    # between connections that nobody listens for
TURNED_AWAY = 0.015  # between connections that Postgres refuses itself: each costs it a process


class _Writer:
    def __init__(self, host, name, options):
        self.host, self.name = host, name
        self.synchronous_commit, self.pause = options["synchronous_commit"], options["pause"]
        self.lock = threading.Lock()
        self.acks, self.warned, self.lost = [], 0, []

    def serve(self, pipe):
        """Answers the driver: every word but "end" takes what was seen since the last one."""
        threading.Thread(target=self._write, daemon=True).start()
        while True:
            try:
                if pipe.recv() == "end":
                    return
            except EOFError:
                return
            with self.lock:
                seen = {"acks": self.acks, "warned": self.warned, "lost": self.lost}
                self.acks, self.warned, self.lost = [], 0, []
            pipe.send(seen)

    def _connect(self):
        connection = psycopg2.connect(
            host=self.host, user="postgres", password=PASSWORDS["postgres"], dbname="postgres", connect_timeout=2,
            tcp_user_timeout=2000, keepalives_idle=1, keepalives_interval=1, keepalives_count=2, sslmode="disable",
            gssencmode="disable", application_name="bench",
            options=f"-c synchronous_commit={self.synchronous_commit}")
        connection.autocommit = True
        return connection

    def _write(self):
        while True:
            writing = [False]
            connection = None
            pause = REFUSED
            try:
                connection = self._connect()
                with connection.cursor() as cursor:
                    pause = self._session(connection, cursor, writing)
            except psycopg2.Error as error:
                if "refused" not in str(error):
                    pause = TURNED_AWAY
                if writing[0]:
                    with self.lock:
                        self.lost.append(time.monotonic())
            finally:
                if connection is not None:
                    connection.close()
            time.sleep(pause)

    def _session(self, connection, cursor, writing):
        """Writes until the session ends; returns when a standby has become primary: connect again, at once."""
        waited = False
        while True:
            cursor.execute("select pg_is_in_recovery()")
            if not cursor.fetchone()[0]:
                break
            waited = True
            time.sleep(POLL)
        if waited:
            return 0
        cursor.execute("prepare put as insert into bench(writer) values ($1)")
        put = f"execute put('{self.name}')"
        while True:
            began = time.monotonic()
            cursor.execute(put)
            ended = time.monotonic()
            writing[0] = True
            with self.lock:
                if connection.notices:   # "canceled wait for synchronous replication": not acknowledged
                    self.warned += 1
                    del connection.notices[:]
                else:
                    self.acks.append((began, ended))
            if self.pause:
                time.sleep(self.pause)


def _process(pipe, host, name, options):
    _Writer(host, name, options).serve(pipe)


class Writers:
    """`each` processes for every data node of a cluster. acks: [(began, ended, node name)], in order of their end."""

    def __init__(self, cluster, each=1, synchronous_commit="on", pause=0.002):
        leader = cluster.wait_leader()
        leader.sql("create table if not exists bench(number bigserial primary key, writer text)", timeout=20)
        leader.sql("truncate bench", timeout=20)
        self.running = []
        self.acks, self.lost = [], []
        start = multiprocessing.get_context("fork")
        for node in cluster.data:
            for number in range(each):
                ours, theirs = start.Pipe()
                process = start.Process(target=_process, daemon=True, args=(theirs, node.ip, f"{node.name}-{number}", {
                    "synchronous_commit": synchronous_commit, "pause": pause}))
                process.start()
                theirs.close()
                self.running.append((node.name, process, ours))

    def look(self):
        """Fetches what the writers have seen since."""
        for _, _, pipe in self.running:
            pipe.send("take")
        for node, _, pipe in self.running:
            seen = pipe.recv()
            self.acks += [(began, ended, node) for began, ended in seen["acks"]]
            self.lost += [(at, node) for at in seen["lost"]]
        self.acks.sort(key=lambda ack: ack[1])

    def forget(self):
        self.look()
        self.acks, self.lost = [], []

    def wait(self, what, condition, timeout):
        """Looks until condition() is true of what was seen."""
        end = time.monotonic() + timeout
        while True:
            self.look()
            found = condition()
            if found:
                return found
            if time.monotonic() > end:
                raise TimeoutError(f"{what}: not within {timeout} s")
            time.sleep(0.1)

    def gap(self, since):
        """The longest time from one acknowledged commit, wherever, to the next, from the last one before `since`."""
        before = [ended for _, ended, _ in self.acks if ended <= since]
        times = before[-1:] + [ended for _, ended, _ in self.acks if ended > since]
        return max((b - a for a, b in zip(times, times[1:])), default=None)

    def stop(self):
        for _, process, pipe in self.running:
            try:
                pipe.send("end")
            except OSError:
                pass
        for _, process, _ in self.running:
            process.join(3)
            if process.is_alive():
                process.kill()
                process.join(3)
        self.running = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
