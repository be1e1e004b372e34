"""`make bench`: how fast Postroom is, as ratios against the peers that run beside it in the same run.

Numbers of different runs or machines are comparable only as ratios. What each part measures and by which
rules stands in README.md.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the repository's tests are not installed

from postroom.output import Form, write_json, write_rows
from tests.bench import latency, w2
from tests.bench.w1 import part as w1

PARTS = {"w1": w1, "w2": w2, "latency": latency}


def main() -> int:
    """Measure the parts that are asked for and print a table for each; 1 if a program was not done."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--part", choices=PARTS, action="append", help="one part; all unless given")
    parser.add_argument("--events", type=int, help="how many for every program; else what suits each")
    parser.add_argument("--only", metavar="NAME", help="programs whose name holds this")
    parser.add_argument("-o", "--output", choices=[form.value for form in Form], default="table")
    options = parser.parse_args()
    machine = {"cores": os.cpu_count(), "load": os.getloadavg()[0], "python": sys.version.split()[0]}
    found = {name: PARTS[name].measure(options.events, options.only) for name in options.part or PARTS}
    if options.output == "json":
        write_json({"machine": machine, "parts": found})
    else:
        for name, rows in found.items():
            write_rows(rows, Form(options.output), PARTS[name].COLUMNS)
    return int(any(row.get("failed") for rows in found.values() for row in rows))


if __name__ == "__main__":
    sys.exit(main())
