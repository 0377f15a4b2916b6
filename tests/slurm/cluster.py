"""A SLURM of one node, for as long as a test needs it: real munged, slurmctld and slurmd in a folder of their own."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol", "squeue")
CONFIG = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
NodeName=node NodeHostname={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=4096 State=UNKNOWN
PartitionName=all Nodes=node Default=YES MaxTime=INFINITE State=UP
"""


def why_not() -> str | None:
    """Why no cluster can be started here; None where one can."""
    missing = [name for name in PROGRAMS if _found(name) is None]
    if missing:
        return f"SLURM is not installed ({', '.join(missing)}): apt-get install slurm-wlm munge"
    return None if os.geteuid() == 0 else "munged and slurmd are started as root here"


@dataclass(frozen=True)
class Cluster:
    """A running one: its folder, and the environment in which SLURM's commands talk to it."""

    folder: Path
    environment: dict[str, str]

    def command(self, *words: str, cwd: Path | None = None, **variables: str) -> str:
        """Run a command of SLURM's, and give what it prints."""
        done = subprocess.run(
            words,
            cwd=cwd,
            env={**self.environment, **variables},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout.strip()

    def job(self, number: str) -> dict[str, str]:
        """What SLURM knows of a job."""
        words = self.command("scontrol", "show", "job", number, "--oneliner").split()
        return dict(word.partition("=")[::2] for word in words)

    def log(self) -> str:
        """The daemons' last words, for when a test fails."""
        return "\n".join(path.read_text()[-2000:] for path in self.folder.glob("*.log"))


def until(true: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait until something is true.

    Raises:
        TimeoutError: it does not become true in time.
    """
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(f"after {seconds:g} s still not: {what}")
        time.sleep(0.5)


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Start one, and stop it in the end."""
    folder.mkdir(mode=0o755)
    for name in ("state", "spool"):
        (folder / name).mkdir()
    ports = [_free_port(), _free_port()]
    text = CONFIG.format(folder=folder, host=socket.gethostname().split(".")[0], ports=ports, cpus=os.cpu_count())
    (folder / "slurm.conf").write_text(text)
    (folder / "munge.key").write_bytes(os.urandom(128))
    (folder / "munge.key").chmod(0o600)
    path = os.pathsep.join([os.environ["PATH"], "/usr/sbin"])
    made = Cluster(folder, {**os.environ, "SLURM_CONF": str(folder / "slurm.conf"), "PATH": path})
    files = {"key-file": "munge.key", "socket": "munge.socket", "pid-file": "munge.pid", "seed-file": "munge.seed"}
    options = [f"--{option}={folder / file}" for option, file in files.items()]
    daemons: list[subprocess.Popen[bytes]] = []
    try:
        for words in (
            ["munged", "--foreground", "--force", f"--log-file={folder / 'munge.log'}", *options],
            ["slurmctld", "-D", "-c"],
            ["slurmd", "-D", "-c"],
        ):
            program = _found(words[0])
            assert program is not None
            daemons.append(
                subprocess.Popen(
                    [program, *words[1:]],
                    env=made.environment,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            )
            if words[0] == "munged":
                until((folder / "munge.socket").exists, 20, f"munged is up: {made.log()}")
        try:
            until(lambda: "idle" in _state(made), 60, "the node is idle")
        except TimeoutError as error:
            error.add_note(made.log())
            raise
        yield made
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
            try:
                daemon.wait(15)
            except subprocess.TimeoutExpired:
                daemon.kill()


def _state(made: Cluster) -> str:
    done = subprocess.run(
        ["sinfo", "-h", "-o", "%t"], env=made.environment, capture_output=True, text=True, timeout=60, check=False
    )
    return done.stdout


def _found(program: str) -> str | None:
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")


def _free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port
