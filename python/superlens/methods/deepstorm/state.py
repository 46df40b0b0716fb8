"""What must be known of a Deep-STORM network to read it rightly: what it was trained for, its units, and how its maps are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from superlens.config import Config
from superlens.methods.deepstorm.settings import DeepStormConfig
from superlens.methods.deepstorm.stating import ErrorLaw
from superlens.model import Model, read_header, shipped

if TYPE_CHECKING:
    from superlens.model import ModelConfig

__all__ = ["DeepStormState", "shipped_states"]


class DeepStormState(Config):
    """What a model file keeps beside the weights.

    Attributes
    ----------
    settings : DeepStormConfig
        Of the training.
    threshold : float
        Least density of a peak, as a share of that of a sure molecule.
    found_within : float
        How far the light may move a lone molecule from its peak, camera pixels.
    errors : dict
        The law of stated errors, as numbers; see `law`.
    frame_mean, frame_deviation : float
        Of training frames between 0 and 1, for settings that normalise by "range".
    """

    settings: DeepStormConfig
    threshold: float = Field(gt=0)
    found_within: float = Field(ge=0)
    errors: dict[str, tuple[float, ...]]
    frame_mean: float = 0.0
    frame_deviation: float = Field(default=1.0, gt=0)

    @classmethod
    def of(cls, model: Model | ModelConfig) -> DeepStormState:
        """Of a model, or of what its file says of it.

        Raises
        ------
        SuperlensError
            If it keeps something else.
        """
        return cls(**(model.config if isinstance(model, Model) else model).state)

    def stored(self) -> dict[str, Any]:
        """As plain values for a model file."""
        return self.model_dump(mode="json")

    @property
    def law(self) -> ErrorLaw:
        """What error is stated for a molecule."""
        return ErrorLaw.of(self.errors)


def shipped_states(*, pupils: bool = False) -> dict[str, DeepStormState]:
    """What the shipped models of this method keep, by name; with ``pupils`` those too that were taught by another one, to be faster."""
    headers = {name: read_header(path) for name, path in shipped().items()}
    ours = {name: header for name, header in headers.items() if header.method == "deepstorm"}
    return {
        name: DeepStormState.of(header)
        for name, header in ours.items()
        if pupils or not header.provenance.get("teacher")
    }
