"""Freed memory is reused while a block lasts."""

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
