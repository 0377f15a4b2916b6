"""`fusion-rl topologies`, `bench`, `ui` and `doctor`."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from fusion_rl.cli.main import main
from fusion_rl.testing.tiny import TOPOLOGY_FILE

PNG = b"\x89PNG\r\n\x1a\n"
UI_LIMIT_S = 90


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run a command: (exit code, stdout, stderr)."""
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    captured = capsys.readouterr()
    assert isinstance(stopped.value.code, int)
    return stopped.value.code, captured.out, captured.err


def run_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    code, out, err = run(capsys, *arguments, "--json")
    assert code == 0, err
    return json.loads(out)


def test_topologies_are_listed_with_their_figures(capsys: pytest.CaptureFixture[str]) -> None:
    listed = {one["name"]: one for one in run_json(capsys, "topologies", "list")["topologies"]}
    assert (listed["nsfnet"]["nodes"], listed["nsfnet"]["edges"], listed["nsfnet"]["total_km"]) == (14, 22, 21300)
    assert "nsfnet" in run(capsys, "topologies")[1]


def test_figures_of_the_tiny_network_are_those_worked_out_by_hand(capsys: pytest.CaptureFixture[str]) -> None:
    shown = run_json(capsys, "topologies", "show", TOPOLOGY_FILE)
    assert (shown["nodes"], shown["edges"], shown["total_km"], shown["mean_degree"]) == (4, 5, 1500, 2.5)
    assert (shown["diameter_hops"], shown["diameter_km"]) == (2, 500)  # 2-4; and 2-1-4 or 2-3-4 (1-3 by 2: 300 km)
    assert len(shown["edge_list"]) == 5


def test_a_topology_is_drawn_in_the_terminal_with_every_node(capsys: pytest.CaptureFixture[str]) -> None:
    out = run(capsys, "topologies", "show", "nsfnet")[1]
    drawn = out.rpartition("┘")[2].replace("·", " ").split()
    assert sorted(drawn, key=int) == [str(node) for node in range(1, 15)]


def test_a_map_has_nodes_where_the_file_puts_them(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Corners of a square: west and south first in the file, as no layout by length would place them."""
    corners = {"SW": (0, 0), "SE": (9, 0), "NW": (0, 9), "NE": (9, 9)}
    nodes = [{"id": name, "x": x, "y": y} for name, (x, y) in corners.items()]
    ring = [("SW", "NE"), ("NE", "NW"), ("NW", "SE")]
    links = [{"source": one, "target": other, "length_km": 5.0} for one, other in ring]
    file = tmp_path / "square.json"
    file.write_text(json.dumps({"nodes": nodes, "edges": links}))
    out = run(capsys, "topologies", "show", str(file))[1]
    drawn = out.rpartition("┘")[2].strip().splitlines()
    assert (drawn[0][:2], drawn[0][-2:]) == ("NW", "NE")
    assert (drawn[-1][:2], drawn[-1][-2:]) == ("SW", "SE")
    picture = tmp_path / "map.png"
    assert run_json(capsys, "topologies", "show", str(file), "-o", str(picture))["places"] == "from the file"
    assert picture.read_bytes().startswith(PNG)


def test_a_map_is_written_whole(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    picture = tmp_path / "map.png"
    assert run_json(capsys, "topologies", "show", "jpn48", "--output", str(picture))["map"] == str(picture)
    assert picture.read_bytes().startswith(PNG)
    assert [path.name for path in tmp_path.iterdir()] == ["map.png"]


def test_bench_says_what_it_timed_and_on_what(capsys: pytest.CaptureFixture[str]) -> None:
    shown = run_json(capsys, "bench", "--quick", "--only", "memory", "--only", "batched-env")
    names = [result["name"] for result in shown["results"]]
    assert names == ["memory growth", "batched env", "batched env with reset"]
    assert shown["machine"]["libraries"]["numba"]
    batched = shown["results"][1]
    assert (batched["unit"], batched["conditions"]["lanes"]) == ("steps/s", 256)
    assert batched["conditions"]["min"] <= batched["value"] <= batched["conditions"]["max"]
    assert {"timed", "repetitions", "load_average", "cpu"} <= batched["conditions"].keys()


def test_bench_writes_its_results_and_draws_them(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    results, picture = tmp_path / "bench.json", tmp_path / "bench.png"
    only = ("--quick", "--only", "lanes", "--only", "memory-lanes")
    shown = run_json(capsys, "bench", *only, "--output", str(results), "--plot", str(picture))
    assert json.loads(results.read_text()) == shown
    assert picture.read_bytes().startswith(PNG)
    assert {path.name for path in tmp_path.iterdir()} == {"bench.json", "bench.png"}
    by_lanes = [result for result in shown["results"] if result["conditions"]["benchmark"] == "lanes"]
    assert [result["conditions"]["lanes"] for result in by_lanes] == [1, 16, 256]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--plot", "cost.txt"), [".png", ".svg", ".pdf"]),
        (("--output", "nowhere/bench.json"), ["--output", "nowhere"]),
        (("--only", "start-up", "--plot", "cost.png"), ["nothing to draw", "start-up", "paths"]),
        (("--only", "pahts",), ["pahts", "did you mean 'paths'?"]),
    ],
)  # fmt: skip
def test_bench_refuses_before_it_measures(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    said: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, "bench", *arguments)
    assert (code, out) == (2, "")
    assert all(word in err for word in said), err
    assert list(tmp_path.iterdir()) == []


def test_doctor_finds_this_installation_well(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = run_json(capsys, "doctor")
    assert shown["healthy"] is True
    assert {check["name"] for check in shown["checks"]} == {
        "python", "libraries", "kernels", "torch", "run store", "disk", "jupyter",
    }  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_doctor_says_what_is_wrong_and_ends_with_1(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "occupied").touch()
    code, out, _ = run(capsys, "doctor", "--tracking-dir", str(tmp_path / "occupied" / "mlruns"), "--json")
    shown = json.loads(out)
    assert code == 1
    assert shown["healthy"] is False
    assert [check["name"] for check in shown["checks"] if check["verdict"] == "failed"] == ["run store"]


@pytest.mark.slow
def test_ui_answers_at_the_address_that_it_prints(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "fusion_rl.cli.main", "ui", "--port", str(port), "--tracking-dir", "runs"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert process.stdout is not None
        assert f"http://127.0.0.1:{port}" in process.stdout.readline()
        assert answer(f"http://127.0.0.1:{port}/health") == 200
        assert (tmp_path / "runs" / "mlflow.db").is_file()
    finally:
        os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does
        assert process.wait(timeout=30) == 0


def answer(address: str) -> int:
    """The status that an address answers with, once it does."""
    deadline = time.monotonic() + UI_LIMIT_S
    while True:
        try:
            with urllib.request.urlopen(address, timeout=5) as response:
                return int(response.status)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
