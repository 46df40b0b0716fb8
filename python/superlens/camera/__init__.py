"""Cameras: from photons to counts and back, the camera estimated from an image, and re-corrupted training pairs.

`Camera` is the noise model that every other room uses; `EMCCD` and `SCMOS` are cameras to simulate with; `estimate_camera` reads a `Camera` from an
image (photon transfer), `check_noise` tests whether the noise of neighbouring pixels is independent, and `share_photons` and `recorrupt` make two images of
independent noise out of one. `find_stripes` finds what a sensor or a scan adds to whole rows or columns. Values go in as counts; signals are counts above the offset. Files, axes and pixel sizes are left to others.
"""

from superlens.camera.defects import find_border, find_defects
from superlens.camera.detectors import EMCCD, SCMOS, Sensor
from superlens.camera.given import refuse_offset
from superlens.camera.independence import NoiseCheck, check_noise
from superlens.camera.recorruption import recorrupt, share_photons
from superlens.camera.sensor import Camera, smoothed_signal
from superlens.camera.stillness import Stillness, check_stillness
from superlens.camera.stripes import Stripes, find_stripes
from superlens.camera.transfer import CameraEstimate, estimate_camera

__all__ = [
    "EMCCD",
    "SCMOS",
    "Camera",
    "CameraEstimate",
    "NoiseCheck",
    "Sensor",
    "Stillness",
    "Stripes",
    "check_noise",
    "check_stillness",
    "estimate_camera",
    "find_border",
    "find_defects",
    "find_stripes",
    "recorrupt",
    "refuse_offset",
    "share_photons",
    "smoothed_signal",
]
