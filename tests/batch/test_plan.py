"""Plans: what jobs they come to, and that whatever is wrong with one is said before anything starts."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from fusion_rl.batch.jobs import Job, jobs_of
from fusion_rl.batch.plan import Plan, read_plan
from fusion_rl.cli.main import main
from fusion_rl.config.algorithm import ALGORITHM_MODELS
from fusion_rl.errors import ConfigError, FusionRLError, NotebookError, UnknownNameError

REPOSITORY = Path(__file__).resolve().parents[2]
FIRST = {"experiment": "deeprmsa-nsfnet"}


def jobs(steps: dict[str, Any], folder: Path = REPOSITORY) -> list[Job]:
    plan, _ = read_plan({"name": "any", "steps": steps})
    return jobs_of(plan, folder)


def test_a_grid_is_every_combination_the_last_setting_running_fastest() -> None:
    found = jobs({"train": {**FIRST, "grid": {"algorithm": ["ppo", "masked-dqn"], "execution.seed": [1, 2]}}})
    assert [job.name for job in found] == [
        "train-ppo-seed1", "train-ppo-seed2", "train-masked-dqn-seed1", "train-masked-dqn-seed2"
    ]  # fmt: skip
    last = found[-1].config
    assert last is not None
    assert (last.algorithm.name, last.execution.seed) == ("masked-dqn", 2)
    assert (last.execution.experiment_name, last.execution.run_name) == ("any", "train-masked-dqn-seed2")


def test_a_step_after_another_has_its_settings_and_goes_on_from_each_of_its_runs(tmp_path: Path) -> None:
    (tmp_path / "busy.yaml").write_text(yaml.safe_dump(_scenario("busy", 300)))
    steps = {
        "busier": {"after": "first", "settings": {"scenarios": "busy.yaml", "execution.timesteps": 500}},
        "first": {**FIRST, "settings": {"algorithm": "ppo"}, "grid": {"execution.seed": [3, 4]}},
    }
    found = jobs(steps, tmp_path)
    assert [(job.name, job.after) for job in found] == [
        ("first-seed3", None), ("first-seed4", None), ("busier-seed3", "first-seed3"), ("busier-seed4", "first-seed4")
    ]  # fmt: skip
    last = found[-1].config
    assert last is not None
    assert (last.algorithm.name, last.execution.seed, last.execution.timesteps) == ("ppo", 4, 500)
    assert last.scenarios.names() == ("busy",)


def _scenario(name: str, load: float) -> dict[str, Any]:
    bandwidth = {"kind": "uniform-integers", "low_gbps": 25, "high_gbps": 100}
    return {"name": name, "load_erlang": load, "bandwidth": bandwidth}


def test_a_job_is_read_back_as_it_was_written() -> None:
    [job] = jobs({"train": {**FIRST, "grid": {"algorithm": ["ppo"]}}})
    assert Job.from_dict(job.as_dict()) == job


def test_notebooks_take_parameters_and_what_they_do_not_declare_goes_to_their_settings() -> None:
    step = {"notebook": "01_train_and_compare", "settings": {"scenarios": "deeprmsa-daily"}, "grid": {"seed": [1, 2]}}
    first, second = jobs({"look": step})
    assert (first.name, second.name) == ("look-seed1", "look-seed2")
    assert first.parameters is not None
    assert first.parameters["seed"] == 1
    assert first.parameters["settings"][0] == "scenarios=deeprmsa-daily"
    assert "execution.run_name=look-seed1" in first.parameters["settings"]


BAD: dict[str, tuple[dict[str, Any], type[FusionRLError], str]] = {
    "an unknown key": ({"a": {**FIRST, "gird": {}}}, ConfigError, "steps.a.*unknown key 'gird': did you mean 'grid'"),
    "nothing to do": ({"a": {}}, ConfigError, "give an experiment or a notebook"),
    "an unknown preset": ({"a": {"experiment": "deeprmsa-nsfent"}}, UnknownNameError, "mean 'deeprmsa-nsfnet'"),
    "a missing file": ({"a": {"experiment": "gone.yaml"}}, ConfigError, "step a: experiment: no such file: gone.yaml"),
    "an unknown config path": (
        {"a": {**FIRST, "grid": {"execution.sed": [1]}}}, UnknownNameError, "step a.*execution.sed.*'execution.seed'"
    ),
    "a value that is not allowed": ({"a": {**FIRST, "grid": {"execution.lanes": [1, 0]}}}, ConfigError, "lanes"),
    "an empty grid": ({"a": {**FIRST, "grid": {"execution.seed": []}}}, ConfigError, "grid.execution.seed is empty"),
    "a value twice": ({"a": {**FIRST, "grid": {"execution.seed": [1, 1]}}}, ConfigError, "lists 1 twice"),
    "a setting twice": (
        {"a": {**FIRST, "settings": {"algorithm": "ppo"}, "grid": {"algorithm": ["a2c"]}}}, ConfigError, "in settings"
    ),
    "an unknown step": ({"first": FIRST, "b": {"after": "frist"}}, UnknownNameError, "step b: after.*mean 'first'"),
    "a circle": ({"a": {"after": "b"}, "b": {"after": "a"}}, ConfigError, "in a circle: a after b after a"),
    "a step after itself": ({"a": {"after": "a"}}, ConfigError, "in a circle: a after a"),
    "another algorithm in a chain": (
        {"a": FIRST, "b": {"after": "a", "settings": {"algorithm": "ppo"}}}, ConfigError,
        "step b: the model of step a cannot go on here: algorithm.name: it has maskable-ppo, here ppo",
    ),
    "what the batch decides": (
        {"a": {**FIRST, "settings": {"execution.run_name": "mine"}}}, ConfigError, "run_name is decided by the batch"
    ),
    "an unknown notebook": ({"a": {"notebook": "01_train_and_compar"}}, UnknownNameError, "'01_train_and_compare'"),
    "an unknown parameter": (
        {"a": {"notebook": "05_parity", "grid": {"requets": [1]}}}, NotebookError, "step a.*'requets'.* 'requests'"
    ),
    "a parameter of another type": (
        {"a": {"notebook": "05_parity", "grid": {"requests": ["many"]}}}, NotebookError, "step a.*'requests' takes int"
    ),
    "a config path that a notebook cannot have": (
        {"a": {"notebook": "01_train_and_compare", "settings": {"execution.sed": 1}}}, UnknownNameError, "n.seed"
    ),
    "a study that there is not": ({"a": {"resume_from": "study:gone"}}, FusionRLError, "there are no studies"),
    "a model that there is not": ({"a": {"resume_from": "gone.bundle"}}, FusionRLError, "gone.bundle"),
    "a notebook with a chain": ({"a": {"notebook": "05_parity", "after": "b"}}, ConfigError, "goes without after"),
    "a step after a notebook": (
        {"a": {"notebook": "05_parity"}, "b": {"after": "a"}}, ConfigError, "only a training can be gone on from"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_said_in_one_line(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps, kind, message = BAD[case]
    monkeypatch.chdir(REPOSITORY)
    with pytest.raises(kind, match=message):
        jobs(steps, tmp_path)


def test_a_wrong_plan_writes_nothing_and_ends_with_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plan.yaml").write_text("steps: {a: {after: a}}")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        main(["batch", "run", "plan.yaml"])
    assert stopped.value.code == 2
    assert [path.name for path in tmp_path.rglob("*")] == ["plan.yaml"]


def test_a_plan_is_called_after_its_file_or_its_folder(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    for file, name in (("two-loads.yaml", "two-loads"), ("mine/plan.yaml", "mine")):
        (tmp_path / file).write_text(yaml.safe_dump({"steps": {"a": FIRST}}))
        assert read_plan(tmp_path / file)[0].name == name
    assert read_plan(tmp_path / "mine/plan.yaml", name="other")[0].name == "other"


def test_the_study_of_algorithms_is_three_seeds_of_each() -> None:
    plan, folder = read_plan(REPOSITORY / "studies" / "algorithms_compared" / "plan.yaml")
    assert isinstance(plan, Plan)
    found = jobs_of(plan, folder)
    named = {job.at["algorithm"] for job in found}
    assert named <= set(ALGORITHM_MODELS)
    assert len({job.name for job in found}) == 3 * len(named) == 36
    assert {job.config.execution.timesteps for job in found if job.config is not None} == {100_000}
