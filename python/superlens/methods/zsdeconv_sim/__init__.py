"""ZS-DeconvNet-SIM: from raw frames of structured illumination to a denoised and sharpened image, learned from the frames themselves.

**Pairs.** The photons of every raw frame are dealt out to two sets, as for a single image (`superlens.camera.share_photons`). Both sets are
reconstructed by the same linear operator: pattern, transfer function and Wiener weight are measured once and stay. The operator is linear,
so the two reconstructions have one expectation and independent noise, however much neighbouring pixels share of it.

**Two stages.** The network works on the grid of the reconstruction, at half the raw pixel. It denoises, then sharpens: the second
output is the specimen through a stated response, the diffraction limit of the extended band made 1.5 times narrower. Blurred by what
separates this response from the reconstruction's transfer function, which is known in closed form, it must agree with the other set.

In: `Image` of raw frames, and an `Objective`. Out: a `Model` that holds the pattern, and for each image a `Result`.

References
----------
Qiao et al., Nat. Commun. 15, 4180 (2024): ZS-DeconvNet-SIM, which re-corrupts raw frames and reconstructs them.
"""
