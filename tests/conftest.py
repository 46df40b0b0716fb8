"""What all tests share: quiet libraries, the command line in this process, sample data where there are any, skips that say why."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["SUPERLENS_CACHE"] = ""  # no test depends on what an earlier one compiled, nor writes beyond its folder
if (
    "PYTEST_XDIST_WORKER" in os.environ
):  # workers share the processors, and networks of a few pixels gain nothing from threads
    for _threads in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(_threads, "1")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def superlens() -> Callable[..., Result]:
    """Run the command line in this process: ``superlens("psf", "--na", 1.3)``."""
    from superlens.cli import main

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    return run


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file for pixels of 65 nm: a tiny light network with random weights, so that nothing is smooth and every path counts."""
    from superlens.observing.conditioning import CHANNELS

    arguments = {"channels": CHANNELS, "scale": 2, "widths": (4, 4, 4)}
    return _random_model("light", arguments, tmp_path_factory.mktemp("model") / "small.zip")


@pytest.fixture(scope="session")
def small_unet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a tiny two-stage U-Net."""
    return _random_model("unet", {"scale": 2, "base_channels": 2}, tmp_path_factory.mktemp("model") / "unet.zip")


@pytest.fixture(scope="module")
def added() -> Iterator[object]:
    """The toy method, known to every door as a new one would be."""
    import toy
    from superlens import methods, networks

    one = toy.Toy()
    networks.register(toy.NETWORK)
    methods.register(one)
    yield one
    methods.unregister(one.name)
    networks.unregister(toy.NETWORK.name)


@pytest.fixture(scope="module")
def flat() -> Iterator[object]:
    """The toy method without a network, known to every door."""
    import toy_flat
    from superlens import methods

    methods.register(toy_flat.Flat())
    yield methods.method("flat")
    methods.unregister("flat")


@pytest.fixture
def untraced() -> Iterator[None]:
    """Networks run operation by operation, for tests of few steps, in which tracing a graph takes most of the time.

    What a module's fixtures learn is still traced, and that a training is the same either way is a law of tests/test_training.py.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        yield
        return
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="module")
def slim() -> Iterator[None]:
    """Random weights of an eighth of the width in place of the shipped ones, for a module, through every door."""
    import tiny
    from superlens.predicting import start

    begun: dict[str, start.Start] = {}

    def tiny_start(network: str, kind: str = start.PRETRAINING) -> start.Start:
        name = str(start.shipped_name(network, kind))
        if name not in begun:
            begun[name] = start.Start(name, tiny.start(network))
        return begun[name]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(start, "shipped_start", tiny_start)
        yield


def _random_model(name: str, arguments: dict[str, object], path: Path) -> Path:
    import keras

    from superlens.camera import Camera
    from superlens.methods.zsdeconv.settings import ZSDeconvConfig
    from superlens.model import Model, ModelConfig
    from superlens.networks import build
    from superlens.observing.conditioning import Normaliser
    from superlens.optics import PSF, RESPONSES
    from superlens.training.two_stage.state import TwoStageState

    keras.utils.set_random_seed(0)
    network = build(name, arguments)
    for layer in network.layers:
        if layer.name.endswith("_head"):  # so that the second stage is not the interpolated first
            layer.set_weights([10 * weights for weights in layer.get_weights()])
    state = TwoStageState(
        axes="YX",
        pixel_nm=65.0,
        response=RESPONSES["YX"],
        normaliser=Normaliser(0.0, 100.0),
        camera=Camera(2.0, 100.0, 1.0),
        psf=PSF.gaussian(240.0, 32.5),
        spread=1.0,
        settings=ZSDeconvConfig.of(network=name, flips=1).model_dump(mode="json"),
    )
    config = ModelConfig(version="0", method="zsdeconv", network=name, network_config=arguments, state=state.stored())
    Model(config, network, state.arrays()).save(path)
    return path


@pytest.fixture(scope="session")
def sample_data() -> Path:
    """The folder of recorded images that is not part of the repository."""
    folder = Path(os.environ.get("SUPERLENS_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no recorded images at {folder}; set SUPERLENS_DATA to their folder")
    return folder


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what this machine cannot run, and say what is missing."""
    if item.get_closest_marker("fiji") and shutil.which("java") is None:
        pytest.skip("no Java: install a JDK to run the Fiji tests")
    if item.get_closest_marker("gpu") and not _graphics_cards():
        pytest.skip("no graphics card that the networks' library can use")


def _graphics_cards() -> list[object]:
    from superlens.training import running_engine

    return list(running_engine().cards())
