"""Deep-STORM: a network turns each frame of a blinking movie into a density of molecules, which is summed to an image and read as a table.

**Simulate.** Every training step draws frames of its own: molecules on filaments, in rings or anywhere, more or fewer, brighter or dimmer,
on an uneven background. Nothing is stored. Or the user's own frames with known positions take their place.

**Learn.** The network is asked for one spike per molecule on a grid ``upsampling`` times finer than the camera's; spikes and answer are
compared blurred by one fine pixel, and a penalty on the absolute density asks for few.

**Measure.** Frames reach the network in units of one molecule's peak above the background, which the movie tells about itself
(`superlens.smlm.estimation`), so that one model serves many cameras; molecules of another width are rescaled to the trained one.

**Read.** Maxima of the density are molecules, by a threshold that was best on simulated frames. Together they then explain the light of
their frame (`superlens.smlm.refining`), which gives photons, sub-pixel places down to the Cramer-Rao bound, and an error for each.

In: a movie, `Image` or `LazyImage` with axes TYX. Out: a `Localized`.

References
----------
E. Nehme, L. E. Weiss, T. Michaeli and Y. Shechtman, "Deep-STORM: super-resolution single-molecule microscopy by deep learning", Optica 5,
458 (2018).
"""
