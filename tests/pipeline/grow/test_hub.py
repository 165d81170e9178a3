"""`growbench grow`: a model of the Hub in place of a directory, from a local cache and from a local stand-in of the Hub."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import huggingface_hub
import pytest
from support.checkpoints import FPI, grow, refusal

from growbench.pipeline.grow import files
from growbench.runtime import hub

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def cached(home: Path, source: Path, name: str) -> None:
    """Put a directory into a cache of the Hub's layout."""
    place = home / f"models--{name.replace('/', '--')}"
    (place / "refs").mkdir(parents=True)
    (place / "refs/main").write_text(COMMIT)
    (place / "blobs").mkdir()
    (snapshot := place / "snapshots" / COMMIT).mkdir(parents=True)
    for path in source.iterdir():
        (place / "blobs" / path.name).write_bytes(path.read_bytes())
        (snapshot / path.name).symlink_to(Path("../../blobs") / path.name)


def test_a_model_in_the_cache_is_grown(tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cached(tmp_path / "cache", source, "someone/bert")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    report = grow(Path("someone/bert"), tmp_path / "out", layers=4)
    assert report["source"]["directory"] == "someone/bert" and report["measured"]["relative_delta"] is not None
    assert "base_model: someone/bert" in (tmp_path / "out/README.md").read_text()


@pytest.mark.parametrize("name", ["meta-llama/Llama-3.2-1B", "bert-base-uncased", "a/b@v1.0"])
def test_without_the_hub_the_command_that_downloads_is_named(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    line = refusal(capsys, Path(name), tmp_path / "out", "--layers", "4")
    model, _, revision = name.partition("@")
    assert f"{name}: no such directory, and no model that the Hub gives here" in line
    assert f"run `hf download {model}{' --revision v1.0' if revision else ''} --exclude" in line


@pytest.mark.parametrize("name", ["/nowhere/at/all", "a/b/c", "../up", "~/x", "a b/c", "-x/y"])
def test_paths_are_no_names_of_models(name: str) -> None:
    assert hub.named(Path(name)) is None


@pytest.fixture
def stand_in(tmp_path: Path, source: Path) -> Iterator[tuple[str, list[str]]]:
    """A server with the part of the Hub's protocol that a download needs; its address, and the paths that were asked for."""
    (source / "pytorch_model.bin").write_bytes(b"a pickle")
    asked: list[str] = []

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            names = sorted(path.name for path in source.iterdir())
            path = self.path.partition("?")[0]
            if "/tree/" in path:
                rows = [
                    {"type": "file", "path": n, "size": (source / n).stat().st_size, "oid": _oid(source / n)}
                    for n in names
                ]
                self._send(json.dumps(rows).encode())
            elif path.startswith("/api/models/someone/bert"):
                siblings = [{"rfilename": name} for name in names]
                told = {"id": "someone/bert", "modelId": "someone/bert", "sha": COMMIT, "siblings": siblings}
                self._send(json.dumps(told).encode())
            elif (file := source / path.rpartition("/")[2]).is_file() and "/resolve/" in path:
                self._send(file.read_bytes(), {"ETag": f'"{_oid(file)}"', "X-Repo-Commit": COMMIT})
            else:
                self.send_error(404)

        do_HEAD = do_GET

        def _send(self, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(200)
            for key, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


def _oid(path: Path) -> str:
    return hashlib.sha1(path.read_bytes()).hexdigest()


@pytest.mark.slow
def test_a_model_is_downloaded_without_its_pickles(tmp_path: Path, stand_in: tuple[str, list[str]]) -> None:
    address, asked = stand_in
    words = ["grow", "someone/bert", str(tmp_path / "out"), "--method", FPI, "--layers", "4", "--no-measure"]
    env = os.environ | {
        "HF_ENDPOINT": address,
        "HF_HUB_OFFLINE": "0",
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_DISABLE_XET": "1",
        "NO_PROXY": "127.0.0.1",
    }
    done = subprocess.run(
        [sys.executable, "-m", "growbench", *words], env=env, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / files.WEIGHTS).is_file()
    assert any("model.safetensors" in path for path in asked) and not any("resolve" in p and ".bin" in p for p in asked)
