"""The guard with a real PostgreSQL, and as PID 1 of root file systems that we did not build."""
import glob
import os
import pwd
import shutil
import signal
import subprocess
import time

import wire
from cases import Skip, alive, check
from wire import CHILD_NONE, CHILD_RUNNING, OK

LOOP = '''create table t(i bigserial, at timestamptz default clock_timestamp());
create procedure hammer() language plpgsql as $$ begin
  loop insert into t default values; commit; end loop; end $$;'''


def postgres_bin():
    found = sorted(glob.glob('/usr/lib/postgresql/*/bin/postgres'))
    if not found:
        raise Skip('no PostgreSQL here')
    return os.path.dirname(found[-1])


def user():
    """PostgreSQL does not run as root."""
    if os.getuid() != 0:
        return {}
    return {'user': 'postgres', 'group': 'postgres', 'extra_groups': []}


class Postgres:
    """A server under a guard of its own, both as an ordinary user."""

    def __init__(self, world, *more):
        self.bin, self.world = postgres_bin(), world
        self.data = os.path.join(world.folder, 'data', 'pgdata')
        os.mkdir(os.path.dirname(self.data))
        binary = os.path.join(world.folder, 'pgvigil-guard')
        shutil.copy(world.binary, binary)
        if os.getuid() == 0:
            owner = pwd.getpwnam('postgres')
            for path in (world.folder, os.path.dirname(self.data)):
                os.chown(path, owner.pw_uid, owner.pw_gid)
        subprocess.run([f'{self.bin}/initdb', '-D', self.data, '-A', 'trust', '-N', '--no-sync', '-U',
                        'postgres'], check=True, stdout=subprocess.DEVNULL, cwd='/', **user())
        lock = os.path.join(os.path.dirname(self.data), 'lock')
        path = os.path.join(world.folder, 's')
        self.log_path = path + '.log'
        self.guard = world.popen([binary, '--socket', path, '--lock', lock, *more], cwd='/',
                                 stderr=open(self.log_path, 'ab'), **user())
        while not os.path.exists(path):
            time.sleep(0.01)
        if os.getuid() == 0:
            # Only the same user is served: the test becomes it for the connection.
            os.seteuid(pwd.getpwnam('postgres').pw_uid)
        try:
            self.sidecar = wire.Sidecar(path)
        finally:
            if os.getuid() == 0:
                os.seteuid(0)
        self.sidecar.until(lambda: self.sidecar.status)

    def start(self, in_ms):
        check(self.sidecar.deadline(in_ms)[0] == OK, 'deadline')
        answer = self.sidecar.start(
            [f'{self.bin}/postgres', '-D', self.data, '-k', self.world.folder, '-c',
             'listen_addresses=', '-c', 'max_connections=120', '-c', 'fsync=off'],
            primary=True, lease=7, revision=3, env=['PATH=/usr/bin:/bin', 'LC_ALL=C'])
        check(answer[0] == OK, answer)
        end = time.monotonic() + 20
        while time.monotonic() < end:
            if self.sql('select 1').returncode == 0:
                return
            time.sleep(0.05)
        raise AssertionError('PostgreSQL did not come up')

    def psql(self, text):
        return [f'{self.bin}/psql', '-h', self.world.folder, '-U', 'postgres', '-d', 'postgres',
                '-XAtqc', text]

    def sql(self, text):
        return subprocess.run(self.psql(text), capture_output=True, text=True, cwd='/')

    def writers(self, count):
        for _ in range(count):
            self.world.popen(self.psql('call hammer()'), stderr=subprocess.DEVNULL)
        end = time.monotonic() + 20
        busy = f"select count(*) >= {count} from pg_stat_activity where query = 'call hammer()'"
        while time.monotonic() < end and self.sql(busy).stdout.strip() != 't':
            time.sleep(0.05)

    def processes(self):
        """Everything that has the lock file open is of the tree, but the guard itself."""
        found = []
        target = os.path.realpath(os.path.join(os.path.dirname(self.data), 'lock'))
        for folder in glob.glob('/proc/[0-9]*/fd'):
            pid = int(folder.split('/')[2])
            try:
                if pid != self.guard.pid and any(
                        os.path.realpath(os.path.join(folder, fd)) == target
                        for fd in os.listdir(folder)):
                    found.append(pid)
            except OSError:
                pass
        return found


def postmaster_killed_while_a_backend_commits(world):
    """G1 with PostgreSQL: a backend that commits in a loop outlives its postmaster; nothing of it
    does when the guard says gone."""
    postgres = Postgres(world)
    postgres.start(60000)
    check(postgres.sql(LOOP).returncode == 0, 'schema')
    postgres.writers(3)
    pids = postgres.processes()
    check(len(pids) >= 8, f'the whole tree holds the lock: {pids}')
    began = wire.now_ms()
    os.kill(postgres.sidecar.status.pid, signal.SIGKILL)
    check(postgres.sidecar.wait_child(CHILD_NONE, 5), 'never gone')
    check(alive(pids) == [] and postgres.processes() == [], 'something of it lives')
    return f'gone {postgres.sidecar.gone_at - began} ms after the kill'


def deadline_with_a_hundred_backends(world):
    """L3 with PostgreSQL: the last commit lies within the margin of 250 ms, however busy it is."""
    postgres = Postgres(world)
    postgres.start(60000)
    check(postgres.sql(LOOP).returncode == 0, 'schema')
    postgres.writers(2)
    for _ in range(90):
        world.popen(postgres.psql('select pg_sleep(99)'), stderr=subprocess.DEVNULL)
    end = time.monotonic() + 20
    while time.monotonic() < end and len(postgres.processes()) < 95:
        time.sleep(0.1)
    sidecar = postgres.sidecar
    # The deadline moves forward only: a lift (L8) makes room for a near one.
    check(sidecar.ask(wire.LIFT)[0] == OK, 'lift')
    count = len(postgres.processes())
    check(sidecar.deadline(300)[0] == OK, 'deadline')
    deadline = sidecar.status.deadline_ms
    wall = time.time() + (deadline - wire.now_ms()) / 1000
    check(sidecar.wait_child(CHILD_NONE, 5), 'never gone')
    late = sidecar.gone_at - deadline
    check(postgres.processes() == [], 'something of it lives')
    check(late < 1000, f'gone {late} ms late')
    postgres.start(60000)
    told = postgres.sql(f'select round(1000 * (extract(epoch from max(at)) - {wall:.4f})) from t')
    last = int(told.stdout)
    check(-100 < last < 250, f'the last commit {last} ms after the deadline')
    return f'{count} processes: last commit {last} ms, gone {late} ms after the deadline'


def stop_of_a_container_stops_postgres_fast(world):
    """G2 with PostgreSQL: the postmaster gets a fast stop, the control file says shut down."""
    postgres = Postgres(world, '--grace', '4')
    postgres.start(60000)
    check(postgres.sql(LOOP).returncode == 0, 'schema')
    postgres.writers(1)
    postgres.guard.send_signal(signal.SIGINT)
    check(postgres.guard.wait(6) == 0, 'exit status')
    check(postgres.processes() == [], 'something of it lives')
    told = subprocess.run([f'{postgres.bin}/pg_controldata', postgres.data], capture_output=True,
                          text=True, env={'LC_ALL': 'C'}).stdout
    check('shut down\n' in told, told)


def processes():
    return [name for name in os.listdir('/proc') if name.isdigit()]


def root_of(pid):
    try:
        return os.readlink(f'/proc/{pid}/root')
    except OSError:
        return None


def as_pid_1(world, root, child, probe):
    """The guard as PID 1 of a root file system of which it shares nothing: its child leaves an
    orphan, which dies at the deadline with it."""
    if os.getuid() != 0:
        raise Skip('needs root for namespaces')
    for folder in ('proc', 'run', 'dev'):
        os.makedirs(os.path.join(root, folder), exist_ok=True)
    shutil.copy(world.binary, os.path.join(root, 'pgvigil-guard'))
    process = world.popen(
        ['unshare', '--mount', '--pid', '--fork', '--kill-child', '/bin/sh', '-c',
         f'mount -t proc proc {root}/proc && exec chroot {root} '
         '/pgvigil-guard --socket /run/s --lock /run/lock --grace 2'],
        stderr=open(os.path.join(world.folder, 's.log'), 'ab'))
    path = os.path.join(root, 'run', 's')
    end = time.monotonic() + 5
    while time.monotonic() < end and not os.path.exists(path):
        time.sleep(0.01)
    sidecar = wire.Sidecar(path)
    sidecar.until(lambda: sidecar.status)
    check(sidecar.deadline(800)[0] == OK, 'deadline')
    answer = sidecar.start(child, primary=True, lease=7, revision=3)
    check(answer[0] == OK and sidecar.status.pid < 20, answer)
    time.sleep(0.3)
    if probe:
        check(sidecar.run_tool(probe)[0] == OK, 'tool')
        check(sidecar.until(lambda: sidecar.exits), 'no exit of the tool')
        check(b'1\n' in sidecar.output or sidecar.output, sidecar.output)
    check(sidecar.status.child == CHILD_RUNNING, 'runs')
    check(sidecar.wait_child(CHILD_NONE, 3) and sidecar.status.killed_by_deadline, 'deadline')
    left = [pid for pid in processes() if root_of(pid) == os.path.realpath(root)]
    check(len(left) == 1, f'{left}: more than the guard is left')
    os.kill(int(left[0]), signal.SIGINT)
    sidecar.send(wire.HANDED_OVER)
    process.wait(4)


def pid_1_of_a_foreign_root(world):
    """Issue 3 part 1: in an image that we did not build (busybox and nothing else)."""
    busybox = shutil.which('busybox')
    if not busybox:
        raise Skip('no static busybox here')
    root = os.path.join(world.folder, 'root')
    os.makedirs(os.path.join(root, 'bin'))
    shutil.copy(busybox, os.path.join(root, 'bin', 'busybox'))
    os.symlink('busybox', os.path.join(root, 'bin', 'sh'))
    script = '(trap "" TERM INT; exec /bin/busybox sleep 99) & exec /bin/busybox sleep 99'
    as_pid_1(world, root, ['/bin/sh', '-c', script], ['/bin/busybox', 'ls', '/proc'])


MUSL = r'''
#include <stdio.h>
#include <unistd.h>
int main(void)
{
    puts("musl");
    fflush(stdout);
    if (fork() == 0)
        setsid();
    for (;;)
        pause();
}
'''


def pid_1_of_a_musl_root(world):
    """Issue 3 part 1: and in one with musl's dynamic loader, as Alpine has it."""
    compiler = shutil.which('musl-gcc')
    loader = next(iter(glob.glob('/lib/ld-musl-*.so.1')), None)
    if not compiler or not loader:
        raise Skip('no musl here')
    root = os.path.join(world.folder, 'root')
    os.makedirs(os.path.join(root, 'lib'))
    shutil.copy(os.path.realpath(loader), os.path.join(root, loader.lstrip('/')))
    source = os.path.join(world.folder, 'child.c')
    with open(source, 'w') as f:
        f.write(MUSL)
    subprocess.run([compiler, '-o', os.path.join(root, 'child'), source], check=True)
    as_pid_1(world, root, ['/child'], None)


def supervisor_as_pid_1(world):
    """A node as in the demo: PID 1 supervises, the sidecar's guard is detached and outlives it, a
    stop of the node ends all three."""
    if os.getuid() != 0:
        raise Skip('needs root for namespaces')
    folder = world.folder
    script = (f'echo $$ >>{folder}/starts; test -S {folder}/s || '
              f'setsid {world.binary} --socket {folder}/s --lock {folder}/lock & '
              'exec sleep 99')
    process = world.popen(['unshare', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc',
                           world.binary, '--supervise', '--', '/bin/sh', '-c', script],
                          stderr=open(os.path.join(folder, 's.log'), 'ab'))
    pids = lambda: subprocess.run(['pgrep', '-P', str(process.pid)], capture_output=True,
                                  text=True).stdout.split()
    end = time.monotonic() + 5
    while time.monotonic() < end and not os.path.exists(f'{folder}/s'):
        time.sleep(0.01)
    supervisor = int(pids()[0])
    children = lambda name: subprocess.run(['pgrep', '-P', str(supervisor), '-x', name],
                                           capture_output=True, text=True).stdout.split()
    sidecar = wire.Sidecar(f'{folder}/s')
    check(sidecar.start(['/bin/sleep', '98'])[0] == OK, 'start')
    old = children('sleep')
    os.kill(int(old[0]), signal.SIGKILL)
    time.sleep(0.15)
    check(len(children('sleep')) == 1 and children('sleep') != old, 'restarted')
    check(sidecar.status.child == CHILD_RUNNING and not sidecar.closed, 'the guard lives on')
    sidecar.close()
    began = time.monotonic()
    os.kill(supervisor, signal.SIGRTMIN + 3)
    process.wait(5)
    took = time.monotonic() - began
    check(took < 3 and not os.path.exists(f'{folder}/s'), f'the guard ended in order, {took:.1f} s')
    return f'stopped in {took:.1f} s'


CASES = [supervisor_as_pid_1, postmaster_killed_while_a_backend_commits, deadline_with_a_hundred_backends,
         stop_of_a_container_stops_postgres_fast, pid_1_of_a_foreign_root, pid_1_of_a_musl_root]
