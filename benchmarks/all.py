"""All benchmarks, one after the other.

    python benchmarks/all.py --quick

With --quick a first answer comes in under three minutes; without, it takes the better part of an
hour. Options are those of the single benchmarks and are handed on to them.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from command import options
from sides import TITLES

HERE = Path(__file__).resolve().parent
BENCHMARKS = ("steps", "ops", "startup", "memory", "scaling")


def main() -> None:
    args = options(__doc__, tuple(TITLES)).parse_args()
    start, failed = time.perf_counter(), []
    for name in BENCHMARKS:
        print(f"\n=== {name} ===", flush=True)
        command = [sys.executable, str(HERE / f"{name}.py"), *sys.argv[1:]]
        if subprocess.run(command).returncode != 0:
            failed.append(name)
    seconds = time.perf_counter() - start
    print(f"\n{seconds:.0f} s in all; the tables and charts are in {args.output}")
    if failed:
        sys.exit(f"something went wrong in {', '.join(failed)}: see above")


if __name__ == "__main__":
    main()
