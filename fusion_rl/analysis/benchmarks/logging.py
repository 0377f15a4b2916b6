"""What it costs a training to be logged, in CPU time: a share of what learning itself takes."""

import tempfile
import time
from collections.abc import Iterator
from typing import Any

import torch
from stable_baselines3.common.logger import KVWriter, Logger

from fusion_rl.agents.catalog import make_agent
from fusion_rl.analysis.benchmarks.environments import make_simulator
from fusion_rl.analysis.benchmarks.measure import BENCHMARKS, Measurement, Size, measured, workload
from fusion_rl.envs.vector import OpticalVecEnv
from fusion_rl.tracking.base import RunLog
from fusion_rl.tracking.mlflow_store import open_store
from fusion_rl.training.callbacks import EpisodeBlocking, Every, RunLogWriter
from fusion_rl.training.learn import LOG_EVERY

_SENT_EVERY_S = 5.0  # of training, as the run log hands on what it holds


@BENCHMARKS.register("logging")
def logging(size: Size) -> Iterator[Measurement]:
    """What MaskablePPO logs while it learns, put into a run store."""
    config = workload().config
    lanes = config.execution.lanes
    torch.set_num_threads(1)
    env = OpticalVecEnv(make_simulator(lanes, config.algorithm.observation, config.algorithm.action))
    agent = make_agent(config.algorithm, env, seed=1, device="cpu")
    noted = _Notes()
    agent.set_logger(Logger(folder=None, output_formats=[noted]))
    callbacks = [EpisodeBlocking(), Every(LOG_EVERY, lambda _: agent.dump_logs())]
    shares, values = [], 0
    with tempfile.TemporaryDirectory() as folder, open_store(folder).start("benchmark", "logging") as run:
        for number in range(size.repetitions + 1):
            noted.calls.clear()
            started = time.process_time()
            agent.learn(size.learning_steps, callback=list(callbacks), log_interval=10**12, reset_num_timesteps=False)
            learned_s = time.process_time() - started
            if number:  # what is done once, was done in the first
                shares.append(_logged_s(noted.calls, run) / learned_s)
                values = sum(len(found) for _, found, _ in noted.calls)
    same = {**workload().conditions, "lanes": lanes, "steps": size.learning_steps, "metric_values": values}
    timed = (
        "CPU time, all threads, of spooling these metric values and writing them to SQLite every 5 s of training, "
        "divided by that of agent.learn"
    )
    yield measured("logging / learning", shares, "share of CPU time", timed, **same)


class _Notes(KVWriter):
    """Keeps what an agent logs: (CPU second, values, step). On an idle machine that is a second of training."""

    def __init__(self) -> None:
        self.calls: list[tuple[float, dict[str, Any], int]] = []

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        self.calls.append((time.process_time(), dict(key_values), step))

    def close(self) -> None:
        pass


def _logged_s(calls: list[tuple[float, dict[str, Any], int]], run: RunLog) -> float:
    """CPU seconds that a run log takes for these, sent as often as in training."""
    writer = RunLogWriter(run)
    started = time.process_time()
    sent = calls[0][0]
    for second, values, step in calls:
        writer.write(values, {}, step)
        if second - sent >= _SENT_EVERY_S:
            run.flush()
            sent = second
    run.flush()
    return time.process_time() - started
