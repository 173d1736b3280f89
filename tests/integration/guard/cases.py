"""Cases of the deadline, the tree, the lock and the connection."""
import os
import signal
import socket
import subprocess
import sys
import time

import wire
from wire import CHILD_NONE, CHILD_RUNNING, OK, REFUSED

PYTHON = sys.executable


class Skip(Exception):
    pass


# A tree as unfriendly as a shell archive command could leave behind: children in their own
# sessions, orphans of a double fork, all deaf to SIGTERM, one of them stopped.
TREE = r'''
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
def note():
    with open(sys.argv[1], 'a') as f:
        f.write('%d\n' % os.getpid())
def live():
    note()
    while True:
        time.sleep(60)
for index in range(6):
    if os.fork() == 0:
        os.setsid()
        if index % 2 == 0:
            if os.fork() != 0:
                os._exit(0)
        if index == 5:
            note()
            os.kill(os.getpid(), signal.SIGSTOP)
        live()
live()
'''


class World:
    """What a case made, so that nothing of it stays behind."""

    def __init__(self, binary, folder):
        self.binary, self.folder = binary, folder
        self.guards, self.processes = [], []
        self.pids = os.path.join(folder, 'pids')

    def guard(self, *more, **named):
        guard = wire.Guard(self.binary, self.folder, *more, **named)
        self.guards.append(guard)
        return guard

    def popen(self, arguments, **named):
        process = subprocess.Popen(arguments, **named)
        self.processes.append(process)
        return process

    def tree(self):
        return [PYTHON, '-c', TREE, self.pids]

    def tree_pids(self, count=7):
        end = time.monotonic() + 5
        while time.monotonic() < end:
            if os.path.exists(self.pids):
                with open(self.pids) as f:
                    pids = [int(line) for line in f.read().split()]
                if len(pids) >= count:
                    return pids
            time.sleep(0.01)
        raise AssertionError('the tree did not come up')

    def logs(self):
        return '\n'.join(guard.log() for guard in self.guards)

    def clear(self):
        for guard in self.guards:
            guard.end()
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        if os.path.exists(self.pids):
            with open(self.pids) as f:
                for pid in f.read().split():
                    try:
                        os.kill(int(pid), signal.SIGKILL)
                    except OSError:
                        pass


def alive(pids):
    """Those that still run; a zombie does not."""
    left = []
    for pid in pids:
        try:
            with open(f'/proc/{pid}/stat') as f:
                if f.read().rsplit(')', 1)[1].split()[0] not in 'ZX':
                    left.append(pid)
        except OSError:
            pass
    return left


def outlived(pids, timeout=3):
    """Those that still run after so long; they may all end before."""
    end = time.monotonic() + timeout
    while alive(pids) and time.monotonic() < end:
        time.sleep(0.01)
    return alive(pids)


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def primary(world, in_ms=400, argv=None):
    """A guard with a running primary under a deadline."""
    guard = world.guard()
    sidecar = guard.sidecar()
    check(sidecar.deadline(in_ms)[0] == OK, 'deadline')
    answer = sidecar.start(argv or world.tree(), primary=True, lease=7, revision=3)
    check(answer[0] == OK, answer)
    return guard, sidecar


def under_deadline(world, in_ms):
    """The same for a whole tree: the deadline counts from when all of it runs (L4: a standby is bound, too)."""
    guard = world.guard()
    sidecar = guard.sidecar()
    answer = sidecar.start(world.tree())
    check(answer[0] == OK, answer)
    pids = world.tree_pids()
    check(sidecar.deadline(in_ms)[0] == OK, 'deadline')
    return guard, sidecar, pids


def deadline_kills_the_whole_tree(world):
    """L3, G1: at the deadline everything dies, and NONE is said only then."""
    _, sidecar, pids = under_deadline(world, 700)
    deadline = sidecar.status.deadline_ms
    sidecar.until(lambda: sidecar.status.child != CHILD_RUNNING, 3)
    check(wire.now_ms() >= deadline, 'killed before the deadline')
    check(sidecar.wait_child(CHILD_NONE, 3), 'never gone')
    late = sidecar.gone_at - deadline
    check(alive(pids) == [], f'still alive: {alive(pids)}')
    check(late < 250, f'{late} ms late')
    check(sidecar.status.killed_by_deadline and not sidecar.status.has_deadline, 'status')
    check(os.WTERMSIG(sidecar.status.exit_status) == signal.SIGKILL, 'exit status')
    return f'gone {late} ms after the deadline'


def deadline_needs_no_sidecar(world):
    """L3: a sidecar that was killed, or is stopped with its connection open, makes no difference."""
    _, sidecar, pids = under_deadline(world, 500)
    sidecar.close()
    check(outlived(pids) == [], f'alive after the deadline: {alive(pids)}')


def deadline_moves_forward_only(world):
    """A deadline that was moved holds; an earlier one is accepted and ignored."""
    _, sidecar, pids = under_deadline(world, 400)
    first = sidecar.status.deadline_ms
    check(sidecar.deadline(1000)[0] == OK, 'moved')
    later = sidecar.status.deadline_ms
    check(later > first, 'not moved')
    check(sidecar.deadline(100)[0] == OK, 'earlier one accepted')
    check(sidecar.status.deadline_ms == later, 'moved back')
    time.sleep(0.6)
    check(len(alive(pids)) == 7, 'killed at the old deadline')
    check(sidecar.wait_child(CHILD_NONE, 2), 'not killed at the new one')


def frozen_guard_still_kills(world):
    """L3: a guard stopped past its deadline looks at the clock before the fresh deadline that lies
    in its socket; a passed deadline is final."""
    guard, sidecar, pids = under_deadline(world, 300)
    guard.process.send_signal(signal.SIGSTOP)
    time.sleep(0.5)
    request = sidecar.send(wire.DEADLINE, wire.struct.pack('<qqq', wire.now_ms() + 60000, 7, 3))
    thawed = wire.now_ms()
    guard.process.send_signal(signal.SIGCONT)
    check(sidecar.until(lambda: request in sidecar.replies), 'no reply')
    # Taken only by a guard without a child: the tree may be gone before the request is read.
    answer, left = sidecar.replies[request], alive(pids)
    check(answer[0] == REFUSED or (answer[0] == OK and left == []), f'{answer}, alive: {left}')
    check(sidecar.wait_child(CHILD_NONE, 2), 'not killed')
    check(sidecar.status.killed_by_deadline, 'it was not the deadline')
    check(alive(pids) == [], 'something is alive')
    check(sidecar.gone_at - thawed < 250, 'late')
    return f'gone {sidecar.gone_at - thawed} ms after the thaw'


def offer_while_dying_is_refused(world):
    """A passed deadline is final until the tree is gone; afterwards life can begin anew."""
    _, sidecar, _ = under_deadline(world, 300)
    check(sidecar.wait_child(CHILD_NONE, 3), f'not killed: {sidecar.status}')
    check(sidecar.status.killed_by_deadline, 'it was not the deadline')
    check(sidecar.start(['/bin/sleep', '9'], primary=True, lease=7, revision=3)[0] == REFUSED,
          'started under a dead deadline')
    check(sidecar.deadline(5000)[0] == OK, 'new deadline')
    check(sidecar.start(['/bin/sleep', '9'], primary=True, lease=7, revision=3)[0] == OK, 'start')
    check(not sidecar.status.killed_by_deadline and sidecar.status.children == 2, 'status')


def child_that_dies_takes_its_orphans(world):
    """G1: the postmaster is killed; what it forked is killed and reaped before NONE is said."""
    _, sidecar = primary(world, 60000)
    pids = world.tree_pids()
    os.kill(sidecar.status.pid, signal.SIGKILL)
    check(sidecar.wait_child(CHILD_NONE, 3), 'never gone')
    check(alive(pids) == [], f'alive: {alive(pids)}')
    check(not sidecar.status.has_deadline and sidecar.status.lease == 0, 'deadline goes with it')
    check(not sidecar.status.killed_by_deadline, 'it was not the deadline')


def kill_request_kills_a_stopped_child(world):
    """SIGKILL reaches a stopped process as well."""
    _, sidecar = primary(world, 60000)
    pids = world.tree_pids()
    os.kill(sidecar.status.pid, signal.SIGSTOP)
    check(sidecar.ask(wire.KILL)[0] == OK, 'kill')
    check(sidecar.wait_child(CHILD_NONE, 3), 'never gone')
    check(alive(pids) == [], 'alive')


# Four relays: each process forks the next one and ends, in sessions of their own.
STORM = r'''
import os, sys, time
for index in range(4):
    if os.fork() == 0:
        end = time.monotonic() + 20
        while time.monotonic() < end:
            if os.fork() != 0:
                os._exit(0)
            os.setsid()
while True:
    time.sleep(60)
'''


def fork_storm_ends(world):
    """G1: a tree that forks as fast as it can is killed until the kernel says that none is left."""
    _, sidecar = primary(world, 500, [PYTHON, '-c', STORM, world.folder])
    check(sidecar.wait_child(CHILD_NONE, 8), 'never gone')
    took = sidecar.gone_at - sidecar.deadline_was
    left = subprocess.run(['ps', '-eo', 'args'], capture_output=True, text=True).stdout
    check(not any(world.folder in line and 'os.fork' in line for line in left.splitlines()),
          'some of it is alive')
    return f'gone {took} ms after the deadline'


def primary_needs_a_live_deadline(world):
    """L7: no deadline, another cookie, none at all: refused. A standby needs none."""
    sidecar = world.guard().sidecar()
    sleep = ['/bin/sleep', '9']
    check(sidecar.start(sleep, primary=True, lease=7, revision=3)[0] == REFUSED, 'no deadline')
    check(sidecar.deadline(250)[0] == OK, 'deadline')
    check(sidecar.start(sleep, primary=True, lease=7, revision=4)[0] == REFUSED, 'other key')
    check(sidecar.start(sleep, primary=True, lease=8, revision=3)[0] == REFUSED, 'other lease')
    check(sidecar.start(sleep, primary=True)[0] == REFUSED, 'no cookie')
    time.sleep(0.3)
    check(sidecar.start(sleep, primary=True, lease=7, revision=3)[0] == REFUSED, 'passed')
    check(sidecar.deadline(-1)[0] == REFUSED, 'a deadline in the past')
    check(sidecar.ask(wire.DEADLINE, wire.struct.pack('<qqq', wire.now_ms() + 999, 0, 0))[0] ==
          REFUSED, 'a deadline without a cookie')
    check(sidecar.start(sleep)[0] == OK, 'standby')
    check(sidecar.start(sleep)[0] == REFUSED, 'a second child')


def standby_becomes_primary_under_a_deadline(world):
    """L4: the deadline that is acknowledged before the promotion binds the running standby."""
    sidecar = world.guard().sidecar()
    check(sidecar.start(world.tree())[0] == OK, 'start')
    pids = world.tree_pids()
    check(not sidecar.status.has_deadline, 'a standby has none')
    check(sidecar.deadline(300, 9, 1)[0] == OK and sidecar.status.has_deadline, 'deadline')
    check(sidecar.wait_child(CHILD_NONE, 3) and sidecar.status.killed_by_deadline, 'killed')
    check(alive(pids) == [], 'alive')


def second_connection_fences_the_first(world):
    """L7: one sidecar at a time; what the first still sends is not heard."""
    guard, first = primary(world, 60000)
    first.send(wire.DEADLINE, wire.struct.pack('<qqq', wire.now_ms() + 90000, 7, 3))
    second = guard.sidecar()
    check(first.until(lambda: first.fenced and first.closed), 'the first was not told')
    check(second.status.child == CHILD_RUNNING and second.status.lease == 7, 'status')
    try:
        first.send(wire.KILL)
    except OSError:
        pass
    time.sleep(0.1)
    check(second.deadline(5000)[0] == OK and second.status.child == CHILD_RUNNING, 'still runs')


def new_sidecar_must_name_the_cookie(world):
    """L7: a new sidecar adopts only what it can name; then it may move on to another key."""
    guard, _ = primary(world, 60000)
    second = guard.sidecar()
    check(second.deadline(70000, 8, 5)[0] == REFUSED, 'foreign cookie')
    check(second.status.lease == 7, 'cookie kept')
    check(second.deadline(70000, 7, 3)[0] == OK, 'its own')
    check(second.deadline(80000, 8, 5)[0] == OK and second.status.lease == 8, 'moved on')


def observer_fences_nobody(world):
    """--status looks and changes nothing."""
    guard, sidecar = primary(world, 60000)
    shown = subprocess.run([world.binary, '--status', guard.path], capture_output=True, text=True)
    check(shown.returncode == 0 and 'child: running' in shown.stdout and 'lease: 7' in shown.stdout,
          shown)
    check(sidecar.deadline(70000)[0] == OK and not sidecar.closed, 'the sidecar is still served')
    silent = wire.socket.socket(wire.socket.AF_UNIX, wire.socket.SOCK_SEQPACKET)
    silent.connect(guard.path)
    check(sidecar.deadline(80000)[0] == OK, 'one that says nothing fences nobody')
    silent.close()


def wrong_frames_end_the_connection(world):
    """Version, magic, length, type: nothing that is not understood is believed."""
    guard = world.guard()
    check(guard.sidecar(version=9).closed, 'version 9')
    check(guard.sidecar(version=3).version == 2, 'one newer steps back')
    check(guard.sidecar(version=1).version == 1, 'the version before')
    sidecar = guard.sidecar()
    check(sidecar.ask(99)[0] == wire.INVALID, 'unknown type')
    for body in (b'', b'\0' * 31, wire.struct.pack('<qqIIII', 0, 0, 0, 2, 0, 0) + b'/bin/true\0/',
                 wire.struct.pack('<qqIIII', 0, 0, 0, 1 << 31, 0, 0) + b'/bin/true\0',
                 wire.struct.pack('<qqIIII', 0, 0, 0, 0, 0, 0) + b'/\0',
                 wire.Sidecar.start_body(['true']), wire.Sidecar.start_body(['/x'] * 65)):
        check(sidecar.ask(wire.START, body)[0] == wire.INVALID, body)
    for kind in (wire.DEADLINE, wire.SIGNAL, wire.RUN):
        check(sidecar.ask(kind, b'x')[0] == wire.INVALID, f'cut short: {kind}')
    check(sidecar.start(['/nowhere/postgres'])[0] == wire.SYSTEM, 'no such program')
    check(sidecar.wait_child(CHILD_NONE), 'gone')
    sidecar.sock.send(b'garbage')
    check(sidecar.until(lambda: sidecar.closed), 'garbage')
    sidecar = guard.sidecar()
    sidecar.version = 1
    sidecar.send(wire.KILL)
    check(sidecar.until(lambda: sidecar.closed), 'another version than agreed')
    check(guard.process.poll() is None, 'the guard lives')


def two_guards_one_lock(world):
    """G3: no lock, no start; the child holds the lock when its guard is gone."""
    first = world.guard()
    sidecar = first.sidecar()
    check(sidecar.start(world.tree())[0] == OK and sidecar.status.lock_held, 'first')
    pids = world.tree_pids()
    other = world.guard(name='other').sidecar()
    code, text = other.start(['/bin/sleep', '9'])
    check(code == REFUSED and 'lock' in text and not other.status.lock_held, text)
    check(f'process {first.process.pid} of {socket.gethostname()}' in text, text)
    check(other.run_tool(['/bin/true'])[0] == REFUSED, 'no tool either')
    check(other.ask(wire.LOCK)[0] == REFUSED, 'nor the lock alone')
    main_pid = sidecar.status.pid
    first.process.kill()
    first.process.wait()
    for _ in range(200):
        if not alive([main_pid]):
            break
        time.sleep(0.01)
    check(not alive([main_pid]), 'a dead guard is a dead postmaster')
    orphans = alive(pids)
    check(len(orphans) > 0, 'this tree leaves orphans')
    check(other.start(['/bin/sleep', '9'])[0] == REFUSED, 'an orphan holds the lock')
    for pid in orphans:
        os.kill(pid, signal.SIGKILL)
    time.sleep(0.1)
    check(other.start(['/bin/sleep', '9'])[0] == OK, 'nothing is left')


def lock_without_a_child(world):
    """G3: who is about to change PGDATA has the lock, with no child and no tool; it goes with the guard."""
    first = world.guard()
    sidecar = first.sidecar()
    check(not sidecar.status.lock_held, 'not before it was asked for')
    check(sidecar.ask(wire.LOCK)[0] == OK and sidecar.status.lock_held, 'taken')
    check(sidecar.ask(wire.LOCK)[0] == OK, 'twice')
    sidecar.close()
    other = world.guard(name='other').sidecar()
    code, text = other.ask(wire.LOCK)
    check(code == REFUSED and f'process {first.process.pid} of ' in text, text)
    check(other.start(['/bin/sleep', '9'])[0] == REFUSED, 'no start beside it')
    check(first.sidecar().status.lock_held, 'kept while no sidecar was there')
    first.process.kill()
    first.process.wait()
    check(other.ask(wire.LOCK)[0] == OK and other.status.lock_held, 'its guard is gone')
    check(other.start(['/bin/sleep', '9'])[0] == OK, 'and may start')


def lift_takes_the_deadline_away(world):
    """L8: lifted, the child outlives the deadline; an offer ends the lift."""
    _, sidecar = primary(world, 400)
    pids = world.tree_pids()
    check(sidecar.ask(wire.LIFT)[0] == OK and sidecar.status.lifted, 'lift')
    time.sleep(0.5)
    check(len(alive(pids)) == 7 and not sidecar.status.has_deadline, 'alive')
    check(sidecar.deadline(300, 11, 12)[0] == OK and not sidecar.status.lifted, 'offer')
    check(sidecar.wait_child(CHILD_NONE, 3), 'killed')


def other_users_are_refused(world):
    """Peer uid = own uid."""
    if os.getuid() != 0:
        raise Skip('needs root to be somebody else')
    guard = world.guard()
    os.chmod(world.folder, 0o755)
    os.chmod(guard.path, 0o777)
    code = ('import socket,sys\ns=socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n'
            's.connect(sys.argv[1])\ns.settimeout(2)\nsys.exit(0 if s.recv(10) == b"" else 1)')
    done = subprocess.run(['/usr/bin/python3' if os.path.exists('/usr/bin/python3') else PYTHON,
                           '-c', code, guard.path], user=65534)
    check(done.returncode == 0, 'served a stranger')


CASES = [deadline_kills_the_whole_tree, deadline_needs_no_sidecar, deadline_moves_forward_only,
         frozen_guard_still_kills, offer_while_dying_is_refused, child_that_dies_takes_its_orphans,
         kill_request_kills_a_stopped_child, fork_storm_ends, primary_needs_a_live_deadline,
         standby_becomes_primary_under_a_deadline, second_connection_fences_the_first,
         new_sidecar_must_name_the_cookie, observer_fences_nobody, wrong_frames_end_the_connection,
         two_guards_one_lock, lock_without_a_child, lift_takes_the_deadline_away, other_users_are_refused]
