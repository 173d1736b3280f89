#!/usr/bin/env python3
"""coverage.py BUILD: which branches the unit tests and the simulation took.

Counts gcov's branches by folder, writes those that nobody took to BUILD/missed.txt and fails
below the floors. Assertions are compiled out of this build. A branch that cannot be taken
carries its excuse in the source: a comment that begins with "coverage:" on its line.
"""
import collections
import json
import pathlib
import subprocess
import sys

FLOORS = {"sidecar/core": 100.0, "lib/cluster": 100.0}
EXCUSE = "/* coverage:"

build = pathlib.Path(sys.argv[1])
objects = build / "obj"
source_lines = {}


def excused(path, number):
    if path not in source_lines:
        source_lines[path] = pathlib.Path(path).read_text().splitlines()
    return EXCUSE in source_lines[path][number - 1]


def branches():
    """(source, line, function, index, taken) of each branch of each program source."""
    notes = [n for n in sorted(objects.rglob("*.gcno")) if n.relative_to(objects).parts[0] != "tests"]
    for note in notes:
        said = subprocess.run(["gcov", "-b", "-j", "-t", str(note)], capture_output=True, text=True, check=True).stdout
        own = str(note.relative_to(objects).with_suffix(".c"))
        for file in json.loads(said)["files"]:
            if file["file"] != own:
                continue
            for line in file["lines"]:
                for index, branch in enumerate(line["branches"]):
                    if not branch["throw"]:
                        yield own, line["line_number"], line.get("function_name", "?"), index, branch["count"] > 0


taken, total, missed = collections.Counter(), collections.Counter(), []
for source, number, function, index, was_taken in branches():
    if not was_taken and excused(source, number):
        continue
    folder = str(pathlib.Path(source).parent)
    total[folder] += 1
    if was_taken:
        taken[folder] += 1
    else:
        missed.append(f"{source}:{number}: {function}: branch {index}")

(build / "missed.txt").write_text("\n".join(missed) + "\n")
failed = 0
for folder in sorted(total):
    share = 100.0 * taken[folder] / total[folder]
    below = share < FLOORS.get(folder, 0.0)
    failed += below
    print(f"{folder:24} {taken[folder]:6} of {total[folder]:6} branches {share:6.1f} %"
          + (f"   FAIL: the floor is {FLOORS[folder]:.0f} %" if below else ""))
print(f"what nobody took: {build}/missed.txt ({len(missed)} branches)")
sys.exit(failed != 0)
