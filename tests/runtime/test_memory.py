"""Memory that is free within a job's limits; freed memory is reused while a block lasts."""

from pathlib import Path

import psutil
import pytest

from growbench.runtime import memory


def test_freed_memory_is_reused_and_given_back_even_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[int, ...]] = []

    class Libc:
        def mallopt(self, key: int, value: int) -> int:
            calls.append((key, value))
            return 1

        def malloc_trim(self, pad: int) -> int:
            calls.append((pad,))
            return 1

    monkeypatch.setattr(memory, "_glibc", Libc)
    with pytest.raises(ValueError), memory.reuse_freed_memory():
        assert dict(calls) == memory.REUSE  # type: ignore[arg-type]
        raise ValueError
    assert calls[len(memory.REUSE) :] == [*memory.DEFAULTS.items(), (0,)]
    monkeypatch.setattr(memory, "_glibc", lambda: None)
    with memory.reuse_freed_memory():
        pass


def test_what_is_free_is_the_least_that_the_machine_and_the_job_s_groups_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = psutil.virtual_memory().total
    (tmp_path / "own").write_text("12:cpu:/x\n0::/job/step\n")
    monkeypatch.setattr(memory, "OWN_GROUP", tmp_path / "own")
    monkeypatch.setattr(memory, "GROUPS", tmp_path / "groups")
    assert 0 < memory.available() <= machine  # there are no groups
    (step := tmp_path / "groups/job/step").mkdir(parents=True)
    for folder, limit, used, cached in ((step, "max", 0, 0), (step.parent, "900000", 700000, 50000)):
        (folder / "memory.max").write_text(f"{limit}\n")
        (folder / "memory.current").write_text(f"{used}\n")
        (folder / "memory.stat").write_text(f"anon 1\ninactive_file {cached}\n")
    assert memory.available() == 250000
    (step.parent / "memory.current").write_text("1000000")
    assert memory.available() == 0


def test_the_peak_is_at_least_what_is_held() -> None:
    held = bytearray(50_000_000)
    assert memory.peak() > len(held)
