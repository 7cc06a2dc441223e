"""A SLURM cluster of one node in a temporary directory, for as long as a test needs it.

    with one_node_cluster(cores=2) as cluster: ...

It is real: slurmctld and slurmd of Debian's packages, as any user, without munge, without
accounting, and on 127.0.0.1 alone. Its commands find it by ``cluster.variables``.
"""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"
_DAEMONS = ("slurmctld", "slurmd")
_NEEDED = (*_DAEMONS, "sbatch", "squeue", "scancel", "scontrol", "sinfo", "setpriv")
_SECONDS = 60.0

# Times are short so that a test waits for nothing; the rest is what a site has.
_CONFIG = """
ClusterName=mini
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/none
CredType=cred/none
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
PlugStackConfig={folder}/plugstack.conf
ProctrackType=proctrack/linuxproc
TaskPlugin=task/affinity
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,bf_interval=1,sched_interval=1
KillWait=2
MinJobAge={memory}
InactiveLimit=0
{communication}
MessageTimeout=10
SlurmdTimeout=0
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 NodeHostname={host} Port={ports[1]} CPUs={cores} Gres=gpu:2
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
"""
# Two device nodes that every machine has, in place of GPUs.
_GPUS = "NodeName={host} Name=gpu File=/dev/null\nNodeName={host} Name=gpu File=/dev/zero\n"


class UnavailableError(Exception):
    """Why there can be no cluster here."""


@dataclass(frozen=True)
class OneNode:
    """A cluster that runs."""

    folder: Path
    variables: dict[str, str]  # of the environment, with which SLURM's commands find it

    def asked(self, *words: str) -> str:
        """What one of SLURM's commands answers."""
        done = subprocess.run(words, capture_output=True, text=True, check=True, env=self._all())
        return done.stdout.strip()

    def _all(self) -> dict[str, str]:
        return {**os.environ, **self.variables}


@contextmanager
def one_node_cluster(cores: int = 2, memory: int = 300) -> Iterator[OneNode]:
    """Start it and end it with everything that runs on it.

    ``memory`` is for how many seconds it knows a job that is over.

    Raises:
        UnavailableError: something that it needs is not here.
    """
    host = _checked()
    with tempfile.TemporaryDirectory(prefix="slurm-", dir="/tmp") as name:
        folder = Path(name)
        _configure(folder, host, cores, memory)
        variables = {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": _PATH}
        cluster = OneNode(folder, variables)
        daemons: list[subprocess.Popen[bytes]] = []
        try:
            daemons.append(_daemon(cluster, "slurmctld", "-D", "-i"))
            _wait(cluster, daemons, "slurmctld", lambda: "UP" in cluster.asked("scontrol", "ping"))
            daemons.append(_daemon(cluster, "slurmd", "-D", "-N", host))
            _wait(
                cluster, daemons, "slurmd", lambda: cluster.asked("sinfo", "-h", "-o%T") == "idle"
            )
            yield cluster
        finally:
            _end(cluster, daemons)


def _checked() -> str:
    """The name of this machine; UnavailableError: no cluster can be started on it."""
    missing = [name for name in _NEEDED if shutil.which(name, path=_PATH) is None]
    if missing:
        raise UnavailableError(f"slurm is missing here: no {', '.join(missing)}")
    host = socket.gethostname().partition(".")[0]
    if not _resolves("127.0.0.1"):  # slurmctld would try for half a minute
        raise UnavailableError("slurm needs a network interface besides lo")
    return host


def _resolves(host: str) -> bool:
    """As SLURM asks, which finds nothing where no interface but lo has an address."""
    try:
        return bool(socket.getaddrinfo(host, None, socket.AF_INET, flags=socket.AI_ADDRCONFIG))
    except OSError:
        return False


def _configure(folder: Path, host: str, cores: int, memory: int) -> None:
    for inner in ("state", "spool"):
        (folder / inner).mkdir(mode=0o755)
    (folder / "plugstack.conf").touch()
    (folder / "gres.conf").write_text(_GPUS.format(host=host))
    # With it the daemons listen on 127.0.0.1 alone.
    here = "CommunicationParameters=NoInAddrAny,NoCtldInAddrAny" if _resolves(host) else ""
    facts = {
        "communication": here,
        "host": host,
        "user": pwd.getpwuid(os.geteuid()).pw_name,
        "ports": _free_ports(),
    }
    (folder / "slurm.conf").write_text(
        _CONFIG.format(folder=folder, cores=min(cores, os.cpu_count() or 1), memory=memory, **facts)
    )


def _free_ports() -> list[int]:
    with contextlib.ExitStack() as open_ones:
        sockets = [open_ones.enter_context(socket.socket()) for _ in _DAEMONS]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _daemon(cluster: OneNode, *words: str) -> subprocess.Popen[bytes]:
    """It ends with this process, however that ends."""
    return subprocess.Popen(
        ["setpriv", "--pdeathsig", "TERM", *words, "-f", cluster.variables["SLURM_CONF"]],
        env={**os.environ, **cluster.variables},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _wait(
    cluster: OneNode,
    daemons: list[subprocess.Popen[bytes]],
    name: str,
    is_up: Callable[[], bool],
) -> None:
    last = time.monotonic() + _SECONDS
    while daemons[-1].poll() is None and time.monotonic() < last:
        with contextlib.suppress(subprocess.CalledProcessError):
            if is_up():
                return
        time.sleep(0.02)
    log = cluster.folder / f"{name}.log"
    said = log.read_text().splitlines()[-3:] if log.exists() else []
    raise RuntimeError(f"{name} did not come up ({daemons[-1].poll()}): {' | '.join(said)}")


def _end(cluster: OneNode, daemons: list[subprocess.Popen[bytes]]) -> None:
    with contextlib.suppress(subprocess.CalledProcessError):
        cluster.asked("scancel", "-u", str(os.geteuid()))
        last = time.monotonic() + _SECONDS
        while cluster.asked("squeue", "-h") and time.monotonic() < last:
            time.sleep(0.05)
    for daemon in reversed(daemons):
        daemon.send_signal(signal.SIGTERM)
    for daemon in daemons:
        daemon.wait(_SECONDS)


def processes_of(folder: Path) -> list[int]:
    """Processes whose command line or environment names a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            said = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            if str(folder).encode() in said and int(entry.name) != os.getpid():
                found.append(int(entry.name))
    return found
