"""The parity report: its lines judge, its checks can fail, and the command says so."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fusion_rl.cli.main import main
from fusion_rl.config.load import load
from fusion_rl.domains.optical.domain import prepare
from fusion_rl.domains.optical.heuristics import HEURISTICS
from fusion_rl.envs.legacy import GeneralSimEnv
from fusion_rl.envs.unified import UnifiedSimEnv
from fusion_rl.errors import ConfigError
from fusion_rl.parity import analytic, candidates, exact, published, report
from fusion_rl.parity.line import FULL, QUICK, Line, Size, Verdict, exactly, within
from fusion_rl.tracking.mlflow_store import open_store

SMALL = Size(requests=40_000, analytic_requests=40_000, decisions=400, every_load=False)


def judged(found: float, tolerance: float, not_comparable: str = "") -> Verdict:
    return within(
        group="test",
        compared="a figure",
        conditions="none",
        expected=1.0,
        found=found,
        tolerance=tolerance,
        tolerance_rests_on="the test",
        not_comparable=not_comparable,
    ).verdict


def wrong(size: Size) -> Iterator[Line]:
    """One link that loses calls as Erlang B says, set beside the formula for another load."""
    line = next(analytic.lines(size))
    yield exactly(
        group=line.group,
        compared=line.compared,
        conditions=line.conditions,
        expected=analytic.erlang_b(10, 8.0),
        found=line.found,
    )


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main(["parity", "report", *arguments])
    captured = capsys.readouterr()
    assert isinstance(stopped.value.code, int)
    return stopped.value.code, captured.out, captured.err


def test_a_line_passes_up_to_its_tolerance_and_no_further() -> None:
    assert judged(1.25, 0.25) is Verdict.PASSED
    assert judged(1.26, 0.25) is Verdict.FAILED
    assert judged(0.74, 0.25) is Verdict.FAILED


def test_what_is_no_number_fails() -> None:
    assert judged(float("nan"), 0.25) is Verdict.FAILED
    assert judged(1.0, float("nan")) is Verdict.FAILED
    assert judged(1.0, float("inf")) is Verdict.FAILED


def test_what_cannot_be_compared_does_not_pass_however_close() -> None:
    assert judged(1.0, 0.25, not_comparable="another definition") is Verdict.NOT_COMPARABLE
    line = exactly(group="test", compared="a", conditions="", expected=1, found=1)
    unlike = replace(line, verdict=Verdict.NOT_COMPARABLE)
    assert report.passed([line, unlike])
    assert not report.passed([unlike]), "nothing was compared"
    assert not report.passed([line, replace(line, verdict=Verdict.FAILED)])


def test_a_remark_is_made_where_figures_disagree_and_does_not_let_them_pass() -> None:
    same = {"group": "test", "compared": "a", "conditions": "", "expected": 1.0, "tolerance_rests_on": "the test"}
    far = within(**same, found=2.0, tolerance=0.5, remark="open: why")  # type: ignore[arg-type]
    near = within(**same, found=1.1, tolerance=0.5, remark="open: why")  # type: ignore[arg-type]
    assert (far.verdict, far.reason) == (Verdict.FAILED, "open: why")
    assert (near.verdict, near.reason) == (Verdict.PASSED, "")


def test_every_route_through_the_simulator_decides_alike() -> None:
    lines = list(exact.lines_of_routes(SMALL))
    replayed = [line for line in lines if line.compared.startswith("replay")]
    assert len(replayed) == len(HEURISTICS)
    assert {(line.expected, line.found) for line in replayed} == {(0, 0)}
    assert all((line.tolerance, line.verdict) == (0.0, Verdict.PASSED) for line in lines)


def test_both_environments_meet_the_plain_simulation_in_decisions_masks_and_blocking() -> None:
    lines = list(exact.lines_of_routes(Size(decisions=2000)))[-5:]
    assert [line.compared.split(" environment")[0] for line in lines] == ["unified"] * 2 + ["legacy"] * 3
    blocking = [line for line in lines if line.compared.endswith("service blocking")]
    assert len(blocking) == 2
    assert all(line.found == line.expected > 0 for line in blocking), "something was blocked, or nothing is shown"


def test_an_environment_that_decides_otherwise_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    play = exact._play

    def other(kind: type[UnifiedSimEnv], *arguments: Any) -> exact._Played:
        played = play(kind, *arguments)
        if kind is GeneralSimEnv:
            played.decided.verdict[7] = played.decided.verdict[7] ^ 1
            played.masks[9, 0] ^= 1
        return played

    monkeypatch.setattr(exact, "_play", other)
    failed = [line for line in exact.lines_of_routes(SMALL) if line.verdict is Verdict.FAILED]
    assert len(failed) == 3
    assert all(line.compared.startswith("legacy environment") for line in failed)
    assert [line.found for line in failed[:2]] == [1, 1]


def test_decisions_that_differ_are_counted() -> None:
    setting = prepare(load(exact.EXPERIMENT).config)
    one = exact._decide(setting, HEURISTICS["ksp-ff"], SMALL)
    other = exact._decide(setting, HEURISTICS["last-fit"], SMALL)
    assert exact._differences(one, one) == 0
    assert exact._differences(one, other) > SMALL.decisions // 2


def test_public_simulators_are_met_to_the_last_digit() -> None:
    lines = list(exact.lines_of_streams(QUICK))
    assert [line.expected for line in lines] == [251, 417, 0.38175, 0.43229540326168425]
    assert all(line.verdict is Verdict.PASSED for line in lines)


def test_the_formulas_agree_with_tables() -> None:
    assert analytic.erlang_b(10, 5.0) == pytest.approx(0.018385, abs=1e-6)
    # widths 1 and 2 on 2 slots, 1 Erlang each: states (0,0) (1,0) (2,0) (0,1) weigh 1, 1, 1/2, 1
    exact_share = {1: pytest.approx(1.5 / 3.5), 2: pytest.approx(2.5 / 3.5)}
    assert analytic.kaufman_roberts(2, {1: 1.0, 2: 1.0}) == exact_share


def test_one_link_loses_what_the_formulas_say() -> None:
    lines = list(analytic.lines(FULL))
    assert len(lines) == len(analytic.ERLANG_B_CASES) + len(analytic.KAUFMAN_ROBERTS_CASES)
    for line in lines:
        assert line.verdict is Verdict.PASSED, line
        assert line.tolerance < 0.2 * line.expected, "narrow enough to tell a wrong simulator"


def test_every_published_figure_says_what_it_holds_for() -> None:
    figures = published.read()
    xlron = [figure for figure in figures if "1.1.0" in figure.block.source]
    assert len(xlron) == 27
    for figure in figures:
        assert figure.heuristic in HEURISTICS
        assert figure.half_width >= 0
        assert 0 <= figure.blocking < 0.1
        assert figure.block.source
        assert load(figure.block.setting).config.network.topology
    assert {figure.network for figure in published.chosen(figures, QUICK)} == {figure.network for figure in figures}
    assert published.chosen(figures, FULL) == figures


def test_a_published_figure_is_met_by_its_heuristic_and_by_no_other() -> None:
    figure = next(f for f in published.read() if (f.heuristic, f.load_erlang) == ("most-used", 250.0))
    setting = published.prepared(figure, [250.0])
    size = replace(QUICK, requests=200_000)

    def verdict(heuristic: str) -> Verdict:
        return published.line(figure, published.simulated(setting, heuristic, 250.0, size), setting, size).verdict

    assert verdict("most-used") is Verdict.PASSED
    assert verdict("ksp-ff") is Verdict.FAILED
    assert verdict("exact-fit") is Verdict.FAILED


def test_a_figure_of_known_paths_that_deviates_fails_and_only_a_stated_reason_keeps_it_from_being_judged() -> None:
    figure = next(f for f in published.read() if f.block.setting == "maskrsa-nsfnet" and f.path_order == "km")
    setting = published.prepared(figure, [figure.load_erlang])
    found = published.simulated(setting, "ksp-ff", figure.load_erlang, QUICK)
    moved = replace(figure, blocking=figure.blocking + 3 * figure.half_width)
    excused = replace(moved, block=moved.block.model_copy(update={"not_comparable": "paths are not known"}))
    assert published.line(figure, found, setting, QUICK).verdict is Verdict.PASSED
    assert published.line(moved, found, setting, QUICK).verdict is Verdict.FAILED
    assert published.line(excused, found, setting, QUICK).verdict is Verdict.NOT_COMPARABLE


def test_the_rows_that_are_not_judged_are_those_of_another_definition() -> None:
    spared = {(figure.heuristic, figure.block.not_comparable[:16]) for figure in published.read()}
    assert {row for row in spared if row[1]} == {("ksp-bf", "XLRON's ksp_bf r")}


def test_published_figures_of_one_setting_can_be_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    only = ("--quick", "--only", "published", "--json", "--setting")
    _, out, err = run(capsys, *only, "ptrnet40-nsfnet")
    lines = json.loads(out)["lines"]
    assert len(lines) == 6, err
    assert all(line["conditions"].startswith("ptrnet40-nsfnet, ") for line in lines)
    code, out, err = run(capsys, *only, "ptrnet40")
    assert (code, out) == (2, "")
    assert "did you mean 'ptrnet40-nsfnet'" in err


@pytest.mark.parametrize(("k_paths", "order"), [(5, "km"), (5, "hops"), (5, "hops-per-se"), (50, "hops-per-se")])
def test_enumerated_candidates_are_those_that_xlron_exported(k_paths: int, order: str) -> None:
    network = load(
        "deeprmsa-nsfnet", overrides={"network.k_paths": k_paths, "network.path_order": order}
    ).config.network
    assert candidates.enumerated(network, "xlron") == candidates.xlron_table(k_paths, order)


def test_the_survey_breaks_ties_in_another_way_and_has_no_third_order() -> None:
    network = load("deeprmsa-nsfnet", overrides={"network.path_order": "km"}).config.network
    survey, later = candidates.enumerated(network, "survey"), candidates.enumerated(network, "xlron")
    differing = [pair for pair in survey if survey[pair] != later[pair]]
    assert 0 < len(differing) < len(survey) / 4
    assert sum(sorted(survey[pair]) != sorted(later[pair]) for pair in survey) == 0, "the same paths"
    by_se = network.model_copy(update={"path_order": "hops-per-se"})
    with pytest.raises(ConfigError, match="no candidates by hops-per-se: known: km, hops"):
        candidates.enumerated(by_se, "survey")


def test_shared_links_have_the_same_candidates_both_ways() -> None:
    network = load("maskrsa-jpn48").config.network.model_copy(update={"k_paths": 3, "path_order": "hops"})
    table = candidates.enumerated(network, "survey")
    assert len(table) == 48 * 47
    assert all(table[target, source] == [path[::-1] for path in paths] for (source, target), paths in table.items())


@pytest.mark.parametrize(
    ("k_paths", "order", "told"), [(7, "km", "K=7: known: 5, 50"), (50, "km", "by km for K=50: known: hops-per-se")]
)
def test_a_table_that_is_not_there_is_named_with_those_that_are(k_paths: int, order: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        candidates.xlron_table(k_paths, order)


def test_a_report_is_logged_as_a_run_with_its_table(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, err = run(capsys, "--quick", "--only", "streams", "--tracking-dir", str(tmp_path), "--json")
    assert code == 0, err
    told = json.loads(out)
    assert told["counts"] == {"lines": 4, "passed": 4, "failed": 0, "not_comparable": 0}
    store = open_store(tmp_path)
    record = store.find_run(told["run_id"])
    assert (record.experiment, record.status) == (report.MLFLOW_EXPERIMENT, "FINISHED")
    assert record.parameters["checks"] == "streams"
    assert (record.metrics["lines"], record.metrics["failed"]) == (4, 0)
    found = [point.value for point in store.metric_history(record.run_id, "line/found")]
    assert found == [line["found"] for line in told["lines"]]
    table = json.loads(store.artifact_path(record.run_id, report.TABLE_FILE).read_text())
    assert [row[table["columns"].index("verdict")] for row in table["data"]] == ["passed"] * 4


def test_a_report_that_nobody_asked_to_log_writes_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, _ = run(capsys, "--quick", "--only", "streams")
    assert code == 0
    assert "4 lines, 4 passed, 0 failed" in out
    assert list(tmp_path.iterdir()) == []


def test_a_line_that_fails_makes_the_exit_code_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(report.CHECKS._entries, "wrong", wrong)
    code, out, _ = run(capsys, "--quick", "--only", "wrong", "--json")
    assert code == 1
    assert json.loads(out)["counts"]["failed"] == 1
    assert run(capsys, "--quick", "--only", "wrong", "--only", "streams")[0] == 1


def test_an_unknown_check_is_refused_with_those_there_are(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, err = run(capsys, "--only", "published-figures", "--tracking-dir", str(tmp_path / "runs"))
    assert (code, out) == (2, "")
    assert "known: decisions, streams, published, analytic" in err
    assert not (tmp_path / "runs").exists()


# Rows of one setting of the survey that nothing known explains
OPEN_DISAGREEMENTS = {"ptrnet80-nsfnet, 240 E, K=5 by hops", "ptrnet80-nsfnet, 240 E, K=5 by km"}


@pytest.mark.slow
def test_the_full_report_fails_where_disagreement_is_known_and_nowhere_else() -> None:
    lines = list(report.lines(FULL))
    failed = [line for line in lines if line.verdict is Verdict.FAILED]
    assert {", ".join(line.conditions.split(", ")[:3]) for line in failed} == OPEN_DISAGREEMENTS
    assert all("XLRON survey" in line.compared and line.reason.startswith("open:") for line in failed)
    assert sum(line.verdict is Verdict.NOT_COMPARABLE for line in lines) == 1
