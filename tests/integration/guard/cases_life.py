"""Cases of tools, stops, the supervisor and what the guard costs."""
import os
import signal
import subprocess
import time

import wire
from cases import PYTHON, alive, check, outlived, primary
from wire import CHILD_NONE, CHILD_RUNNING, END_CANCELLED, END_DEADLINE, END_EXITED, OK, REFUSED


def run_streams_output(world):
    """run: output in frames, then the exit; environment and directory are the caller's."""
    sidecar = world.guard().sidecar()
    answer = sidecar.run_tool(['/bin/sh', '-c', 'echo $WORD; pwd; echo err >&2; exit 3'],
                              env=['WORD=hello'], cwd='/usr')
    check(answer[0] == OK, answer)
    check(sidecar.until(lambda: sidecar.exits), 'no exit')
    check(sidecar.output == b'hello\n/usr\nerr\n', sidecar.output)
    status, end = sidecar.exits[0]
    check(os.WEXITSTATUS(status) == 3 and end == END_EXITED, sidecar.exits)
    sidecar.output, sidecar.exits = b'', []
    sidecar.run_tool(['/bin/sh', '-c', 'head -c 3000000 /dev/zero; echo end'])
    check(sidecar.until(lambda: sidecar.exits, 10), 'no exit of the long one')
    check(len(sidecar.output) == 3000004 and sidecar.output.endswith(b'end\n'), 'output was lost')
    check(sidecar.run_tool(['/nowhere/tool'])[0] == wire.SYSTEM, 'no such tool')


def run_is_killed(world):
    """run: cancel, deadline and a lost sidecar kill the tool with all that it forked."""
    guard = world.guard()
    sidecar = guard.sidecar()
    check(sidecar.run_tool(world.tree(), in_ms=60000)[0] == OK, 'run')
    pids = world.tree_pids()
    check(sidecar.run_tool(['/bin/true'])[0] == REFUSED, 'one at a time')
    check(sidecar.start(['/bin/sleep', '9'])[0] == REFUSED, 'no start beside a tool')
    check(sidecar.ask(wire.RUN_CANCEL)[0] == OK, 'cancel')
    check(sidecar.until(lambda: sidecar.exits), 'no exit after cancel')
    check(sidecar.exits.pop()[1] == END_CANCELLED and alive(pids) == [], f'cancel {alive(pids)}')
    check(sidecar.run_tool(['/bin/sleep', '60'], in_ms=200)[0] == OK, 'run with a deadline')
    check(sidecar.until(lambda: sidecar.exits), 'no exit at the deadline')
    check(sidecar.exits.pop()[1] == END_DEADLINE, 'deadline')
    check(sidecar.run_tool(['/bin/sleep', '60'], in_ms=-5)[0] == REFUSED, 'passed deadline')
    os.remove(world.pids)
    check(sidecar.run_tool(world.tree(), in_ms=60000)[0] == OK, 'run again')
    pids = world.tree_pids()
    sidecar.close()
    check(outlived(pids) == [], f'the tool outlived its sidecar: {alive(pids)}')
    check(guard.sidecar().run_tool(['/bin/true'])[0] == OK, 'the next one may run')


def run_of_a_sidecar_that_does_not_read(world):
    """A full socket stops the tool, not the guard: the deadline of the child holds."""
    _, sidecar = primary(world, 900)
    pids = world.tree_pids()
    sidecar.send(wire.RUN, wire.struct.pack('<qII', wire.now_ms() + 60000, 1, 0) +
                 wire.block('/usr/bin/yes', '/'))
    for _ in range(40):
        sidecar.send(wire.DEADLINE, wire.struct.pack('<qqq', wire.now_ms() + 10, 7, 3))
    time.sleep(1.2)
    check(alive(pids) == [], 'the guard was held up')
    check(sidecar.until(lambda: sidecar.exits, 5), 'the tool was not told to be gone')


def run_beside_a_child(world):
    """A tool beside the running child ends without it."""
    _, sidecar = primary(world, 60000)
    pids = world.tree_pids()
    check(sidecar.run_tool(['/bin/sh', '-c', 'sleep 99 & echo done'])[0] == OK, 'run')
    check(sidecar.until(lambda: sidecar.exits, 3), 'no exit')
    check(sidecar.output == b'done\n' and len(alive(pids)) == 7, 'the child lives')
    check(sidecar.status.child == CHILD_RUNNING, 'status')


FAST = ('import signal, sys, time\n'
        'def fast(*_):\n'
        '    open(sys.argv[1], "w").write("fast")\n'
        '    sys.exit(0)\n'
        'signal.signal(signal.SIGINT, fast)\n'
        'signal.signal(signal.SIGTERM, signal.SIG_IGN)\n'
        'open(sys.argv[1], "w").write("up")\n'
        'while True:\n'
        '    time.sleep(60)\n')


def fast_child(world, sidecar):
    path = os.path.join(world.folder, 'fast')
    check(sidecar.start([PYTHON, '-c', FAST, path])[0] == OK, 'start')
    end = time.monotonic() + 5
    while time.monotonic() < end and not os.path.exists(path):
        time.sleep(0.01)
    time.sleep(0.05)
    return lambda: open(path).read()


def each_stop_signal(world):
    """G2: SIGTERM, SIGINT, SIGQUIT, SIGRTMIN+3 are told to the sidecar; after the handover the guard
    ends."""
    for number, signum in enumerate((signal.SIGTERM, signal.SIGINT, signal.SIGQUIT,
                                     signal.SIGRTMIN + 3)):
        guard = world.guard('--grace', '10', name=f's{number}')
        sidecar = guard.sidecar()
        answer = sidecar.start(['/bin/sleep', '60'])
        check(answer[0] == OK, answer)
        began = wire.now_ms()
        guard.process.send_signal(signum)
        check(sidecar.until(lambda: sidecar.status.stop_requested, 1), f'{signum} was not told')
        check(abs(sidecar.status.stop_by_ms - began - 5000) < 200, 'half of the grace')
        check(sidecar.start(['/bin/true'])[0] == REFUSED, 'no start on a stop')
        check(sidecar.ask(wire.SIGNAL, wire.struct.pack('<i', signal.SIGTERM))[0] == OK, 'signal')
        check(sidecar.wait_child(CHILD_NONE), 'the sidecar stopped it')
        check(sidecar.run_tool(['/bin/true'])[0] == OK, 'tools still run')
        check(sidecar.until(lambda: sidecar.exits), 'tool')
        check(guard.process.poll() is None, 'it waits for the handover')
        check(sidecar.ask(wire.HANDED_OVER)[0] == OK, 'handed over')
        check(guard.process.wait(2) == 0, 'exit status')
        check(not os.path.exists(guard.path), 'socket removed')


def stop_with_a_silent_sidecar(world):
    """G2: with only half of the grace left the guard stops the child by itself, fast, then exits."""
    guard = world.guard('--grace', '2')
    sidecar = guard.sidecar()
    what = fast_child(world, sidecar)
    began = time.monotonic()
    guard.process.terminate()
    check(guard.process.wait(3) == 0, 'exit status')
    took = time.monotonic() - began
    check(0.9 < took < 1.6 and what() == 'fast', f'{took:.2f} s, {what()}')


def stop_without_a_sidecar(world):
    """G2: no sidecar connected for 2 s: fast stop, whatever is left of the grace."""
    guard = world.guard('--grace', '30')
    sidecar = guard.sidecar()
    what = fast_child(world, sidecar)
    sidecar.close()
    time.sleep(0.3)
    began = time.monotonic()
    guard.process.send_signal(signal.SIGINT)
    check(guard.process.wait(5) == 0, 'exit status')
    took = time.monotonic() - began
    check(1.4 < took < 2.3 and what() == 'fast', f'{took:.2f} s, {what()}')


def stop_kills_before_the_grace_ends(world):
    """G2: a child that does not stop is killed, with its tree, in time."""
    guard = world.guard('--grace', '2')
    sidecar = guard.sidecar()
    ignore = ('import signal,time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n'
              'while True: time.sleep(9)')
    check(sidecar.start([PYTHON, '-c', ignore])[0] == OK, 'start')
    time.sleep(0.3)
    began = time.monotonic()
    guard.process.terminate()
    check(guard.process.wait(3) == 0, 'exit status')
    check(1.3 < time.monotonic() - began < 1.95, f'{time.monotonic() - began:.2f} s')


def etcd_guard(world):
    """G2 for etcd: no deadline; waits for the word that Postgres was handed over; alone, at once."""
    guard = world.guard('--no-deadline', '--grace', '10', lock=False)
    sidecar = guard.sidecar()
    check(sidecar.deadline(1000)[0] == wire.INVALID, 'it knows no deadline')
    what = fast_child(world, sidecar)
    guard.process.terminate()
    check(sidecar.until(lambda: sidecar.status.stop_requested, 1), 'told')
    time.sleep(0.3)
    check(what() == 'up' and guard.process.poll() is None, 'it waits')
    sidecar.send(wire.HANDED_OVER)
    check(guard.process.wait(2) == 0 and what() == 'fast', 'stopped')
    guard = world.guard('--no-deadline', lock=False, name='alone')
    sidecar = guard.sidecar()
    what = fast_child(world, sidecar)
    sidecar.close()
    began = time.monotonic()
    guard.process.terminate()
    check(guard.process.wait(2) == 0 and what() == 'fast', 'stopped')
    check(time.monotonic() - began < 0.5, 'not at once')


def stop_by_request(world):
    """The sidecar ends a guard of its own in the same way as a signal does."""
    guard = world.guard()
    sidecar = guard.sidecar()
    check(sidecar.ask(wire.STOP)[0] == OK and sidecar.status.stop_requested, 'stop')
    sidecar.send(wire.HANDED_OVER)
    check(guard.process.wait(2) == 0, 'exit status')


COUNT = ('import os, sys, time, signal\n'
         'with open(sys.argv[1], "a") as f:\n'
         '    f.write("%d %.3f\\n" % (os.getpid(), time.monotonic()))\n'
         'signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n'
         'def hup(*_):\n'
         '    open(sys.argv[1] + ".hup", "w").close()\n'
         'signal.signal(signal.SIGHUP, hup)\n'
         'while True:\n'
         '    time.sleep(60)\n')


def supervised(world, arguments):
    log = open(os.path.join(world.folder, 'supervise.log'), 'ab')
    return world.popen([world.binary, '--supervise', '--grace', '5', '--'] + arguments, stderr=log,
                       stdout=log)


def starts_of(path, count, patience=5):
    end = time.monotonic() + patience
    lines = []
    while time.monotonic() < end and len(lines) < count:
        time.sleep(0.002)
        if os.path.exists(path):
            with open(path) as f:
                lines = [line.split() for line in f.read().splitlines()]
    check(len(lines) >= count, f'{len(lines)} starts of {count}')
    return lines


def supervise_restarts_at_once(world):
    """--supervise: within 100 ms, ten times a minute, then slower; HUP and stop are forwarded."""
    path = os.path.join(world.folder, 'starts')
    script = f'echo $$ $(date +%s.%N) >>{path}; exec sleep 60'
    process = supervised(world, ['/bin/sh', '-c', script])
    worst = 0.0
    for count in range(1, 11):
        lines = starts_of(path, count)
        time.sleep(0.03)
        killed = time.time()
        os.kill(int(lines[-1][0]), signal.SIGKILL)
        if count < 10:
            worst = max(worst, float(starts_of(path, count + 1)[-1][1]) - killed)
    check(worst < 0.1, f'{worst * 1000:.0f} ms')
    time.sleep(0.5)
    check(len(starts_of(path, 10)) == 10, 'the eleventh comes slower')
    process.terminate()
    process.wait(3)
    return f'worst restart {worst * 1000:.0f} ms'


def supervise_forwards(world):
    """--supervise: SIGHUP as it is, each stop signal as SIGTERM; exit status is the sidecar's."""
    for number, signum in enumerate((signal.SIGTERM, signal.SIGINT, signal.SIGQUIT,
                                     signal.SIGRTMIN + 3)):
        path = os.path.join(world.folder, f'starts{number}')
        process = supervised(world, [PYTHON, '-c', COUNT, path])
        starts_of(path, 1)
        time.sleep(0.05)
        process.send_signal(signal.SIGHUP)
        for _ in range(100):
            if os.path.exists(path + '.hup'):
                break
            time.sleep(0.01)
        check(os.path.exists(path + '.hup'), 'SIGHUP')
        process.send_signal(signum)
        check(process.wait(3) == 0, 'exit status')
        check(len(starts_of(path, 1)) == 1, 'started again on a stop')


def supervise_stops_guards_of_a_dead_sidecar(world):
    """--supervise: guards that a killed sidecar left behind are told to stop and waited for."""
    script = (f'{world.binary} --socket {world.folder}/s --lock {world.folder}/lock & '
              f'sleep 0.2; kill -9 $$')
    process = supervised(world, ['/bin/sh', '-c', script])
    time.sleep(0.15)
    process.terminate()
    began = time.monotonic()
    process.wait(6)
    took = time.monotonic() - began
    check(took < 3.5, f'{took:.1f} s')
    check(not os.path.exists(f'{world.folder}/s'), 'the guard ended in order')


def supervise_clean_exit_is_a_stop(world):
    """--supervise: a sidecar that ends with 0 was told to stop; a missing one is tried again."""
    check(supervised(world, ['true']).wait(2) == 0, 'ends with it')
    check(supervised(world, ['no-such-program-here']).wait(2) == 1, 'not in PATH')


def footprint(world):
    """Issue 3 part 2: static, at most 200 kB, at most 1 MB resident."""
    size = os.path.getsize(world.binary)
    check(size <= 200 * 1024, f'{size} bytes')
    guard, sidecar = primary(world, 60000)
    world.tree_pids()
    sidecar.run_tool(['/bin/echo', 'x'])
    sidecar.until(lambda: sidecar.exits)
    with open(f'/proc/{guard.process.pid}/status') as f:
        rss = next(int(line.split()[1]) for line in f if line.startswith('VmRSS'))
    check(rss <= 1024, f'{rss} kB resident')
    head = subprocess.run(['file', world.binary], capture_output=True, text=True).stdout
    check(head == '' or 'static' in head, head)
    return f'{size // 1024} kB, {rss} kB resident'


CASES = [run_streams_output, run_is_killed, run_of_a_sidecar_that_does_not_read, run_beside_a_child,
         each_stop_signal, stop_with_a_silent_sidecar, stop_without_a_sidecar,
         stop_kills_before_the_grace_ends, etcd_guard, stop_by_request, supervise_restarts_at_once,
         supervise_forwards, supervise_stops_guards_of_a_dead_sidecar,
         supervise_clean_exit_is_a_stop, footprint]
