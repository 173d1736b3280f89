"""What benches have in common: rows filled one run after the other, each sample kept at once, the table at the end."""
import argparse
import os
import platform
import re
import signal
import subprocess
import sys
import time
import traceback

from samples import Samples

HERE = os.path.dirname(os.path.abspath(__file__))
GIVE_UP = 3                 # failed runs of one row in a row


class Bench:
    """A bench says its rows (all_rows), how they are filled (run), what is worth keeping of a failed run (save), how
    that which a run was done to is taken down (drop), and how everything is (end)."""

    def __init__(self, samples, args):
        self.samples, self.args = samples, args
        self.wanted = re.compile(args.only or "")
        self.began = time.monotonic()
        self.spent = {}  # {row: seconds, its clusters and their healing included}

    def rows(self):
        return [row for row in self.all_rows() if self.wanted.search(row.name)]

    def say(self, words, end="\n"):
        minutes, seconds = divmod(int(time.monotonic() - self.began), 60)
        print(f"{minutes:3}:{seconds:02} {words}", end=end, flush=True)

    def count(self, row):
        """How many samples the row still wants."""
        return max(0, (self.args.n or row.least) - len(self.samples.all(row.name)))

    def repeat(self, row, once, prepare=None):
        """Takes the row's samples with once(number), which returns value and more, after prepare(), if any; a failure
        is a sample as well, and the next run begins with nothing."""
        if not self.wanted.search(row.name):
            return
        failures = 0
        have, count = len(self.samples.all(row.name)), self.count(row)
        for number in range(have, have + count):
            since = time.monotonic()
            try:
                if prepare:
                    prepare()
                self.say(f"{row.what.strip()}, {number + 1} of {have + count}: ", end="")
                value, more = once(number)
                self.samples.add(row.name, value, **more)
                print(f"{value:.3f} {row.unit}" + "".join(f", {k} {v}" for k, v in more.items()), flush=True)
                failures = 0
            except Exception as error:  # whatever it was, it belongs into the file, and the next run follows
                print(f"FAILED: {error}", flush=True)
                self.failed(row, error)
                failures += 1
                if failures == GIVE_UP:
                    self.say(f"{row.name}: given up after {GIVE_UP} failures one after the other")
                    return
            finally:
                self.spent[row.name] = self.spent.get(row.name, 0) + time.monotonic() - since

    def failed(self, row, error):
        """Keeps the failed run and what there is to see; what was started goes."""
        self.samples.add(row.name, None, failed=f"{type(error).__name__}: {error}"[:400])
        number = len(self.samples.all(row.name))
        folder = os.path.join(os.path.dirname(self.samples.path), f"failed-{row.name}-{number}")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "error.txt"), "w") as f:
            f.write(traceback.format_exc())
        self.save(folder)
        self.drop()


def said(*argv):
    """What a program says of itself, or nothing."""
    try:
        return subprocess.run(argv, capture_output=True, text=True, timeout=20).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def about(**more):
    """Commit and machine."""
    with open("/proc/cpuinfo") as f:
        model = re.search(r"model name\s*:\s*(.*)", f.read())
    with open("/proc/meminfo") as f:
        memory = int(re.search(r"MemTotal:\s+(\d+)", f.read()).group(1)) // 1024
    return {"commit": os.environ.get("COMMIT")
            or said("git", "-C", HERE, "describe", "--always", "--dirty", "--abbrev=12") or "unknown",
            "began": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
            "cpu": model.group(1) if model else platform.machine(), "cores": os.cpu_count(), "memory_mb": memory,
            "kernel": platform.release(), "load_at_start": os.getloadavg()[0],
            "clock_resolution_ns": time.clock_getres(time.CLOCK_MONOTONIC) * 1e9, **more}


def show(bench):
    """The table; True when every goal is met."""
    print("\n" + "\n".join(f"{name}: {value}" for name, value in bench.samples.about.items()) + "\n")
    rows = bench.rows()
    lines, missed = bench.samples.table(rows)
    print("\n".join(lines) + f"\n\nsamples: {bench.samples.path}")
    for row, words in missed:
        print(f"{row.name}: {words}")
    print(f"{len(rows) - len({row.name for row, _ in missed})} rows as wanted, {len({r.name for r, _ in missed})} not")
    return not missed and bool(rows)


def main(kind, folder, doc, look):
    """The command line of a bench of this kind; look() says what it is about."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, help="runs of each row")
    parser.add_argument("--only", metavar="REGEX")
    parser.add_argument("--add", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--table", metavar="FILE")
    parser.add_argument("--samples", metavar="FILE",
                        default=os.path.join(os.environ.get("BUILD", "build"), folder, "samples.json"))
    args = parser.parse_args()
    if args.table:
        samples = Samples.read(args.table)
    else:
        samples = Samples(args.samples, look())
        if args.add and os.path.exists(args.samples):
            former = Samples.read(args.samples)
            if former.about["commit"] != samples.about["commit"]:
                sys.exit(f"{args.samples} is of {former.about['commit']}, this tree is {samples.about['commit']}")
            samples = former
    bench = kind(samples, args)
    if args.list:
        for row in bench.rows():
            print(f"{row.name:28} {row.what.strip()}")
        return 0
    if not args.table:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        try:
            bench.run()
        finally:
            bench.end()
        print("\nminutes: " + ", ".join(f"{name} {seconds / 60:.1f}" for name, seconds in
                                       sorted(bench.spent.items(), key=lambda one: -one[1]) if seconds >= 6))
    return 0 if show(bench) else 1
