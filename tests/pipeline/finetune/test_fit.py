"""The learning rate of a fine-tuning run."""

import pytest

from growbench.pipeline.finetune.fit import share


@pytest.mark.parametrize(("decay", "quarter"), [("linear", 0.75), ("cosine", (2 + 2**0.5) / 4)])
def test_the_lr_rises_then_falls_to_zero(decay: str, quarter: float) -> None:
    shares = [share(step, 110, 10 / 110, decay) for step in range(111)]
    assert shares[:11] == pytest.approx([0.1 * (i + 1) for i in range(10)] + [1.0])
    assert shares[60] == pytest.approx(0.5) and shares[110] == pytest.approx(0)
    assert shares[10:] == sorted(shares[10:], reverse=True)
    assert shares[35] == pytest.approx(quarter)
