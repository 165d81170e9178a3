"""A real SLURM on this machine for tests: munged, slurmctld and slurmd, started as root without systemd or cgroups.

A second slurmd makes a second node. `python tests/support/slurm_node.py [CPUS [NODES]]` starts one for manual work and
stops it on Ctrl-C.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

SYSTEM = Path("/etc/slurm/slurm.conf")
PROGRAMS = ("munged", "munge", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "scancel")
SLOWEST = 300.0  # seconds that anything may take: a machine may be slow, or busy with other work
PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
# No cgroups: with the wrong ones, jobs end as COMPLETED but never ran. No accounting: squeue reports how a job ended for
# MinJobAge seconds. A job in `urgent` preempts those in `main`, which are requeued; they wait until their credentials have
# expired, 2 minutes by default.
CONF = """\
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={lab}/munge/socket,cred_expire=15
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
MpiDefault=none
SwitchType=switch/none
MailProg=/bin/true
MinJobAge=3600
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=batch_sched_delay=0,sched_interval=2,sched_min_interval=0,bf_interval=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
GresTypes=gpu
DefMemPerCPU=100
EnforcePartLimits=ALL
ReturnToService=2
SlurmctldTimeout=30
SlurmdTimeout={patience}
InactiveLimit=0
KillWait={grace}
CompleteWait=0
MessageTimeout=30
SlurmdParameters=config_overrides
StateSaveLocation={lab}/state
SlurmdSpoolDir={lab}/spool-%n
SlurmctldPidFile={lab}/slurmctld.pid
SlurmdPidFile={lab}/slurmd-%n.pid
SlurmctldLogFile={lab}/slurmctld.log
SlurmdLogFile={lab}/slurmd-%n.log
{nodes}PartitionName=main Nodes={names} Default=YES DefaultTime=60 PriorityTier=1 GraceTime=20 State=UP
PartitionName=urgent Nodes={names} DefaultTime=1 PriorityTier=2 PreemptMode=OFF State=UP
"""
NODE = "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={cpus} RealMemory={memory} Gres=gpu:{gpus}\n"


def missing() -> str | None:
    """Return the reason why SLURM cannot be started here, or None."""
    if os.geteuid() != 0:
        return "a one-node SLURM must be started as root"
    absent = [name for name in PROGRAMS if shutil.which(name, path=PATH) is None]
    if absent:
        return f"{', '.join(absent)} not installed; on Debian: apt-get install slurm-wlm munge"
    if SYSTEM.exists():
        return f"{SYSTEM} exists: a SLURM is already set up here"
    return None


class Node:
    """One node, or several on this machine; a context manager.

    cpus, memory (MB), gpus: what each node claims to have, which may be more than the machine has.
    patience: seconds without an answer after which a node is lost, and its jobs are requeued.
    grace: seconds between SIGTERM and SIGKILL.
    """

    def __init__(
        self, cpus: int = 4, memory: int = 64_000, gpus: int = 2, nodes: int = 1, patience: int = 60, grace: int = 20
    ) -> None:
        self.lab = Path(tempfile.mkdtemp(prefix="slurm-node-"))
        self.host = os.uname().nodename.partition(".")[0]
        self.names = [self.host] if nodes == 1 else [f"{self.host}-{number}" for number in range(nodes)]
        self.cpus, self.memory, self.gpus = cpus, memory, gpus
        self.patience, self.grace = patience, grace
        self.lost: set[str] = set()
        self.environment = {**os.environ, "PATH": PATH, "SLURM_CONF": str(self.lab / "slurm.conf")}

    def __enter__(self) -> "Node":
        try:
            self._configure()
            key, place = self.lab / "munge/key", self.lab / "munge/socket"
            self.run(
                "munged", "--force", f"--key-file={key}", f"--socket={place}", f"--pid-file={self.lab}/munged.pid",
                f"--log-file={self.lab}/munged.log", f"--seed-file={self.lab}/munge/seed",
            )  # fmt: skip
            self.wait("munged", lambda: self.works("munge", f"--socket={place}", "-n"))
            self.control("-i")
            for name in self.names:
                self.begin(name)
            self.wait("slurmd", lambda: set(self.run("sinfo", "-h", "-o", "%T").split()) == {"idle"})
            self._prove()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        for name in self.lost.copy():
            self.begin(name)
        if self._pid("slurmctld"):
            self.cancel()
        daemons = {"slurmctld": "slurmctld", **{f"slurmd-{name}": "slurmd" for name in self.names}, "munged": "munged"}
        for file, name in daemons.items():
            if pid := self._pid(name, file):
                os.kill(pid, signal.SIGTERM)
                self.wait(f"end of {file}", lambda name=name, file=file: self._pid(name, file) is None)
        if SYSTEM.is_symlink() and SYSTEM.readlink() == self.lab / "slurm.conf":
            SYSTEM.unlink()
        shutil.rmtree(self.lab, ignore_errors=True)

    def control(self, *words: str) -> None:
        """Start slurmctld; it takes up what one before it knew."""
        self.run("slurmctld", *words)
        self.wait("slurmctld", lambda: self.works("scontrol", "ping"))

    def kill(self, name: str, file: str = "") -> None:
        """Kill a daemon. file: of its process id, if its name is another."""
        pid = self._pid(name, file)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)

    def begin(self, name: str) -> None:
        """Start the slurmd of a node; nothing is left of what ran on it when it was lost."""
        for process in self.processes(name) if name in self.lost else ():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.lost.discard(name)
        self.run("slurmd", "-N", name)

    def lose(self, name: str) -> None:
        """Kill the slurmd of a node and freeze its jobs: a machine that stopped ends no step and closes no connection."""
        self.lost.add(name)
        self.kill("slurmd", f"slurmd-{name}")
        frozen: set[psutil.Process] = set()
        while found := self.processes(name) - frozen:  # also what they started meanwhile
            for process in found:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.suspend()
            frozen |= found

    def slow_down(self, name: str, seconds: float) -> None:
        """Let the jobs on a node run for a fifth of the time, during these seconds."""
        found, end = self.processes(name, watchers=False), time.monotonic() + seconds
        while time.monotonic() < end:
            for act, pause in ((psutil.Process.suspend, 0.008), (psutil.Process.resume, 0.002)):
                for process in found:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        act(process)
                time.sleep(pause)

    def processes(self, name: str, *, watchers: bool = True) -> set[psutil.Process]:
        """Return the processes of the jobs on a node. watchers: also SLURM's own that watch them."""
        found = {
            process
            for process in psutil.process_iter(["environ"])
            if (process.info["environ"] or {}).get("SLURMD_NODENAME") == name
        }
        for process in found.copy() if watchers else ():
            with contextlib.suppress(psutil.NoSuchProcess):
                parent = process.parent()
                if parent is not None and parent.name() == "slurmstepd":
                    found.add(parent)
        return found

    def run(self, *words: str) -> str:
        """Run one of SLURM's programs and return what it prints."""
        found = shutil.which(words[0], path=PATH) or words[0]
        done = subprocess.run(
            [found, *words[1:]], env=self.environment, capture_output=True, text=True, timeout=60, cwd=self.lab
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()}\n{self.logs()}")
        return done.stdout

    def works(self, *words: str) -> bool:
        try:
            return bool(self.run(*words))
        except RuntimeError:
            return False

    def wait(self, what: str, ready: Callable[[], bool], seconds: float = SLOWEST) -> None:
        """Wait until ready() holds."""
        end = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > end:
                raise TimeoutError(f"{what}: not ready after {seconds} s\n{self.logs()}")
            time.sleep(0.2)

    def jobs(self) -> list[dict[str, str]]:
        """Return all jobs since the start, also those that have ended, as `scontrol show job` prints them."""
        lines = self.run("scontrol", "show", "job", "--oneliner").splitlines()
        return [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in lines]

    def cancel(self) -> None:
        """Cancel all pending and running jobs, and wait for their end."""
        self.run("scancel", "--user=root")
        self.wait("end of jobs", lambda: not self.run("squeue", "-h"))

    def logs(self) -> str:
        """Return the ends of the logs."""
        paths = [*self.lab.glob("*.log"), *self.lab.glob("*.out")]
        return "\n".join(f"{path.name}:\n{path.read_text(errors='replace')[-2000:]}" for path in paths)

    def _configure(self) -> None:
        self.lab.chmod(0o755)
        (self.lab / "state").mkdir(mode=0o700)
        (self.lab / "munge").mkdir(mode=0o755)
        (self.lab / "munge/key").write_bytes(os.urandom(128))
        (self.lab / "munge/key").chmod(0o400)
        for i in range(self.gpus):  # SLURM only checks that the file of a GPU exists
            (self.lab / f"gpu{i}").touch()
        rows = [f"NodeName={name} Name=gpu File={self.lab}/gpu{i}\n" for name in self.names for i in range(self.gpus)]
        (self.lab / "gres.conf").write_text("".join(rows))
        own, *ports = _free(1 + len(self.names))
        claimed = {"host": self.host, "cpus": self.cpus, "memory": self.memory, "gpus": self.gpus}
        nodes = [NODE.format(name=name, port=port, **claimed) for name, port in zip(self.names, ports, strict=True)]
        text = CONF.format(
            host=self.host,
            port=own,
            lab=self.lab,
            patience=self.patience,
            grace=self.grace,
            nodes="".join(nodes),
            names=",".join(self.names),
        )
        (self.lab / "slurm.conf").write_text(text)
        # srun inside a job does not see SLURM_CONF, because Snakemake's plugin removes it.
        SYSTEM.parent.mkdir(exist_ok=True)
        SYSTEM.unlink(missing_ok=True)  # a link to a folder that no longer exists
        SYSTEM.symlink_to(self.lab / "slurm.conf")

    def _prove(self) -> None:
        """Run a job and check what it printed: an idle node alone proves nothing."""
        out = self.lab / "proof.out"
        self.run("sbatch", f"--output={out}", "--mem=50", "--wrap", "srun -n1 echo it ran")
        self.wait("a first job", lambda: out.exists() and "it ran" in out.read_text())
        self.wait("its end", lambda: not self.run("squeue", "-h"))

    def _pid(self, name: str, file: str = "") -> int | None:
        """Return the process id of a daemon, or None if it has ended. file: of its id, without the ending."""
        try:
            pid = int((self.lab / f"{file or name}.pid").read_text())
            state = Path(f"/proc/{pid}/status").read_text()
        except (OSError, ValueError):
            return None
        return pid if f"Name:\t{name}\n" in state and "State:\tZ" not in state else None


def _free(count: int) -> list[int]:
    """Return ports that nothing listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


if __name__ == "__main__":
    if why := missing():
        sys.exit(why)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    cpus, nodes = (*map(int, sys.argv[1:]), *(4, 1)[len(sys.argv) - 1 :])
    with Node(cpus=cpus, nodes=nodes) as node:
        print(node.run("sinfo"), f"state and logs: {node.lab}", sep="\n", flush=True)
        try:
            signal.pause()
        except KeyboardInterrupt:
            print("stopping")
