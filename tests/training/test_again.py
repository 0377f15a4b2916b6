"""What notebooks train by: from the top once more, and no step twice."""

from pathlib import Path

import numpy as np

from fusion_rl.config.load import load
from fusion_rl.tracking.mlflow_store import open_store
from fusion_rl.training.again import train_or_resume
from tests.batch import plans


def test_a_run_that_has_finished_gives_its_result_again_without_training(tmp_path: Path) -> None:
    named = {"execution.run_name": "mine", "execution.tracking_dir": str(tmp_path)}
    config = load(plans.EXPERIMENT, overrides=named).config
    first, again = train_or_resume(config), train_or_resume(config)
    assert len(open_store(tmp_path).search_runs()) == 1
    same = ("run_id", "name", "timesteps", "checkpoint", "weights_sha256", "learning_curve", "training_requests")
    assert [getattr(first, key) for key in same] == [getattr(again, key) for key in same]
    assert first.parity_disagreements == again.parity_disagreements
    for one, other in zip((first.evaluation, *first.baselines.values()), (again.evaluation, *again.baselines.values()),
                          strict=True):  # fmt: skip
        np.testing.assert_array_equal(one.tally.blocking_by_lane(), other.tally.blocking_by_lane())
