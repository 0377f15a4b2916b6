"""`fusion-rl ablate`."""

import json
from pathlib import Path
from typing import Any

import pytest

from fusion_rl.testing.algorithm_contract import experiment
from fusion_rl.training.run import train
from tests.agents.worlds import settings_of
from tests.cli.test_compare import run

FEW = ("--requests", "400", "--lanes", "4", "--threads", "1")


@pytest.fixture(scope="module")
def evolved(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folder of a run store with an agent that was evolved for a moment."""
    folder = tmp_path_factory.mktemp("evolved")
    small = {
        "timesteps": 400, "eval_every": 0, "final_requests": 100, "final_lanes": 2, "parity_requests": 50,
        "progress": False, "sanity_checks": False, "tracking_dir": str(folder), "run_name": "one", "model_name": "mine",
    }  # fmt: skip
    config = experiment(settings_of("evolution", score="linear", population=4, requests=50, warmup_requests=20))
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        train(config.model_copy(update={"execution": config.execution.model_copy(update=small)}))
    return str(folder)


def test_every_group_is_put_back_and_what_it_is_worth_is_told(
    evolved: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("ablate", "models:/mine/1", "--tracking-dir", evolved, "--loads", "10,20", "--seeds", "3,4", *FEW)
    picture = tmp_path / "worth.png"
    code, out, err = run(capsys, *asked, "--groups", "hops,start", "--plot", str(picture), "--json")
    assert code == 0, err
    told: Any = json.loads(out)
    assert told["score"] == "linear"
    assert {row["put_back"] for row in told["put_back"]} == {"hops", "start", "everything"} == {
        *told["parameters"], "everything"
    }  # fmt: skip
    assert [row["load_erlang"] for row in told["put_back"]] == [10, 10, 10, 20, 20, 20]
    assert told["as_learned"]["20"]["requests"] == 800, "of both seeds"
    assert picture.read_bytes()[:4] == b"\x89PNG"

    asked = ("ablate", "one", *asked[2:])  # the run, by its name
    code, out, _ = run(capsys, *asked[:5], "20", *asked[8:], "--set", "network.k_paths=1", "--name", "narrow")
    assert code == 0
    assert "K=1" in out
    assert "one as it learned blocks" in out
    assert "recorded as run" in out


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("models:/mine/1", "--groups", "hop"), "did you mean 'hops'"),
        (("mscl",), "mscl"),
        (("models:/mine/1", "--loads", "a"), "'a' is no number"),
        (("models:/mine/1", "--seeds", "x"), "'x' is none"),
        (("models:/mine/1", "--plot", "a.gif"), "unknown ending"),
        (("models:/mine/7",), "mine"),
    ],
)
def test_what_cannot_be_used_is_one_line(
    evolved: str, given: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, "ablate", "--tracking-dir", evolved, *FEW, *given)
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert message in err
