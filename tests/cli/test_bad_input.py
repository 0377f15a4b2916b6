"""Bad input: one line that says what was given and what to do, exit code 2, and nothing written."""

import socket
from pathlib import Path

import pytest

from fusion_rl.cli.main import main
from fusion_rl.testing.tiny import TOPOLOGY_FILE

EDGES = "source,target,length_km\n"
TRACE = "arrival_time,holding_time,source,destination,bandwidth_gbps\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with some files that cannot be used."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "malformed.yaml").write_text("network: [nsfnet\nscenarios: deeprmsa\n")
    (tmp_path / "parted.csv").write_text(EDGES + "a,b,100\nc,d,100\n")
    (tmp_path / "negative.csv").write_text(EDGES + "a,b,100\nb,c,-5\n")
    (tmp_path / "ring.csv").write_text(EDGES + "a,b,100\nb,c,100\nc,a,100\n")
    (tmp_path / "touching.csv").write_text(EDGES + "a,b,100\nb,c,0\n")
    (tmp_path / "small.csv").write_text("0,1\n1,0\n")
    (tmp_path / "backwards.csv").write_text(TRACE + "2.0,1.0,1,2,50\n1.5,1.0,1,3,50\n")
    (tmp_path / "other.zip").write_bytes(b"no zip at all")
    (tmp_path / "occupied").write_text("a file where a folder is asked for")
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run a command: (exit code, stdout, stderr)."""
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    captured = capsys.readouterr()
    assert isinstance(stopped.value.code, int)
    return stopped.value.code, captured.out, captured.err


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


FEW = ("--requests", "100", "--lanes", "1", "--threads", "1")
BAD = {
    "an unknown preset": (("train", "-e", "deeprmsa-nsfent"), ["deeprmsa-nsfent", "did you mean 'deeprmsa-nsfnet'?"]),
    "an unknown algorithm": (("train", "--algorithm", "maskable-pp0"), ["maskable-pp0", "'maskable-ppo'"]),
    "an unknown key": (("train", "--set", "network.k_path=7"), ["k_path", "k_paths"]),
    "an unknown key in evaluation": (("evaluate", "--set", "network.slotz=7"), ["slotz", "slots"]),
    "malformed YAML": (("train", "-e", "malformed.yaml"), ["malformed.yaml", "line 2"]),
    "an unconnected topology": (("train", "--set", "network.topology=parted.csv"), ["parted", "not connected"]),
    "a negative length": (("evaluate", "--set", "network.topology=negative.csv"), ["b-c", "-5 km", "above 0"]),
    "a link of no length": (("evaluate", "--set", "network.topology=touching.csv"), ["b-c", "0 km", "above 0"]),
    "spans of no length": (
        ("evaluate", "-e", "nsfnet-qot", "--set", "network.transmission.span_km=0"),
        ["network.transmission.span_km", "greater than 0"],
    ),
    "1+1 with slicing": (
        ("evaluate", "--set", "network.protection=1+1", "--set", "network.slicing.max_segments=2"),
        ["protection (1+1)", "slicing", "null"],
    ),
    "1+1 with grooming": (
        ("train", "--set", "network.protection=1+1", "--set", "network.grooming.max_parts=2"),
        ["protection (1+1)", "grooming", "null"],
    ),
    "an unknown setting of slicing": (
        ("evaluate", "--set", "network.slicing.max_segment=2"),
        ["max_segment", "did you mean 'network.slicing.max_segments'?"],
    ),
    "formats by SNR without physics": (
        ("evaluate", "--set", "network.format_choice=by-snr"),
        ["format_choice (by-snr)", "transmission"],
    ),
    "formats without the SNR that they need": (
        ("evaluate", "--set", "network.transmission={}"),
        ["required_snr_db", "missing for"],
    ),
    "a matrix of the wrong size": (
        ("evaluate", "--set", "scenarios.0.pairs={kind: matrix, file: small.csv}"),
        ["small.csv", "(2, 2)", "(14, 14)"],
    ),
    "a trace whose time goes backwards": (
        ("evaluate", "--set", "scenarios.0.trace=backwards.csv"),
        ["backwards.csv", "row 2", "arrival_time"],
    ),
    "an unknown bit rate of FUSION's": (("parity", "fusion", "--share", "75=1.0"), ["75 Gb/s", "25, 50"]),
    "shares that do not make up the requests": (("parity", "fusion", "--share", "100=0.5"), ["3000 requests of 6000"]),
    "an unknown check": (("parity", "report", "--only", "erlangb"), ["erlangb"]),
    "a share that is no percentage": (("capacity", "--at", "120"), ["--at 120", "between 0 and 100"]),
    "an unknown topology": (("evaluate", "--set", "network.topology=nsfnett"), ["nsfnett", "did you mean 'nsfnet'?"]),
    "no load": (("train", "--load", "0"), ["load_erlang", "greater than 0"]),
    "a negative load": (("evaluate", "--load", "-3"), ["load_erlang", "greater than 0"]),
    "an empty reach table": (("train", "--set", "network.reach_table=[]"), ["reach_table", "empty"]),
    "an unknown policy": (("evaluate", "--policy", "ksp-fff"), ["ksp-fff", "did you mean 'ksp-ff'?"]),
    "one unknown policy of two": (("evaluate", "-p", "ksp-ff", "-p", "rnadom"), ["rnadom", "'random'"]),
    "a missing checkpoint": (("evaluate", "--policy", "gone.zip"), ["gone.zip", "does not exist"]),
    "a file that is no checkpoint": (("evaluate", "--policy", "other.zip", "--trust"), ["other.zip", "cannot be read"]),
    "a file that may run code": (("evaluate", "--policy", "other.zip"), ["other.zip", "whatever code", "--trust"]),
    "an unknown scenario": (("evaluate", "--scenario", "deeprsma"), ["deeprsma", "did you mean 'deeprmsa'?"]),
    "no requests": (("evaluate", "--requests", "0"), ["--requests", "greater than or equal to 1"]),
    "a missing paths file": (("evaluate", "--paths-file", "gone.csv"), ["gone.csv"]),
    "runs that cannot be written": (
        ("train", "--set", "execution.tracking_dir=occupied/mlruns"),
        ["occupied/mlruns", "cannot be written"],
    ),
    "pages of runs that cannot be written": (
        ("ui", "--tracking-dir", "occupied/mlruns", "--port", "5999"),
        ["occupied/mlruns", "cannot be written"],
    ),
    "an unknown benchmark": (("bench", "--only", "rolout"), ["rolout", "did you mean 'rollout'?"]),
    "a map in an unknown format": (("topologies", "show", "nsfnet", "-o", "map.bmp"), ["map.bmp", ".png"]),
    "a map in a missing folder": (("topologies", "show", "nsfnet", "-o", "gone/map.png"), ["gone/map.png"]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_clear_line_and_nothing_is_written(
    case: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, told = BAD[case]
    before = contents(folder)
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert [words for words in told if words not in err] == []
    assert contents(folder) == before


def test_fewer_paths_than_asked_for_are_one_readable_warning(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(
        capsys, "evaluate", "--set", "network.topology=ring.csv", "--set", "network.k_paths=9", *FEW, "--json"
    )
    assert code == 0
    assert out.startswith("{")
    warning = next(line for line in err.splitlines() if line)
    assert warning.startswith("warning: k_paths=9")
    assert "only 2 candidate paths" in warning
    assert ".py" not in err


def test_an_unknown_notebook_parameter_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    notebook = Path(__file__).resolve().parents[2] / "notebooks" / "01_train_and_compare.ipynb"
    before = contents(folder)
    code, out, err = run(capsys, "notebook", str(notebook), "-p", "timestep=5", "--output", str(folder / "made.ipynb"))
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert [words for words in ("timestep", "timesteps") if words not in err] == []
    assert contents(folder) == before


def test_a_port_in_use_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, out, err = run(capsys, "ui", "--port", str(port))
    assert (code, out) == (2, "")
    assert f"port {port} cannot be used" in err
    assert not (folder / "mlruns").exists()


def test_a_topology_that_does_not_fit_is_refused_by_its_own_command(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, "topologies", "show", TOPOLOGY_FILE)[0] == 0
    code, _, err = run(capsys, "topologies", "show", "parted.csv")
    assert code == 2
    assert "not connected" in err
