"""What a user waits for before anything happens: whole processes, with a warm and with an empty kernel cache."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence

from fusion_rl.analysis.benchmarks.measure import BENCHMARKS, EXPERIMENT, Measurement, Size, measured


@BENCHMARKS.register("start-up")
def start_up(size: Size) -> Iterator[Measurement]:
    """New processes, with warm file caches."""
    module = ("-m", "fusion_rl.cli.main")
    commands: dict[str, tuple[str, ...]] = {
        "python": ("-c", "pass"),
        "import fusion_rl": ("-c", "import fusion_rl"),
        "fusion-rl --help": (*module, "--help"),
    }
    for name, command in commands.items():
        seconds = [_process_seconds(command) for _ in range(size.repetitions + 1)][1:]
        yield measured(name, seconds, "s", f"a whole process: python {' '.join(command)}")
    evaluate = (*module, "evaluate", "--experiment", EXPERIMENT, "--requests", "1000", "--lanes", "1", "--json")
    with tempfile.TemporaryDirectory() as cache:
        cold = [_process_seconds(evaluate, cache)]
        warm = [_process_seconds(evaluate, cache) for _ in range(size.repetitions)]
    timed = "a whole process: fusion-rl evaluate with 1000 requests, all kernels compiled"
    yield measured("first evaluate, empty kernel cache", cold, "s", timed, experiment=EXPERIMENT)
    timed = timed.replace("compiled", "read from the cache")
    yield measured("evaluate, warm kernel cache", warm, "s", timed, experiment=EXPERIMENT)


def _process_seconds(arguments: Sequence[str], kernel_cache: str | None = None) -> float:
    environment = dict(os.environ) | ({"NUMBA_CACHE_DIR": kernel_cache} if kernel_cache else {})
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], env=environment, check=True, capture_output=True)
    return time.perf_counter() - started
