"""Run by an interpreter that has picassosr: fit a movie with Picasso at several thresholds.

picasso_fit.py MOVIE.tif LOCS.npz CAMERA_JSON THRESHOLDS_JSON
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np

if __name__ == "__main__":
    from picasso import io, localize

    source, target, camera, thresholds = sys.argv[1:5]
    movie, _ = io.load_movie(source)
    tables: dict[str, Any] = {}
    for gradient in json.loads(thresholds):
        found = localize.identify(movie, gradient, 7, threaded=False, return_info=False)
        rows = np.empty((0, 3))
        if len(found):
            located, _ = localize.fit(
                movie,
                camera_info=json.loads(camera),
                identifications=found,
                box=7,
                fitting_method="gaussmle",
                multiprocess=False,
            )
            rows = located[["frame", "x", "y"]].to_numpy(float)
        tables[f"g{gradient}"] = rows
    np.savez(target, **tables)
