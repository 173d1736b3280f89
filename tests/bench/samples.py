"""Samples, each kept in a file the moment it is taken, and the table made of them."""
import json
import math
import os
import time


class Row:
    """One line of the table. `goals`: [(words, function of the sorted values)]; `least`: samples that it needs."""

    def __init__(self, name, what, unit, least, goals=(), lower_is_better=True):
        self.name, self.what, self.unit, self.least, self.goals = name, what, unit, least, goals
        self.lower_is_better = lower_is_better


def quantile(values, part):
    """Of sorted values, by nearest rank: always one that was measured."""
    return values[min(len(values) - 1, max(0, math.ceil(part * len(values)) - 1))]


def median(values):
    middle = len(values) // 2
    return values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2


def shown(value, unit):
    if value is None:
        return "-"
    digits = {"s": 3, "ms": 3, "MB": 2, "%": 3, "1/s": 0, "1/min": 0, "rows": 0}[unit]
    return f"{value:.{digits}f}"


class Samples:
    """{row: [{"value", …}]} in a file that is whole at any time. A run that failed is a sample without a value."""

    def __init__(self, path, about):
        self.path, self.about, self.rows = path, about, {}
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)

    @classmethod
    def read(cls, path):
        with open(path) as f:
            content = json.load(f)
        samples = cls(path, content["about"])
        samples.rows = content["rows"]
        return samples

    def add(self, row, value, **more):
        self.rows.setdefault(row, []).append({"value": value, "at": round(time.time(), 3), **more})
        partial = self.path + ".partial"
        with open(partial, "w") as f:
            json.dump({"about": self.about, "rows": self.rows}, f, indent=1)
            f.write("\n")
        os.replace(partial, self.path)

    def all(self, row):
        return self.rows.get(row, [])

    def values(self, row):
        return sorted(s["value"] for s in self.all(row) if s["value"] is not None)

    def failed(self, row):
        return [s for s in self.all(row) if s["value"] is None]

    def judge(self, row):
        """What is wrong with the row, in words; nothing: all of its goals are met."""
        values, failed = self.values(row.name), self.failed(row.name)
        found = []
        if failed:
            found.append(f"{len(failed)} of {len(self.all(row.name))} runs failed: {failed[0].get('failed', '')[:160]}")
        if len(self.all(row.name)) < row.least:
            found.append(f"n too small ({len(self.all(row.name))} of {row.least})")
        if values:
            found += [f"goal missed: {words}" for words, met in row.goals if not met(values)]
        return found

    def table(self, rows):
        """Lines for a terminal, and what is missed: [(row, words)]. Column "Patroni", where there is one: the median of
        its row of the same name."""
        beside = any(name.startswith("patroni-") for name in self.rows)
        columns = ("min", "median", "p90", "p99", "max", *(["Patroni"] if beside else []))
        width = max((len(row.what) for row in rows), default=0)
        lines = [f"{'what':{width}} {'unit':5} {'n':>3} " + " ".join(f"{c:>9}" for c in columns) + "  goal"]
        missed = []
        for row in rows:
            values = self.values(row.name)
            best = ((values[0], median(values), quantile(values, 0.9), quantile(values, 0.99), values[-1]) if values
                    else (None,) * 5)
            theirs = self.values(f"patroni-{row.name}")
            best += (median(theirs) if theirs else None,) if beside else ()
            verdict = self.judge(row)
            goal = " · ".join(words for words, _ in row.goals) or "none"
            lines.append(f"{row.what:{width}} {row.unit:5} {len(self.all(row.name)):3} "
                         + " ".join(f"{shown(v, row.unit):>9}" for v in best)
                         + f"  {goal}{': MISSED' if any('goal' in v for v in verdict) else ''}"
                         + (", n too small" if any("n too small" in v for v in verdict) else "")
                         + (f", {len(self.failed(row.name))} failed" if self.failed(row.name) else ""))
            missed += [(row, words) for words in verdict]
        return lines, missed


def at_most(unit, **limits):
    """Goals on median, p99, worst: at_most("s", median=0.3, worst=0.6)."""
    find = {"median": median, "p99": lambda values: quantile(values, 0.99), "worst": lambda values: values[-1]}
    return [(f"{name} ≤ {limit:g} {unit}", lambda values, name=name, limit=limit: find[name](values) <= limit)
            for name, limit in limits.items()]
