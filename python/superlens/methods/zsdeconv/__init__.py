"""ZS-DeconvNet: a network learns to denoise and to sharpen from the noisy image, or the noisy volume, itself.

**Pairs.** An image ``y`` with independent noise of known standard deviation ``sigma`` is re-corrupted into two copies whose noises are
uncorrelated, ``y + alpha sigma g`` and ``y - sigma g / alpha`` with the same standard normal ``g``. Of the shot noise this is done photon by
photon (`superlens.camera.share_photons`), so that the copies are independent also where few photons are. A network that predicts the
second from the first learns the expectation: the noise-free image.

**Two stages.** The first output is the denoised image ``d``; the second, ``s``, is the specimen through a stated response: nine
tenths of its light through the PSF made 1.5 times narrower, one tenth through a finer core. Blurred by what separates the response from
the PSF and binned to camera pixels, ``A s`` must agree with the same noisy copy. What the blur hides is decided by the start, or from nothing by a Hessian penalty that asks for continuity.

**Start.** The light network does not begin from nothing but from weights that were trained on simulated specimens
(`superlens.starts.images`, `superlens.starts.volumes`). Zero-shot steps then bring it towards the image; how far is decided by the image, on blocks that the steps
never saw: of the weights on the line between start and end, the nearest to the start that predict these blocks as well as any, within
one standard error.

**Volumes.** The slices of a stack are one volume with one PSF; the network mixes each with its neighbours, and the response of the
sharp volume is 1.75 times narrower than the PSF, 1.5 times along z, without a core. Its even slices may serve as the noisy copy of the odd ones, with the gap between them amended.

In: one or more `Image` of one kind, and an `Objective` or a `PSF`. Out: a `Model`, and for each image a `Result`.

References
----------
Qiao et al., Nat. Commun. 15, 4180 (2024): the method. Pang et al., CVPR 2021, and Monroy et al., CVPR 2025:
recorrupted-to-recorrupted pairs.
"""
