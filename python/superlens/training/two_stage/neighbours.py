"""Neighbouring frames as the noisy pair, for slow scenes: which frames are neighbours, and whether they may be taken for one scene.

Two frames of the same scene have the same expectation and independent noise, whatever the camera: no noise model is needed to make a
pair, and the network sees the noise of one frame as it will see it in prediction. That holds only where nothing changes between them.
What moves would be averaged away by a network that learns to predict the next frame, so it is refused, by the noise model of the camera.

References
----------
Li et al., Nat. Methods 18, 1395 (2021): denoising of movies from interlaced frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from superlens.camera import check_stillness
from superlens.errors import SuperlensError
from superlens.observing.observation import Observation
from superlens.training.two_stage.pairs import Pair
from superlens.training.two_stage.recordings import Recording
from superlens.training.two_stage.recorrupted import sigma_of

__all__ = ["NeighbouringFrames", "frames_of", "neighbours", "refuse_motion", "with_neighbours"]

Array = NDArray[np.float32]


class NeighbouringFrames:
    """A frame, and one recorded just before or after it.

    Parameters
    ----------
    recordings : sequence of Recording
        Of `with_neighbours`.
    sides : sequence of int
        Of the part of a frame that a pair is made from, at most.
    """

    def __init__(self, recordings: Sequence[Recording], sides: Sequence[int]) -> None:
        self._recordings, self._sides = recordings, sides

    def draw(self, rng: np.random.Generator) -> Pair:
        """A random part of two random neighbours."""
        return self.split(self._recordings[int(rng.integers(len(self._recordings)))].part(rng, self._sides))

    def split(self, one: Recording) -> Pair:
        """The pair that a recording and its neighbour are."""
        assert one.neighbour is not None
        return Pair(one.in_focus, one.neighbour, sigma_of(one), one.free, one.bounds)


def with_neighbours(recordings: Sequence[Recording], observations: Sequence[Observation]) -> list[Recording]:
    """Each frame with a neighbour, once for each neighbour; pixels that are bad in one of the two do not count."""
    paired, first = [], 0
    for observation in observations:
        for one, other in neighbours(observation):
            a, b = recordings[first + one], recordings[first + other]
            paired.append(replace(a, good=a.good & b.good, neighbour=b.in_focus))
        first += len(observation.counts)
    return paired


def frames_of(values: NDArray[np.generic], observation: Observation) -> NDArray[np.generic]:
    """Planes ``(N, Y, X)`` of an observation as movies ``(movies, T, Y, X)``: one for each height and channel.

    Raises
    ------
    SuperlensError
        If there are no two frames.
    """
    image = observation.image
    if image.sizes.get("T", 1) < 2:
        raise SuperlensError(
            f"{image.name or 'the image'} has axes {image.axes} and no two frames; `pairs` temporal needs a movie. "
            "Say so with `axes` if its frames are called otherwise, or leave `pairs` out"
        )
    stacked = np.moveaxis(values.reshape(image.data.shape), image.axes.index("T"), -3)
    return stacked.reshape(-1, *stacked.shape[-3:])


def neighbours(observation: Observation) -> list[tuple[int, int]]:
    """Numbers of planes that follow one another in time, in both directions.

    Returns
    -------
    list of (int, int)
        A plane, and one recorded just before or after it.
    """
    every = np.broadcast_to(np.arange(len(observation.counts))[:, None, None], observation.counts.shape)
    numbers = frames_of(every, observation)[..., 0, 0]
    pairs = [(int(a), int(b)) for movie in numbers for a, b in zip(movie[:-1], movie[1:], strict=True)]
    return [*pairs, *((b, a) for a, b in pairs)]


def refuse_motion(observations: Sequence[Observation]) -> None:
    """Refuse movies whose neighbouring frames differ by more than noise.

    Raises
    ------
    SuperlensError
        With the frame that differs most, and by how much.
    """
    for observation in observations:
        movies = (frames_of(values, observation) for values in (observation.counts, observation.sigma, observation.bad))
        for counts, sigma, bad in zip(*movies, strict=True):
            found = check_stillness(counts.astype(np.float32), sigma.astype(np.float32), bad.astype(np.bool_))
            if not found.still:
                raise SuperlensError(
                    f"{observation.image.name or 'the movie'} changes between frames: differences of neighbours have "
                    f"{found.ratio:.2f} times the variance of the noise over 4 x 4 pixels (at most {found.limit:.2f} "
                    f"by chance), {found.share:.1%} of such blocks stand out, most after frame {found.frame}, and between pixels they have "
                    f"{found.noise:.2f} times the variance that the camera states. A network "
                    "would learn to smear what moves; leave `pairs` out, which re-corrupts each frame by itself"
                )
