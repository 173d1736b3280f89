"""The sidecar's end of the guard's socket, written from sidecar/guard/proto.h and nothing else."""
import os
import select
import socket
import struct
import subprocess
import time

MAGIC, VERSION = 0x70766764, 2
(NONE, HELLO, OBSERVE, WELCOME, STATUS, REPLY, DEADLINE, LIFT, START, SIGNAL, KILL, HANDED_OVER, STOP,
 RUN, RUN_CANCEL, OUTPUT, EXIT, FENCED, LOCK) = range(19)
OK, REFUSED, INVALID, SYSTEM = range(4)
CHILD_NONE, CHILD_RUNNING, CHILD_DYING = range(3)
END_EXITED, END_DEADLINE, END_CANCELLED = range(3)
FLAGS = dict(has_deadline=1, lifted=2, killed_by_deadline=4, stop_requested=8, lock_held=16,
             no_deadline=32)


def now_ms():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000000


def block(*strings):
    return b''.join(s.encode() + b'\0' for s in strings)


class Status:
    def __init__(self, body):
        (self.deadline_ms, self.lease, self.revision, self.stop_by_ms, self.children, self.child,
         self.pid, self.exit_status, flags) = struct.unpack_from('<qqqqQiiiI', body)
        for name, bit in FLAGS.items():
            setattr(self, name, bool(flags & bit))


def connect(path):
    """The socket has its name a moment before somebody listens on it."""
    end = time.monotonic() + 5
    while True:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            sock.connect(path)
            return sock
        except (ConnectionRefusedError, FileNotFoundError):
            sock.close()
            if time.monotonic() > end:
                raise
            time.sleep(0.005)


class Sidecar:
    """One connection. Frames that come are kept by kind; `status` is the last one."""

    def __init__(self, path, version=VERSION, hello=HELLO):
        self.sock = connect(path)
        self.next_id, self.replies, self.output, self.exits = 1, {}, b'', []
        self.status, self.fenced, self.closed, self.version = None, False, False, version
        self.gone_at = self.deadline_was = None
        self.send(hello, b'', 0)

    def send(self, kind, body=b'', request_id=None):
        if request_id is None:
            request_id, self.next_id = self.next_id, self.next_id + 1
        header = struct.pack('<IHHII', MAGIC, self.version, kind, request_id, len(body))
        self.sock.send(header + body)
        return request_id

    def take(self, timeout):
        """One frame, if one comes in time."""
        if self.closed or not select.select([self.sock], [], [], max(0, timeout))[0]:
            return False
        try:
            data = self.sock.recv(1 << 16)
        except ConnectionResetError:
            return True
        if not data:
            self.closed = True
            return False
        magic, version, kind, request_id, length = struct.unpack_from('<IHHII', data)
        assert magic == MAGIC and length == len(data) - 16, 'a broken frame'
        body = data[16:]
        if kind == WELCOME:
            self.version = version
        elif kind == STATUS:
            self.status = Status(body)
            self.deadline_was = self.status.deadline_ms or self.deadline_was
            if self.status.child == CHILD_NONE:
                self.gone_at = now_ms()
        elif kind == REPLY:
            self.replies[request_id] = (struct.unpack_from('<i', body)[0],
                                        body[4:].split(b'\0')[0].decode())
        elif kind == OUTPUT:
            self.output += body
        elif kind == EXIT:
            self.exits.append(struct.unpack_from('<ii', body))
        elif kind == FENCED:
            self.fenced = True
        return True

    def until(self, condition, timeout=5.0):
        """Reads until the condition holds; tells whether it does."""
        end = time.monotonic() + timeout
        while not condition():
            left = end - time.monotonic()
            if left <= 0 or (self.closed and not condition()):
                return condition()
            self.take(min(left, 0.5))
        return True

    def ask(self, kind, body=b'', timeout=5.0):
        request_id = self.send(kind, body)
        self.until(lambda: request_id in self.replies, timeout)
        return self.replies.get(request_id, (None, 'no reply'))

    def deadline(self, in_ms, lease=7, revision=3):
        return self.ask(DEADLINE, struct.pack('<qqq', now_ms() + in_ms, lease, revision))

    @staticmethod
    def start_body(argv, primary=False, lease=0, revision=0, env=(), cwd='/'):
        return (struct.pack('<qqIIII', lease, revision, primary, len(argv), len(env), 0) +
                block(*argv, *env, cwd))

    def start(self, argv, **more):
        return self.ask(START, self.start_body(argv, **more))

    def run_tool(self, argv, in_ms=5000, env=(), cwd='/'):
        return self.ask(RUN, struct.pack('<qII', now_ms() + in_ms, len(argv), len(env)) +
                        block(*argv, *env, cwd))

    def wait_child(self, state, timeout=5.0):
        return self.until(lambda: self.status and self.status.child == state, timeout)

    def close(self):
        self.sock.close()
        self.closed = True


class Guard:
    def __init__(self, binary, folder, *more, lock=True, name='s'):
        self.path = os.path.join(folder, name)
        self.log_path = self.path + '.log'
        arguments = [binary, '--socket', self.path, *more]
        if lock:
            arguments += ['--lock', os.path.join(folder, 'lock')]
        with open(self.log_path, 'ab') as log:
            self.process = subprocess.Popen(arguments, stderr=log, stdout=log,
                                            stdin=subprocess.DEVNULL)
        end = time.monotonic() + 5
        while time.monotonic() < end and not self.listens():
            time.sleep(0.005)

    def listens(self):
        try:
            probe = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            probe.connect(self.path)
            probe.close()
            return True
        except OSError:
            return False

    def sidecar(self, **more):
        sidecar = Sidecar(self.path, **more)
        sidecar.until(lambda: sidecar.status or sidecar.closed)
        return sidecar

    def log(self):
        with open(self.log_path) as log:
            return log.read()

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
