"""Run by an interpreter that has picassosr: find the spots of a movie with Picasso and fit them.

picasso_fit.py MOVIE.tif LOCS.npy CAMERA_JSON THRESHOLD

The table has the columns frame, x, y and net gradient. Each spot is fitted for itself, so that the rows above a higher threshold are
those that Picasso gives with it.
"""

from __future__ import annotations

import json
import sys

import numpy as np

if __name__ == "__main__":
    from picasso import io, localize

    source, target, camera, threshold = sys.argv[1:5]
    movie, _ = io.load_movie(source)
    found = localize.identify(movie, float(threshold), 7, threaded=False, return_info=False)
    rows = np.empty((0, 4))
    if len(found):
        located, _ = localize.fit(
            movie,
            camera_info=json.loads(camera),
            identifications=found,
            box=7,
            fitting_method="gaussmle",
            multiprocess=False,
        )
        rows = located[["frame", "x", "y", "net_gradient"]].to_numpy(float)
    np.save(target, rows)
