"""Traces: what was recorded is what is replayed, and what cannot be replayed is one clear error."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fusion_rl.config.reward import RewardConfig
from fusion_rl.domains.optical import domain
from fusion_rl.domains.optical.heuristics import HEURISTICS
from fusion_rl.domains.optical.rollout import run
from fusion_rl.domains.optical.setting import Setting
from fusion_rl.domains.optical.simulator import OpticalSimulator
from fusion_rl.errors import TrafficError
from tests.domains.optical.worlds import make_setting

TRIANGLE = [("a", "b", 100.0), ("b", "c", 100.0), ("a", "c", 100.0)]
SIZE: dict[str, Any] = {"requests": 1500, "lanes": 3, "seed": 5, "scenario": 0}
HEAD = "arrival_time,holding_time,source,destination,width_slots\n"
RATES: dict[str, Any] = {"bandwidth": {"kind": "uniform-integers", "low_gbps": 25, "high_gbps": 100}}
FORMATS: dict[str, Any] = {"reach_table": [{"bits_per_s_per_hz": 2}], "slots": 20}


def traffic(network: dict[str, Any] | None = None, **scenario: Any) -> Setting:
    return make_setting(TRIANGLE, network or {"slots": 8}, {"warmup_requests": 100, "load_erlang": 40.0, **scenario})


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
@pytest.mark.parametrize("policy", ["ksp-ff", "random"])
@pytest.mark.parametrize(
    ("network", "scenario"),
    [
        (None, {}),
        (FORMATS, RATES),
        (None, {"arrivals": {"kind": "on-off", "mean_on_time": 5.0, "mean_off_time": 5.0}}),
    ],
)
def test_a_recorded_run_is_replayed_with_identical_outcomes(
    tmp_path: Path, ending: str, policy: str, network: dict[str, Any] | None, scenario: dict[str, Any]
) -> None:
    file = str(tmp_path / f"run{ending}")
    drawn = traffic(network, **scenario)
    assert domain.record_traffic(drawn, file, **SIZE) == 3 * (100 + 500)
    replayed = traffic(network, **scenario, trace=file)
    assert np.array_equal(drawn.world.class_gbps, replayed.world.class_gbps)
    for lane in range(3):
        one, other = (setting.models[0].stream(5, lane, 0).take(600) for setting in (drawn, replayed))
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    first, second = (run(setting, HEURISTICS[policy], threads=1, **SIZE) for setting in (drawn, replayed))
    assert first.tally.blocked_requests == second.tally.blocked_requests > 0
    assert (first.tally.blocking_by_lane() == second.tally.blocking_by_lane()).all()
    again = str(tmp_path / f"again{ending}")
    domain.record_traffic(replayed, again, **SIZE)
    assert Path(again).read_bytes() == Path(file).read_bytes()


def test_a_trace_is_taken_in_parts_as_well_and_repeats_its_end(tmp_path: Path) -> None:
    file = str(tmp_path / "run.csv")
    domain.record_traffic(traffic(), file, **SIZE)
    model = traffic(trace=file).models[0]
    whole, stream = model.stream(0, 2).take(700), model.stream(0, 2)
    parts = [stream.take(count) for count in (1, 299, 400)]
    for name in ("arrival", "holding", "pair", "bandwidth_class"):
        assert (np.concatenate([getattr(part, name) for part in parts]) == getattr(whole, name)).all()
    assert [part.number for part in parts] == [0, 1, 300]
    assert set(whole.arrival[599:]) == {whole.arrival[599]}


def test_lanes_may_be_interleaved_and_may_be_left_out(tmp_path: Path) -> None:
    file = tmp_path / "trace.csv"
    text = "lane," + HEAD + "1,0.5,1,a,b,1\n0,0,1,b,c,2\n1,0.75,1,a,c,1\n0,3,0,c,a,2\n"
    file.write_text(text)
    model = traffic(trace=str(file)).models[0]
    assert model.stream(9, 0).take(2).arrival.tolist() == [0, 3]
    assert model.stream(9, 1).take(2).arrival.tolist() == [0.5, 0.75]
    file.write_text(HEAD + "0,1,a,b,1\n4,3,b,c,2\n")
    alone = traffic(trace=str(file))
    assert alone.models[0].stream(9, 0).take(2).arrival.tolist() == [0, 4]
    assert alone.models[0].offered_erlang == 2.0 / 4.0
    assert alone.classes.slots.tolist() == [1, 2], "widths that the scenario does not list are known too"
    assert domain.conditions(alone, 0)["trace"] == str(file)


def test_numbers_may_name_nodes(tmp_path: Path) -> None:
    file = tmp_path / "trace.parquet"
    rows = {"arrival_time": [0, 1], "holding_time": [1, 1], "source": [1, 2], "destination": [2, 3]}
    pd.DataFrame({**rows, "width_slots": [1, 1]}, index=[7, 9]).to_parquet(file)
    setting = make_setting([("1", "2", 10.0), ("2", "3", 10.0)], {"slots": 8}, {"trace": str(file)})
    pairs = setting.models[0].stream(0, 0).take(2).pair
    assert setting.world.pair_source[pairs].tolist() == [0, 1]
    assert setting.world.pair_target[pairs].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEAD + "0,1,a,b,1\n2,1,a,b,1\n1,1,a,b,1\n", r"row 3: arrival_time '1.*time goes backwards"),
        (HEAD + "-1,1,a,b,1\n", r"row 1: arrival_time '-1.*0 or more"),
        (HEAD + "0,1,a,b,1\n0,-2,a,b,1\n", r"row 2: holding_time '-2.*0 or more"),
        (HEAD + "0,inf,a,b,1\n", r"row 1: holding_time 'inf' is not a finite number"),
        (HEAD + "0,long,a,b,1\n", r"holding_time 'long' is not a finite number"),
        (HEAD + "0,,a,b,1\n", r"holding_time '' is not a finite number"),
        (HEAD + "0,1,a,bb,1\n", r"destination 'bb' is no node of 'small': did you mean 'b'\? known: a, b, c"),
        (HEAD + "0,1,a,a,1\n", r"row 1: destination 'a' is the source too"),
        (HEAD + "0,1,a,b,0\n", r"width_slots '0.*whole number from 1 on"),
        (HEAD + "0,1,a,b,1.5\n", r"width_slots '1.5' must be a whole number"),
        (HEAD.replace("width_slots", "bandwidth_gbps") + "0,1,a,b,nan\n", "bandwidth_gbps 'nan' is not a finite"),
        (HEAD.replace("width_slots", "bandwidth_gbps") + "0,1,a,b,0\n", "bandwidth_gbps '0.*must be above 0"),
        (HEAD.replace("width_slots", "bandwidth_gbps") + "0,1,a,b,10\n", "no formats.*must give width_slots"),
        (HEAD.replace("source", "sauce") + "0,1,a,b,1\n", "unknown column 'sauce': did you mean 'source'"),
        (HEAD.replace("source,", "") + "0,1,b,1\n", "has no column source"),
        (HEAD.replace(",width_slots", "") + "0,1,a,b\n", "one of the columns bandwidth_gbps and width_slots"),
        ("lane," + HEAD + "0,0,1,a,b,1\n2,0,1,a,b,1\n", "lanes must be 0, 1, 2"),
        (HEAD, "has no requests"),
        ("", "cannot be read"),
    ],
)
def test_a_trace_that_cannot_be_replayed_is_one_clear_error(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "bad.csv"
    file.write_text(text)
    with pytest.raises(TrafficError, match=said) as caught:
        traffic({"slots": 8, "reach_table": None}, trace=str(file))
    assert "bad.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["trace.txt", "gone.csv", "text.parquet"])
def test_a_file_that_is_no_trace_is_one_clear_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "trace.txt").write_text(HEAD)
    (tmp_path / "text.parquet").write_text(HEAD)
    with pytest.raises(TrafficError, match=name):
        traffic(trace=str(tmp_path / name))


def test_more_than_a_trace_holds_is_refused_before_the_run(tmp_path: Path) -> None:
    file = str(tmp_path / "run.csv")
    domain.record_traffic(traffic(), file, **SIZE)
    setting = traffic(trace=file)
    served: list[int] = []
    for more, said in (({"requests": 1501}, "600 requests of lane 0.*601"), ({"lanes": 4}, "has 3 lanes")):
        with pytest.raises(TrafficError, match=said):
            run(setting, HEURISTICS["ksp-ff"], on_chunk=served.append, **{**SIZE, **more})
    assert served == []


@pytest.mark.parametrize("name", ["trace.txt", "gone/trace.csv", "."])
def test_a_trace_that_cannot_be_written_is_known_before_the_run(tmp_path: Path, name: str) -> None:
    with pytest.raises(TrafficError, match="trace "):
        domain.check_traffic(traffic(), requests=1, lanes=1, scenario=0, record=str(tmp_path / name))
    assert list(tmp_path.iterdir()) == []


def test_an_environment_meets_what_the_trace_says_in_every_episode(tmp_path: Path) -> None:
    file = str(tmp_path / "run.csv")
    domain.record_traffic(traffic(), file, **SIZE)
    setting = traffic(trace=file, requests_per_episode=500)

    def lanes(count: int, **episode: int) -> OpticalSimulator:
        return OpticalSimulator(
            setting, num_lanes=count, observation="deeprmsa", action="path", reward=RewardConfig(), seed=1, **episode
        )

    simulator = lanes(3)
    served = run(traffic(), HEURISTICS["ksp-ff"], threads=1, **SIZE).tally
    for _ in range(2):
        simulator.reset(range(3))
        verdicts, ended = [], np.zeros(3, np.bool_)
        while not ended.all():
            step = simulator.step(simulator.masks().argmax(axis=1))
            verdicts.append(step.outcome.verdict)
            ended = step.ended
        assert len(verdicts) == 500, "to the last request of the file"
        assert (np.mean(np.array(verdicts) != 0, axis=0) == served.blocking_by_lane()).all()
    for count, episode in ((4, {}), (3, {"episode_requests": 501})):
        with pytest.raises(TrafficError, match=r"run\.csv"):
            lanes(count, **episode)
