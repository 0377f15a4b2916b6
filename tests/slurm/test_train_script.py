"""slurm/train.slurm: that it is bash, what it asks `fusion-rl train` for, and that a real SLURM runs it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from fusion_rl.testing import tiny
from fusion_rl.tracking.base import RunStatus
from fusion_rl.tracking.mlflow_store import open_store
from tests.slurm.cluster import Cluster, cluster, until, why_not

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPT = REPOSITORY / "slurm" / "train.slurm"

# stands where the cluster's command would: notes what it was asked for
NOTE = '#!/bin/bash\necho "$(basename "$0") $*" >> calls\n'
SLOW = NOTE + "trap 'echo saved >> calls; exit 143' TERM\nfor i in $(seq 300); do sleep 0.1; done\n"


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    for name in ("scontrol", "fusion-rl"):
        (tmp_path / name).write_text(NOTE)
        (tmp_path / name).chmod(0o755)
    return tmp_path


def start(folder: Path, **variables: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "SLURM_JOB_ID": "7", **variables}
    return subprocess.Popen(["bash", str(SCRIPT)], cwd=folder, env=environment, text=True, stdout=subprocess.PIPE)


def calls(folder: Path, **variables: str) -> list[str]:
    started = start(folder, **variables)
    assert started.communicate(timeout=30) is not None
    assert started.returncode == 0
    return (folder / "calls").read_text().splitlines()


def test_the_script_is_bash() -> None:
    subprocess.run(["bash", "-n", str(SCRIPT)], check=True)


def test_the_job_is_called_after_the_config_and_the_config_paths_are_passed_on(programs: Path) -> None:
    named, trained = calls(
        programs, EXPERIMENT="configs/my run.yaml", EXECUTION="long", RESUME_FROM="models:/m@best", ARGUMENTS="--seed 3"
    )
    assert named == "scontrol update JobId=7 JobName=my run"
    assert trained == (
        "fusion-rl train --set execution.tracking_dir=mlruns --profile server --name my run-job7 --resume-if-begun"
        " --experiment configs/my run.yaml --execution long --resume-from models:/m@best --seed 3"
    )


def test_a_job_that_was_put_back_asks_for_the_same_run(programs: Path) -> None:
    given = {"EXPERIMENT": "mine.yaml", "RESUME_FROM": "first", "TRACKING_DIR": "t"}
    *_, before = calls(programs, **given)
    *_, after = calls(programs, **given, SLURM_RESTART_COUNT="1")
    assert before == after
    assert "execution.tracking_dir=t --profile server --name mine-job7 --resume-if-begun" in after


def test_before_its_time_is_up_the_job_lets_training_save_and_goes_back_into_the_queue(programs: Path) -> None:
    (programs / "fusion-rl").write_text(SLOW)
    started = start(programs)
    until(lambda: "train" in (programs / "calls").read_text() if (programs / "calls").exists() else False, 10, "begun")
    time.sleep(0.3)
    started.send_signal(signal.SIGUSR1)
    started.communicate(timeout=20)
    assert (programs / "calls").read_text().splitlines()[-2:] == ["saved", "scontrol requeue 7"]


def test_a_training_that_fails_fails_the_job_and_is_not_put_back(programs: Path) -> None:
    (programs / "fusion-rl").write_text(NOTE + "exit 2\n")
    started = start(programs)
    started.communicate(timeout=20)
    assert started.returncode == 2
    assert "requeue" not in (programs / "calls").read_text()


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> "Cluster":
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    with cluster(tmp_path_factory.mktemp("slurm") / "run") as made:
        yield made


@pytest.fixture
def submit_folder(tmp_path: Path) -> Path:
    """Where jobs are submitted from: the tiny world, and this interpreter's fusion-rl."""
    content = {
        "network": tiny.NETWORK.model_dump(mode="json"),
        "scenarios": [{**tiny.SCENARIO.model_dump(mode="json"), "name": name} for name in ("one", "two")],
        "algorithm": {"name": "maskable-ppo", "n_steps": 32, "batch_size": 64, "n_epochs": 1, "net_arch": [8]},
        "execution": {"lanes": 2},
    }
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(content))
    command = tmp_path / "fusion-rl"
    command.write_text(f'#!/bin/bash\nPYTHONPATH="{REPOSITORY}" exec "{sys.executable}" -m fusion_rl.cli.main "$@"\n')
    command.chmod(0o755)
    return tmp_path


FEW = (
    "--timesteps 256 --set execution.final_requests=800 --set execution.final_lanes=8 --set execution.eval_requests=80"
)


def submit(made: Cluster, folder: Path, arguments: str, *options: str) -> str:
    return made.command(
        "sbatch", *options, "--parsable", f"--output={folder}/job.out", "--cpus-per-task=1", "--mem=0",
        "--export=ALL", str(SCRIPT),
        EXPERIMENT="tiny.yaml", FUSION_RL=str(folder / "fusion-rl"), ARGUMENTS=arguments, cwd=folder,
    )  # fmt: skip


def ended(made: Cluster, job: str) -> bool:
    return made.job(job)["JobState"] in ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL")


@pytest.mark.slow
def test_a_real_slurm_trains_and_the_job_has_the_configs_name(slurm: Cluster, submit_folder: Path) -> None:
    job = submit(slurm, submit_folder, FEW)
    until(lambda: ended(slurm, job), 240, f"the job is over: {slurm.job(job)}")
    found, output = slurm.job(job), (submit_folder / "job.out").read_text()
    assert (found["JobState"], found["JobName"], found["ExitCode"]) == ("COMPLETED", "tiny", "0:0"), output
    [run] = open_store(submit_folder / "mlruns").search_runs()
    assert (run.run_name, run.status) == (f"tiny-job{job}", RunStatus.FINISHED)
    assert "difference to maskable-ppo" in output


@pytest.mark.slow
def test_a_real_slurm_warns_the_job_of_its_time_limit_and_runs_it_again(slurm: Cluster, submit_folder: Path) -> None:
    resumes = NOTE + "((${SLURM_RESTART_COUNT:-0} > 0)) && exit 0\n" + SLOW.removeprefix(NOTE).replace("300", "3000")
    (submit_folder / "fusion-rl").write_text(resumes)
    job = submit(slurm, submit_folder, "", "--time=2", "--signal=B:USR1@60")
    until(lambda: slurm.job(job)["Restarts"] == "1", 180, "the job is back in the queue")
    until(lambda: ended(slurm, job), 400, f"the job is over: {slurm.job(job)}")  # SLURM waits two minutes first
    asked = (submit_folder / "calls").read_text().splitlines()
    assert slurm.job(job)["JobState"] == "COMPLETED"
    assert asked[1] == "saved"
    assert asked[2] == asked[0]
    assert f"--name tiny-job{job} --resume-if-begun" in asked[0]
    assert "out of time: back into the queue" in (submit_folder / "job.out").read_text()


@pytest.mark.slow
def test_a_real_job_that_is_out_of_time_is_put_back_and_finishes_its_run(slurm: Cluster, submit_folder: Path) -> None:
    job = submit(slurm, submit_folder, FEW.replace("256", "200000") + " --set execution.checkpoint_every=1000")
    store = submit_folder / "mlruns"
    until(lambda: any((store / "checkpoints").glob("*/*")), 240, "something is saved")
    slurm.command("scancel", "--batch", "--signal=USR1", job)
    until(lambda: slurm.job(job)["Restarts"] == "1", 120, "the job is back in the queue")
    until(lambda: ended(slurm, job), 500, f"the job is over: {slurm.job(job)}")
    assert slurm.job(job)["JobState"] == "COMPLETED", (submit_folder / "job.out").read_text()
    [run] = open_store(store).search_runs()
    assert run.status is RunStatus.FINISHED
