"""superlens: super-resolution for fluorescence microscopy, learned from your own image.

The names below are what a user needs; each is loaded when it is first used, so that ``import superlens`` costs next to nothing
and loads neither TensorFlow nor SciPy. The modules of the package (`superlens.metrics`, `superlens.simulate`,
`superlens.reconstruct`, ...) are reached in the same way.

Examples
--------
>>> import superlens as sl
>>> sl.Objective(na=1.3, wavelength_nm=525).psf(pixel_nm=62.6).source
'vectorial, NA 1.3, 525 nm, n 1.33, widefield'
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from superlens.backend import take_environment
from superlens.quiet import quiet_tensorflow

if TYPE_CHECKING:
    from superlens import (
        camera,
        doctor,
        fiji,
        methods,
        metrics,
        optics,
        reconstruct,
        report,
        simulate,
        smlm,
        tiling,
        training,
    )
    from superlens.camera import Camera, check_noise, estimate_camera
    from superlens.enhancing import adapt, enhance, predict, predict_file, train
    from superlens.errors import SuperlensError, SuperlensWarning
    from superlens.image import Image
    from superlens.io import (
        LazyImage,
        open_image,
        open_sequence,
        read,
        read_localizations,
        read_psf,
        read_sequence,
        write,
        write_localizations,
    )
    from superlens.methods.deepstorm.calls import localize, train_deepstorm
    from superlens.methods.deepstorm.settings import DeepStormConfig
    from superlens.methods.zsdeconv.settings import ZSDeconvConfig
    from superlens.methods.zsdeconv_sim.settings import ZSDeconvSimConfig
    from superlens.metrics import find_psf
    from superlens.model import ChannelModels, Model, load_model
    from superlens.optics import PSF, Objective
    from superlens.predicting import BlockOptions
    from superlens.progress import Cancelled, Progress, console, silent
    from superlens.reconstruct import richardson_lucy, sparse_deconvolution, wiener
    from superlens.reconstruct.sim import reconstruct_sim
    from superlens.result import Channel, Result
    from superlens.samples import sample
    from superlens.simulate import simulate_smlm
    from superlens.smlm import Localizations

__version__ = "0.1.0"

take_environment()
quiet_tensorflow()

_HOME = {
    "Camera": "camera",
    "check_noise": "camera",
    "estimate_camera": "camera",
    "adapt": "enhancing",
    "enhance": "enhancing",
    "predict": "enhancing",
    "train": "enhancing",
    "SuperlensError": "errors",
    "SuperlensWarning": "errors",
    "Image": "image",
    "LazyImage": "io",
    "open_image": "io",
    "open_sequence": "io",
    "read": "io",
    "read_localizations": "io",
    "read_psf": "io",
    "read_sequence": "io",
    "write": "io",
    "write_localizations": "io",
    "BlockOptions": "predicting",
    "predict_file": "enhancing",
    "find_psf": "metrics",
    "ChannelModels": "model",
    "Model": "model",
    "load_model": "model",
    "Objective": "optics",
    "PSF": "optics",
    "Cancelled": "progress",
    "Progress": "progress",
    "console": "progress",
    "silent": "progress",
    "reconstruct_sim": "reconstruct.sim",
    "richardson_lucy": "reconstruct",
    "sparse_deconvolution": "reconstruct",
    "wiener": "reconstruct",
    "Channel": "result",
    "Result": "result",
    "sample": "samples",
    "simulate_smlm": "simulate",
    "Localizations": "smlm",
}
"""Public name to the module that defines it; those of methods are declared by the methods."""

_MODULES = frozenset(
    (
        "camera",
        "doctor",
        "fiji",
        "methods",
        "metrics",
        "optics",
        "reconstruct",
        "report",
        "simulate",
        "smlm",
        "tiling",
        "training",
    )
)


__all__ = [
    "BlockOptions",
    "Camera",
    "Cancelled",
    "Channel",
    "ChannelModels",
    "DeepStormConfig",
    "Image",
    "LazyImage",
    "Localizations",
    "Model",
    "Objective",
    "PSF",
    "Progress",
    "Result",
    "SuperlensError",
    "SuperlensWarning",
    "ZSDeconvConfig",
    "ZSDeconvSimConfig",
    "__version__",
    "adapt",
    "camera",
    "check_noise",
    "console",
    "doctor",
    "enhance",
    "estimate_camera",
    "find_psf",
    "fiji",
    "load_model",
    "localize",
    "methods",
    "metrics",
    "open_image",
    "open_sequence",
    "optics",
    "predict",
    "predict_file",
    "read",
    "read_localizations",
    "read_psf",
    "read_sequence",
    "reconstruct",
    "reconstruct_sim",
    "report",
    "richardson_lucy",
    "sample",
    "silent",
    "simulate",
    "simulate_smlm",
    "smlm",
    "sparse_deconvolution",
    "tiling",
    "train",
    "train_deepstorm",
    "training",
    "wiener",
    "write",
    "write_localizations",
]


def _names_of_methods() -> dict[str, str]:
    listed = importlib.import_module(f"{__name__}.methods").methods()
    return {name: module for method in listed for name, module in method.python.items()}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used (PEP 562)."""
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    home = f"{__name__}.{_HOME[name]}" if name in _HOME else None
    if home is None and not name.startswith("_"):
        home = _names_of_methods().get(name)
    if home is None:
        raise AttributeError(
            f"module {__name__!r} has no attribute {name!r}; the public names are in superlens.__all__"
        )
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
