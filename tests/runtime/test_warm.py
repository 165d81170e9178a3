"""Jobs in a warm process: each is what it would be in a process of its own, and nothing outlives the workflow."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.workflow import ROOT

from growbench.runtime import warm

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="warm processes are for Linux")
SIGNALLED = 128
MAIN = '''
"""Verbs that do what their arguments say, in the place of growbench's."""
import json, os, resource, signal, sys, time
from pathlib import Path

VERSION = 1


def state():
    own = Path("/proc/self")
    status = [line for line in (own / "status").read_text().splitlines() if line.startswith(("Umask", "SigB", "SigI", "SigC", "Cpus_a"))]
    print("to stderr", file=sys.stderr)
    return {
        "argv": sys.argv, "environ": dict(os.environ), "cwd": os.getcwd(), "stdin": sys.stdin.read(), "path": sys.path,
        "status": status, "nice": os.nice(0), "limits": (own / "limits").read_text(), "files": os.listdir("/proc/self/fd"),
        "buffered": sys.stdout.line_buffering, "handler": str(signal.getsignal(signal.SIGINT)),
    }


def wait(note):
    def stop(number, frame):
        print("stopped", number, flush=True)
        sys.exit(128 + number)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    Path(note).with_suffix(".new").write_text(f"{os.getpid()} {os.getppid()}")
    os.rename(Path(note).with_suffix(".new"), note)
    while not Path(f"{note}.end").exists():
        time.sleep(0.01)
    return 5


def main():
    what, *words = sys.argv[2:]
    if what == "state":
        print(json.dumps(state()))
    if what == "who":
        print(Path(f"/proc/{os.getppid()}/cmdline").read_text().replace("\\0", " "), VERSION, *words)
    if what == "kill":
        os.kill(os.getpid(), int(words[0]))
    if what == "raise":
        raise ValueError("an error")
    return wait(words[0]) if what == "wait" else int(words[0]) if what == "exit" else 0
'''


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package of the name growbench with its warm process, libraries of the same names that are empty, and other verbs."""
    top = tmp_path / "src/growbench"
    for name in ("__init__.py", "__main__.py", "runtime/__init__.py", "runtime/warm.py"):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "src/growbench" / name, top / name)
    (top / "cli").mkdir()
    (top / "cli/main.py").write_text(MAIN, encoding="utf-8")
    for name in warm.LIBRARIES:
        folder = tmp_path / "src"
        for part in name.split("."):
            folder /= part
            folder.mkdir(exist_ok=True)
            (folder / "__init__.py").touch()
    return tmp_path / "src"


class Workflow:
    """A process that lives while jobs run and offers them a warm process, as Snakemake does."""

    def __init__(self, package: Path) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
        cleaned = {key: value for key, value in os.environ.items() if key != warm.OFFER}
        self.cold = cleaned | {"PYTHONPATH": str(package)}
        self.offered = self.cold | {warm.OFFER: f"{self.process.pid}-{os.urandom(8).hex()}"}

    def start(self, *words: str, offered: bool = True, **options: object) -> subprocess.Popen[str]:
        """Start one job."""
        command = [sys.executable, "-m", "growbench", *words]
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        environment = self.offered if offered else self.cold
        return subprocess.Popen(command, **({"env": environment, "text": True} | pipes | options))  # type: ignore[call-overload, no-any-return]

    def run(self, *words: str, **options: object) -> tuple[int, str, str]:
        """Run one job; return its status and what it wrote to stdout and stderr."""
        job = self.start(*words, **options)
        out, err = job.communicate("a line\n", timeout=60)
        return job.returncode, out, err

    def end(self, number: int = signal.SIGKILL) -> None:
        self.process.send_signal(number)
        self.process.wait()


@pytest.fixture
def workflow(package: Path) -> Iterator[Workflow]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    found = Workflow(package)
    yield found
    found.end()
    signal.signal(signal.SIGINT, before)


def until(holds: Callable[[], object]) -> None:
    """Wait until something holds."""
    ends = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def waiting(workflow: Workflow, note: Path) -> tuple[subprocess.Popen[str], int, int]:
    """Start a job that waits for signals; return its client, its process and its parent."""
    client = workflow.start("pretrain", "wait", str(note))
    until(note.exists)
    pid, watcher = map(int, note.read_text().split())
    assert watcher != client.pid != pid
    return client, pid, watcher


def was_warm(out: str) -> bool:
    return "growbench.runtime.warm" in out


def test_a_job_is_what_a_process_of_its_own_would_be(workflow: Workflow, tmp_path: Path) -> None:
    """Limits, umask, niceness, ignored signals, folder and environment too; for the first job and the next."""
    ((tmp_path / "a b").mkdir())

    def changed() -> None:
        os.umask(0o027)
        os.nice(3)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    words = ("finetune", "state", "--set", 'a="<ü\udcff"')
    for options in ({}, {"cwd": tmp_path / "a b", "preexec_fn": changed}):
        code, out, err = workflow.run(*words, offered=False, **options)
        own = json.loads(out)
        for _ in range(2):
            warmed = workflow.run(*words, **options)
            assert was_warm(workflow.run("finetune", "who", **options)[1])
            assert (warmed[0], warmed[2]) == (code, err) == (0, "to stderr\n")
            found = json.loads(warmed[1])
            assert {key: (own[key], found[key]) for key in own if own[key] != found[key]} == {}


def test_jobs_that_inherit_something_else_have_another_warm_process(workflow: Workflow, tmp_path: Path) -> None:
    grandparents = []
    threads = workflow.offered | {"OMP_NUM_THREADS": "7"}
    for number, options in enumerate(({}, {"env": threads}, {"preexec_fn": lambda: os.umask(0o077)}, {})):
        note = tmp_path / f"note{number}"
        client = workflow.start("search", "wait", str(note), **options)
        until(note.exists)
        grandparents.append(parent(int(note.read_text().split()[1])))
        (tmp_path / f"note{number}.end").touch()
        assert client.wait() == 5
    assert len({*grandparents}) == 3
    assert grandparents[0] == grandparents[3]


@pytest.mark.parametrize(
    "words",
    [("exit", "0"), ("exit", "3"), ("raise",), *(("kill", str(int(n))) for n in (signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV))],
)  # fmt: skip
def test_a_job_ends_as_in_a_process_of_its_own(words: tuple[str, ...], workflow: Workflow) -> None:
    own, warmed = workflow.run("pretrain", *words, offered=False), workflow.run("pretrain", *words)
    assert (warmed[0], warmed[1]) == (own[0], own[1])
    assert warmed[2].splitlines()[-1:] == own[2].splitlines()[-1:]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_reaches_the_job(number: signal.Signals, workflow: Workflow, tmp_path: Path) -> None:
    client, pid, _ = waiting(workflow, tmp_path / "note")
    client.send_signal(number)
    out, _ = client.communicate(timeout=60)
    assert (client.returncode, out) == (SIGNALLED + number, f"stopped {int(number)}\n")
    assert not alive(pid)


def test_a_job_ends_with_its_client(workflow: Workflow, tmp_path: Path) -> None:
    client, pid, watcher = waiting(workflow, tmp_path / "note")
    client.kill()
    until(lambda: not alive(pid) and not alive(watcher))


def test_a_job_whose_watcher_is_killed_ends_and_its_client_too(workflow: Workflow, tmp_path: Path) -> None:
    client, pid, watcher = waiting(workflow, tmp_path / "note")
    os.kill(watcher, signal.SIGKILL)
    assert client.wait(60) == -signal.SIGKILL
    until(lambda: not alive(pid))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_warm_process_ends_with_the_workflow_and_a_job_goes_on(
    number: int, workflow: Workflow, tmp_path: Path
) -> None:
    """As a job of a killed Snakemake does, until workflow/resume.py stops it."""
    client, pid, watcher = waiting(workflow, tmp_path / "note")
    server = parent(watcher)
    assert server not in (client.pid, os.getpid())
    workflow.end(number)
    until(lambda: not alive(server))
    assert alive(pid)
    (tmp_path / "note.end").touch()
    assert client.wait(60) == 5
    until(lambda: not alive(watcher))


def test_a_job_runs_itself_if_there_is_no_warm_process(workflow: Workflow, package: Path) -> None:
    words = ("pretrain", "who", "itself")
    for offered in ("no", "", f"{2**22 + 1}-ended"):
        code, out, err = workflow.run(*words, env=workflow.cold | {warm.OFFER: offered})
        assert code == 0 and not err and out.endswith("itself\n") and not was_warm(out)
    code, out, _ = workflow.run("aggregate", "who")  # imports no torch
    assert code == 0 and not was_warm(out)
    assert was_warm(workflow.run(*words)[1])
    (package / "torch/__init__.py").write_text("raise SystemExit(1)", encoding="utf-8")
    workflow.offered["OTHER"] = "one"  # inherits something else: another process, which ends before it takes a job
    code, out, err = workflow.run(*words)
    assert code == 0 and not err and not was_warm(out)


def test_a_signal_counts_if_the_warm_process_ends_before_it_takes_the_job(workflow: Workflow, package: Path) -> None:
    note = package / "imports"
    code = f"import pathlib, time; pathlib.Path({str(note)!r}).touch(); time.sleep(1); raise SystemExit"
    (package / "torch/__init__.py").write_text(code, encoding="utf-8")
    client = workflow.start("pretrain", "wait", str(package / "never"))
    until(note.exists)
    client.terminate()
    assert client.wait(60) == -signal.SIGTERM


def test_an_edited_file_counts_from_the_next_job_on(workflow: Workflow, package: Path) -> None:
    assert workflow.run("pretrain", "who")[1].split()[-1] == "1"
    (package / "growbench/cli/main.py").write_text(MAIN.replace("VERSION = 1", "VERSION = 22"), encoding="utf-8")
    _, out, _ = workflow.run("pretrain", "who")
    assert was_warm(out) and out.split()[-1] == "22"


def test_another_user_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address of a socket can be seen by everyone."""
    monkeypatch.setattr(warm, "_owner", lambda link: os.getuid() + 1)
    monkeypatch.setattr(sys, "orig_argv", [sys.executable, "-m", "growbench", "pretrain"])
    monkeypatch.setattr(sys, "argv", ["growbench", "pretrain"])
    monkeypatch.setenv(warm.OFFER, f"{os.getpid()}-{os.urandom(8).hex()}")
    before = signal.getsignal(signal.SIGTERM)
    warm.run()  # returns: this process would have to run the job itself
    assert signal.getsignal(signal.SIGTERM) is before


def test_nothing_is_offered_beside_a_gpu_or_against_the_users_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(warm.OFFER, warm.NO)
    warm.offer()
    assert os.environ[warm.OFFER] == warm.NO
    monkeypatch.delenv(warm.OFFER)
    monkeypatch.setattr(warm, "GPUS", (os.devnull,))
    warm.offer()
    assert warm.OFFER not in os.environ
    monkeypatch.setattr(warm, "GPUS", ())
    warm.offer()
    assert os.environ[warm.OFFER].startswith(f"{os.getpid()}-")
