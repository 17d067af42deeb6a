#!/usr/bin/env python3
"""Turns round one comparison of the engine at a time and asks the accuracy suite whether it notices.

    scripts/flip-comparisons.py                 every 8th comparison of the alignments, comparison and cadence
    scripts/flip-comparisons.py --every 1       all of them (hours)
    scripts/flip-comparisons.py src/engine/compare.rs:602

Works on a copy of the tracked files, so that the checkout stays as it is; CARGO_TARGET_DIR is heeded. A comparison that
survives is told; some bound memory alone (what is kept, and for how long), and change no result.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

FILES = ["align_time", "align_arrival", "align_bucket", "compare", "cadence", "presence"]
TURNED = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}
COMPARISON = re.compile(r" (<=|>=|<|>) ")
COMMAND = ["cargo", "test", "--quiet", "--test", "accuracy", "--test", "presence"]


def comparisons(root):
    for name in FILES:
        path = Path("src/engine") / f"{name}.rs"
        for number, line in enumerate((root / path).read_text().splitlines(), 1):
            if line.startswith("#[cfg(test)]"):
                break
            code = line.split("//")[0]
            for found in COMPARISON.finditer(code):
                yield path, number, found.start(1), found.group(1)


def survives(root, place):
    path, number, column, sign = place
    file = root / path
    was = file.read_text()
    lines = was.splitlines(keepends=True)
    line = lines[number - 1]
    lines[number - 1] = line[:column] + TURNED[sign] + line[column + len(sign) :]
    file.write_text("".join(lines))
    try:
        ran = subprocess.run(COMMAND, cwd=root, capture_output=True, text=True, timeout=1800)
    except subprocess.TimeoutExpired:
        return False, "it never ended"
    finally:
        file.write_text(was)
    if "could not compile" in ran.stderr:
        return False, "it does not compile"
    failed = re.findall(r"^test (\S+) \.\.\. FAILED|^    (\w[\w:]+)$", ran.stdout, re.M)
    return ran.returncode == 0, ", ".join(sorted({a or b for a, b in failed})) or "a test fails"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=8)
    parser.add_argument("places", nargs="*", metavar="FILE:LINE")
    asked = parser.parse_args()
    root = Path(subprocess.run(["git", "rev-parse", "--show-toplevel"], capture_output=True, text=True).stdout.strip())
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        tracked = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True).stdout
        for name in filter(None, tracked.split("\0")):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, copy / name)
        os.environ.setdefault("CARGO_TARGET_DIR", str(root / "target" / "flipped"))
        all_of_them = list(comparisons(copy))
        chosen = [p for p in all_of_them if f"{p[0]}:{p[1]}" in asked.places] if asked.places else all_of_them[:: asked.every]
        if subprocess.run(COMMAND, cwd=copy, capture_output=True).returncode != 0:
            sys.exit("the suite fails before anything is turned round")
        survived = 0
        for place in chosen:
            lives, why = survives(copy, place)
            survived += lives
            print(f"{'SURVIVED' if lives else 'noticed '}  {place[0]}:{place[1]}  {place[3]} as {TURNED[place[3]]}  {'' if lives else why}", flush=True)
        print(f"{len(chosen) - survived} of {len(chosen)} noticed ({len(all_of_them)} comparisons in all)")


main()
