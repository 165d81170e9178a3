"""When a model has learned what its size allows: the slope of its loss (Staged Training, section 3.3; the authors' notebook).

    slope(F) = d log L / d log F,   L smoothed over WINDOW evaluations

A model's slope falls to its steepest value and rises again as the model saturates. The rule fires at the first evaluation
after the steepest one whose slope is above the threshold. A curve that has never been steeper than the threshold, such as a
plateau at the start, does not fire.
"""

from collections.abc import Sequence

import numpy as np

WINDOW = 5


def flattened(flops: Sequence[float], losses: Sequence[float], threshold: float) -> bool:
    """Return whether the rule has fired on a curve.

    flops: FLOPs spent at each evaluation, increasing.
    losses: validation losses in nats.
    threshold: a slope below 0.
    """
    if len(flops) <= WINDOW:
        return False
    kernel = np.full(WINDOW, 1 / WINDOW)
    x, y = (np.convolve(np.log(np.asarray(values, float)), kernel, "valid") for values in (flops, losses))
    slopes = np.diff(y) / np.diff(x)
    steepest = int(slopes.argmin())
    return bool(slopes[steepest] <= threshold and (slopes[steepest:] > threshold).any())
