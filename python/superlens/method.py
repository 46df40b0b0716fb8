"""What a person chooses: a method, as one value that says what it takes, its settings, how it learns and what it gives back.

`Method` is what a folder in ``methods/`` fills in; `superlens.methods` keeps the list that every door walks over. Nothing here or above
knows a method's name. A method of images learns from images and gives images; one of movies learns from a movie, or without one, and
gives a table of molecules with images. What the house does by itself for either: channels, files, blocks, dialogs, records, reports.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from superlens.config import Config, parameters_of
from superlens.errors import SuperlensError
from superlens.parameters import Parameter

if TYPE_CHECKING:
    from superlens.image import Image
    from superlens.model import Model
    from superlens.observing import Observation
    from superlens.optics import PSF, Objective
    from superlens.predicting import Predictor
    from superlens.progress import Progress
    from superlens.result import Channel, Result
    from superlens.training import History

__all__ = ["Forecast", "ImageMethod", "Learned", "Linking", "Method", "MovieMethod", "Prepared", "Role", "Settings"]


class Settings(Config):
    """Settings of a method, with presets that say what is left out.

    Attributes
    ----------
    preset : str
        The recipe that the other fields started from.
    steps : int
        Most training steps.
    minutes : float or None
        Budget of wall-clock time for the training.
    seed : int
    """

    preset: str = "fast"
    steps: int = 100
    minutes: float | None = None
    seed: int = 0

    @classmethod
    def presets(cls) -> tuple[str, ...]:
        """Names that `of` knows, the usual one first."""
        return ("fast",)

    @classmethod
    def of(cls, preset: str = "fast", **changes: Any) -> Self:
        """Settings of a preset, with some of them changed.

        Raises
        ------
        SuperlensError
            If there is no such preset or field, or a value is out of its range.
        """
        if preset not in cls.presets():
            raise SuperlensError(f"preset is {preset!r}; expected one of {', '.join(cls.presets())}")
        return cls(**{**changes, "preset": preset})

    @classmethod
    def _of_values(cls, values: dict[str, Any]) -> Self:
        return cls.of(str(values.pop("preset", cls.presets()[0])), **values)


@dataclass(frozen=True, slots=True)
class Role:
    """What an image or a table is.

    Attributes
    ----------
    name : str
        By which it is asked for, like "sharp".
    words : str
        What it is, for its history.
    ending : str
        How its file is called, after the name of the input.
    label : str
        Words for "open this too" in a dialog.
    table : bool
        Whether it is a table of single molecules.
    alone : bool
        Whether its file is called by `ending` alone, since a run makes only one.
    scale : int
        Fine pixels along a camera pixel, where that is always the same.
    """

    name: str
    words: str
    ending: str
    label: str = ""
    table: bool = False
    alone: bool = False
    scale: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """A model and how it came about.

    Attributes
    ----------
    model : Model
    history : History or None
        Of the training; None for a model from a file, and for a method that trains no network.
    start : Model or None
        Weights that it began from, where they were given in the place of the shipped ones.
    """

    model: Model
    history: History | None = None
    start: Model | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """Images that were checked and understood, to learn from.

    Attributes
    ----------
    observations : list of Observation
        One for each image.
    optics : Objective, PSF or None
    settings : Settings
    """

    observations: list[Observation]
    optics: Objective | PSF | None
    settings: Any


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a piece of work will take and give, said before it begins.

    Attributes
    ----------
    scales : mapping
        Role to fine pixels along a camera pixel, the most important first.
    key : str
        What a training step is like, so that its time can be foretold from one before.
    patch_pixels : int
        Pixels of a training batch.
    steps : int
    room_bytes : int
        On the disk, of the model and its checkpoint.
    notes : tuple of str
        What is decided where nothing was said.
    """

    scales: Mapping[str, int]
    key: str
    patch_pixels: int
    steps: int
    room_bytes: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Linking:
    """Which frames of a movie are worked on, and how the blinks of one molecule are put together.

    Attributes
    ----------
    frames : tuple of int, optional
        First and last frame, from 1; all by default.
    link_nm : float, optional
        Farthest that blinks of one molecule in consecutive frames lie apart; three stated errors by default.
    dark_frames : int
        Frames that a molecule may miss between two of its blinks.
    """

    frames: tuple[int, int] | None = None
    link_nm: float | None = None
    dark_frames: int = 1


class Method(abc.ABC):
    """A method as doors see it; the two kinds are `ImageMethod` and `MovieMethod`.

    Attributes
    ----------
    name : str
        By which it is chosen, and which its model files carry.
    summary : str
        One sentence.
    takes : {"images", "movie"}
    gives : tuple of Role
        What may come out, the most important first.
    settings : type of Settings
    python : mapping
        Public names of the package, to the module that has them.
    switch : str
        Name of a flag that chooses it, besides its own name; empty for none.
    switch_label : str
        Words beside that flag in a dialog.
    unnamed : str
        Axes of an array whose planes a file leaves without a name, like "TYX"; empty where that is refused.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    takes: ClassVar[Literal["images", "movie"]]
    gives: ClassVar[tuple[Role, ...]]
    settings: ClassVar[type[Settings]]
    python: ClassVar[Mapping[str, str]] = {}
    switch: ClassVar[str] = ""
    switch_label: ClassVar[str] = ""
    unnamed: ClassVar[str] = ""

    def parameters(self, verb: str) -> tuple[Parameter, ...]:
        """What a person may say of it beside a verb, besides files, optics and machine: its settings where it trains."""
        return parameters_of(self.settings, self.name) if verb in ("enhance", "train") else ()

    def configured(self, preset: str | None, text: str | None, changes: Mapping[str, Any]) -> Any:
        """Settings of a preset, or of the YAML text of a file, with what was said in `parameters`, or by name, on top.

        Raises
        ------
        SuperlensError
            When a setting is unknown or out of range.
        """
        if text is not None:
            return self.settings.from_yaml(text).with_changes(changes)
        return self.settings.of(preset or self.settings.presets()[0], **changes)

    def role(self, name: str) -> Role:
        """One of the roles that it gives."""
        return next(role for role in self.gives if role.name == name)


class ImageMethod(Method):
    """A method that learns from images and gives images.

    It must say how it learns, and how a block is predicted; everything else has a plain way that a method replaces where it knows more.
    """

    takes: ClassVar[Literal["images", "movie"]] = "images"

    @abc.abstractmethod
    def learn(self, prepared: Any, checkpoint: Path | None, progress: Progress, start: Model | None = None) -> Learned:
        """Train a model; ``start`` takes the place of the shipped weights."""

    @abc.abstractmethod
    def predictor(self, model: Model) -> Predictor:
        """The model as a function from a block to arrays by role; see `superlens.predicting`."""

    def for_channel(self, settings: Any, number: int, *, alone: bool) -> Any:
        """The settings for one channel, by its index along C; ``alone`` where no others are worked on."""
        return settings

    def prepare(self, images: Sequence[Image], optics: Objective | PSF | None, settings: Any) -> Any:
        """Check everything that can be checked before a minute is spent; what comes back goes to `learn`.

        Of it the house needs ``observations``, one for each image, which go to `apply`.

        Raises
        ------
        SuperlensError
        """
        from superlens.observing import observe

        return Prepared(observe(images), optics, settings)

    def begun(self, prepared: Any, start: Model | None = None) -> Learned | None:
        """A model that can predict before anything is learned, whose answer is shown while learning goes on; None where there is none."""
        return None

    def observe(self, model: Model, image: Image) -> Any:
        """An image as a trained model takes it."""
        from superlens.observing import observe

        return observe([image])[0]

    def apply(self, learned: Learned, observation: Any, progress: Progress) -> Channel:
        """Predict one image, all its planes."""
        from superlens.evidence.plain import PlainEvidence
        from superlens.predicting import as_images, predict_image
        from superlens.result import Channel

        predictor = self.predictor(learned.model)
        made = predict_image(predictor, observation, progress)
        return Channel(
            images=as_images(predictor, observation, made, unit=predictor.unit),
            model=learned.model,
            observation=observation,
            history=learned.history,
            parameters=predictor.parameters(observation.camera),
            messages=observation.messages,
            speaks=PlainEvidence,
        )

    def check_fits(self, model: Model, image: Image) -> None:
        """Refuse an image that a model was not made for.

        Raises
        ------
        SuperlensError
        """
        self.predictor(model).check_fits(image)

    def forecast(self, settings: Any, images: Sequence[Image], optics: Objective | PSF | None) -> Forecast:
        """What a training on such images would take and give; the images may lack their pixels."""
        return Forecast({role.name: role.scale for role in self.gives}, self.name, 0, settings.steps, 20_000_000)

    def outline(self, image: Image, scale: int) -> Image:
        """An image of the axes and sides that come of one, at so many fine pixels along a camera pixel; without pixels of its own."""
        import numpy as np

        shape = (*image.data.shape[:-2], *(side * scale for side in image.data.shape[-2:]))
        return image.with_data(np.broadcast_to(np.zeros((), np.float32), shape), scale=scale)

    def scales(self, model: Model) -> Mapping[str, int]:
        """Role to fine pixels along a camera pixel, of what a model gives."""
        return self.predictor(model).roles

    def needs_optics(self, settings: Any) -> bool:
        """Whether it cannot do without optics and a pixel size."""
        return True

    def adapted(self, model: Model, steps: int) -> Callable[[Image, Progress], Model]:
        """What trains a model some steps further on each of many images; a later model may take the network of an earlier one.

        Raises
        ------
        SuperlensError
            When the method cannot.
        """
        raise SuperlensError(f"models of {self.name} are not adapted to single frames; leave `adapt` out")


class MovieMethod(Method):
    """A method that learns from a movie, or without one, and gives a table of what blinks in it."""

    takes: ClassVar[Literal["images", "movie"]] = "movie"

    @abc.abstractmethod
    def known(self, given: Mapping[str, Any]) -> Any:
        """What is known of a movie, from what was said in `parameters` and of the optics.

        Raises
        ------
        SuperlensError
            When a value is impossible.
        """

    @abc.abstractmethod
    def train(
        self, movie: Any, truth: Any, known: Any, settings: Any, checkpoint: Path | None, progress: Progress
    ) -> Model:
        """Train a model for a movie; ``truth`` is a table of the positions in its frames, or None."""

    @abc.abstractmethod
    def localize(self, movie: Any, model: Model | None, known: Any, how: Linking, progress: Progress) -> Result:
        """Find the molecules of a movie; without a model the method chooses one."""

    @abc.abstractmethod
    def upsampling(self, model: Model | None) -> int:
        """Fine pixels of its density along a camera pixel."""
