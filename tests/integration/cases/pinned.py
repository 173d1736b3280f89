"""Clients that stay on one node and commit at synchronous_commit=local: who accepts writes, and when (I1)."""
import threading

import psycopg2

from lab.cluster import PASSWORDS, wait_for
from lab.docker import pid_of

from . import now

LOCAL = "-c synchronous_commit=local"


class Pinned:
    """Commits without a pause while its node accepts anything, until stop(), or until it has `enough` commits. It
    connects through the node's Unix socket, which no cut of the network reaches."""

    def __init__(self, node, enough=None):
        self.node, self.enough = node, enough
        self.socket = f"/proc/{pid_of(node.container)}/root/tmp"
        self.acks = []
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._write, daemon=True)
        self.thread.start()

    def _done(self):
        return self.ending.is_set() or (self.enough is not None and len(self.acks) >= self.enough)

    def _write(self):
        while not self._done():
            try:
                connection = psycopg2.connect(host=self.socket, user="postgres", password=PASSWORDS["postgres"],
                                              dbname="postgres", connect_timeout=2, options=LOCAL)
                connection.autocommit = True
                with connection.cursor() as cursor:
                    while not self._done():
                        self._commit(cursor)
            except psycopg2.Error:
                self.ending.wait(0.005)

    def _commit(self, cursor):
        try:
            cursor.execute("insert into pinned values (%s, %s)", (self.node.name, len(self.acks)))
            self.acks.append(now())
        except psycopg2.errors.ReadOnlySqlTransaction:
            self.ending.wait(0.002)  # on the same connection: a promotion opens it for writes

    def stop(self):
        self.ending.set()
        self.thread.join(10)


class SideBySide:
    """A pinned writer on the primary and one on the standby that is to take over; at no time do both commit."""

    def __init__(self, context, old, new):
        old.sql("create table pinned(node text, number bigint)")
        wait_for(f"the table on {new}", lambda: new.sql("select count(*) from pinned"), 10)
        self.old, self.new = Pinned(old), Pinned(new, enough=100)
        context.more.append(self.stop)
        wait_for("the pinned writer writes", lambda: len(self.old.acks) > 100, 10)
        assert not self.new.acks, f"{new} accepts writes beside {old}"

    def stop(self):
        self.old.stop()
        self.new.stop()

    def judge(self):
        """The old primary's last commit, at any level, came before the new one's first; what is to be said of it."""
        self.stop()
        assert self.new.acks, f"{self.new.node} accepted nothing"
        apart = self.new.acks[0] - self.old.acks[-1]
        assert apart > 0, f"{self.old.node} committed {-apart:.3f} s after the first commit on {self.new.node}"
        return f"old stopped {apart:.2f} s before the new one's first commit"
