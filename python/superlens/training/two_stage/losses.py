"""What two-stage training makes small: the distance of both stages to the noisy copy, and how rough the sharp image is.

The denoised image is held against the copy as it is, the sharp one through the optics. With interleaved slices half of each distance is to
the copy with the gap taken off.

References
----------
Qiao et al., Nat. Commun. 15, 4180 (2024), equations 4 to 7.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from keras import ops

from superlens.networks import losses
from superlens.networks.forward import KerasForward
from superlens.training.two_stage.framing import Framing, cropped

__all__ = ["TwoStageLoss"]


@dataclass(frozen=True, slots=True, eq=False)
class TwoStageLoss:
    """A loss of goals and outputs; see `superlens.training.two_stage.framing`.

    Attributes
    ----------
    framing : Framing
    forward : KerasForward or None
        From the sharp image to the camera's; None for denoising only.
    scale : int
        Fine pixels along a camera pixel.
    distance : {"squared", "absolute"}
        Each pixel by its weight.
    hessian, tv : float
        Weights of the Hessian and of the total variation of the sharp image.
    frame : bool
        Whether what the distances leave out of the sharp image counts in these two.
    factor : float
        Of everything.
    """

    framing: Framing
    forward: KerasForward | None
    scale: int
    distance: Literal["squared", "absolute"] = "squared"
    hessian: float = 0.0
    tv: float = 0.0
    frame: bool = False
    factor: float = 1.0

    def __call__(self, targets: Sequence[Any], outputs: Any) -> Any:
        """The loss of a batch."""
        goal: Any = targets[0] if isinstance(targets, (list, tuple)) else targets
        outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]  # of one stage, it comes alone
        goal = cropped(goal, self.framing.goal_margins)
        margins = self.framing.margins
        total = self._amended(cropped(outputs[0], margins), goal)
        if self.forward is None:
            return self.factor * total
        sharp, already = outputs[1], self.forward.margins
        seen = cropped(self.forward(sharp), [m - n for m, n in zip(margins, already, strict=True)])
        fine = [m * (self.scale if axis >= len(margins) - 2 else 1) for axis, m in enumerate(margins)]
        shown = sharp if self.frame else cropped(sharp, fine)
        total = total + self._amended(seen, goal)
        if self.hessian:
            total = total + 0.5 * self.hessian * losses.hessian(shown)
        if self.tv:
            total = total + 0.5 * self.tv * losses.total_variation(shown)
        return self.factor * total

    def _amended(self, made: Any, goal: Any) -> Any:
        target, weight = goal[..., :1], goal[..., 1:2]
        if goal.shape[-1] == 2:
            return self._far(made - target, weight)
        gap = goal[..., 2:]
        return 0.5 * (self._far(made - target, weight) + self._far(made - gap - target, weight))

    def _far(self, residual: Any, weight: Any) -> Any:
        return ops.mean(weight * (ops.square(residual) if self.distance == "squared" else ops.abs(residual)))
