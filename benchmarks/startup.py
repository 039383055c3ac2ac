"""How long the commands take that load no model: whole processes, interleaved, medians.

python benchmarks/startup.py [RUNS]
"""

import statistics
import subprocess
import sys
import time

COMMANDS = (
    ["--help"],
    ["check", "recipe=decomp_dv"],
    ["plan", "recipe=decomp_mtp_edit_dv"],
    ["matrix"],
    ["recipes"],
)


def seconds(argv: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "ptgflow", *argv], capture_output=True, check=True)
    return time.perf_counter() - started


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    times: dict[str, list[float]] = {" ".join(argv): [] for argv in COMMANDS}
    for argv in COMMANDS:
        seconds(argv)  # warms the disk cache
    for _ in range(runs):
        for argv in COMMANDS:
            times[" ".join(argv)].append(seconds(argv))
    for name, found in times.items():
        print(f"{statistics.median(found):6.2f} s  ({min(found):.2f} to {max(found):.2f})  ptgflow {name}")


if __name__ == "__main__":
    main()
