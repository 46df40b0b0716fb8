"""From an image to an observation: which part of the counts is light, how noisy it is, and what a network gets of both."""

from superlens.observing.conditioning import Normaliser, WienerBank, condition
from superlens.observing.correction import even_sensor, without_stripes
from superlens.observing.observation import Observation, noise_sigma, noise_variance, noisy_pair, noted, observe

__all__ = [
    "Normaliser",
    "Observation",
    "WienerBank",
    "condition",
    "even_sensor",
    "noise_sigma",
    "noise_variance",
    "noisy_pair",
    "noted",
    "observe",
    "without_stripes",
]
