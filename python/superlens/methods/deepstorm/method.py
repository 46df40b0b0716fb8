"""Deep-STORM as the house sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from superlens.errors import SuperlensError
from superlens.method import Linking, MovieMethod, Role
from superlens.methods.deepstorm.settings import DeepStormConfig
from superlens.parameters import Parameter

if TYPE_CHECKING:
    from superlens.model import Model
    from superlens.progress import Progress
    from superlens.result import Result
    from superlens.smlm import Localizations
    from superlens.smlm.estimation import Known
    from superlens.streaming.movie import Recording

__all__ = ["METHOD", "DeepStorm"]

_SIGMA_OF_NA = 0.21
"""Standard deviation of the best Gaussian for a focused molecule, times NA over wavelength (Zhang et al., Appl. Opt. 46, 1819, 2007)."""

_OWN = ("deepstorm",)
_FACTS = (
    Parameter(
        "psf_sigma_nm", "float", "Standard deviation of a molecule's image, in nm; else estimated.", "Sigma of a molecule",
        unit="nm", methods=_OWN,
    ),
    Parameter(
        "offset", "float", "Camera counts without light; estimated when not given.", "Camera offset", unit="counts", advanced=True, methods=_OWN,
    ),
    Parameter(
        "gain", "float", "Camera counts per electron; estimated when not given.", "Camera gain", unit="counts per electron",
        above=True, least=0, advanced=True, methods=_OWN,
    ),
    Parameter(
        "read_noise_e", "float", "Camera read noise in electrons; estimated when not given.", "Camera read noise", unit="electrons",
        least=0, advanced=True, methods=_OWN,
    ),
    Parameter("em", "flag", "The camera multiplies electrons (EMCCD): photons count twice as many.", "EMCCD camera", advanced=True, methods=_OWN),
)  # fmt: skip
_TRUTH = Parameter(
    "truth",
    "file",
    "Table of the positions in the movie's own frames.",
    "Table of true positions",
    advanced=True,
    methods=_OWN,
)


class DeepStorm(MovieMethod):
    """See `superlens.methods.deepstorm`. Its heavy parts are loaded when they are first needed."""

    name: ClassVar[str] = "deepstorm"
    summary: ClassVar[str] = "Find single molecules in a blinking movie."
    settings: ClassVar[type[DeepStormConfig]] = DeepStormConfig
    gives: ClassVar[tuple[Role, ...]] = (
        Role("rendered", "localizations, drawn", "rendered", alone=True),
        Role("density", "sum of density maps, molecules a pixel", "density", "Show the sum of the density maps", alone=True),
        Role("localizations", "one row for each blink in each frame", "localizations", table=True, alone=True),
        Role("linked", "one row for each molecule that shone in consecutive frames", "localizations_linked", table=True, alone=True),
    )  # fmt: skip
    python: ClassVar[Mapping[str, str]] = {
        "DeepStormConfig": "superlens.methods.deepstorm.settings",
        "localize": "superlens.methods.deepstorm.calls",
        "train_deepstorm": "superlens.methods.deepstorm.calls",
    }

    def parameters(self, verb: str) -> tuple[Parameter, ...]:
        """Its settings where it trains, and what may be known of a movie."""
        facts = _FACTS if verb == "localize" else tuple(replace(fact, advanced=True) for fact in _FACTS)
        return (*super().parameters(verb), *facts, *((_TRUTH,) if verb == "train" else ()))

    def configured(self, preset: str | None, text: str | None, changes: Mapping[str, Any]) -> DeepStormConfig:
        """Settings; what is known of the movie is none of them."""
        facts = {parameter.name for parameter in (*_FACTS, _TRUTH)}
        made: DeepStormConfig = super().configured(
            preset, text, {name: value for name, value in changes.items() if name not in facts}
        )
        return made

    def known(self, given: Mapping[str, Any]) -> Known:
        """Width of a molecule and camera, as far as they were said."""
        from superlens.smlm.estimation import Known

        return Known(
            _sigma_nm(given), given.get("offset"), given.get("gain"), given.get("read_noise_e"), bool(given.get("em"))
        )

    def train(
        self,
        movie: Recording | None,
        truth: Localizations | None,
        known: Known | None,
        settings: DeepStormConfig,
        checkpoint: Path | None,
        progress: Progress,
    ) -> Model:
        """Train a model around what the movie says of itself."""
        from superlens.methods.deepstorm.calls import train_deepstorm

        return train_deepstorm(movie, truth, known=known, config=settings, checkpoint=checkpoint, progress=progress)

    def localize(
        self, movie: Recording, model: Model | None, known: Known | None, how: Linking, progress: Progress
    ) -> Result:
        """Find the molecules of a movie."""
        from superlens.methods.deepstorm.calls import localize

        return localize(
            movie,
            model,
            known=known,
            frames=how.frames,
            link_nm=how.link_nm,
            dark_frames=how.dark_frames,
            progress=progress,
        ).result()

    def upsampling(self, model: Model | None) -> int:
        """Of a model, or of those that are shipped or trained by default."""
        if model is None:
            return DeepStormConfig.of().upsampling
        from superlens.methods.deepstorm.state import DeepStormState

        return DeepStormState.of(model).settings.upsampling


def _sigma_nm(given: Mapping[str, Any]) -> float | None:
    said = given.get("psf_sigma_nm")
    if said is not None:
        if not 20 <= said <= 1000:
            raise SuperlensError(f"`psf_sigma_nm` is {said:g}; expected 20 to 1000 nm.")
        return float(said)
    na, waves = given.get("na"), given.get("wavelength_nm")
    several = waves if isinstance(waves, tuple) else () if waves is None else (waves,)
    if len(several) > 1:
        raise SuperlensError(f"`wavelength_nm` has {len(several)} numbers and a movie has one channel; give one.")
    if (na is None) != (not several):
        raise SuperlensError(
            "only one of `na` and `wavelength_nm` is given; the width of a molecule's image needs both."
        )
    if na is None:
        return None
    from superlens.optics import Objective

    optics = Objective(na=na, wavelength_nm=several[0])  # refuses what cannot be
    return _SIGMA_OF_NA * optics.wavelength_nm / optics.na


METHOD = DeepStorm()
