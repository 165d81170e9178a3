"""When a model has learnt what its size can: the slope of its loss (Staged Training, section 3.3; the authors' notebook).

    slope(F) = d log L / d log F,   L smoothed over WINDOW evaluations

A model's slope falls to a steepest value and rises from there on as it saturates; the rule fires at the first evaluation
after the steepest one whose slope is above the threshold. A curve that has never been steeper than the threshold (a
plateau at the start, say) does not fire.
"""

from collections.abc import Sequence

import numpy as np

WINDOW = 5


def flattened(flops: Sequence[float], losses: Sequence[float], threshold: float) -> bool:
    """Whether the rule has fired on a curve. flops: rising. losses: validation losses in nats. threshold: below 0."""
    if len(flops) <= WINDOW:
        return False
    kernel = np.full(WINDOW, 1 / WINDOW)
    x, y = (np.convolve(np.log(np.asarray(values, float)), kernel, "valid") for values in (flops, losses))
    slopes = np.diff(y) / np.diff(x)
    steepest = int(slopes.argmin())
    return bool(slopes[steepest] <= threshold and (slopes[steepest:] > threshold).any())
