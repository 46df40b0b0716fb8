"""Two-stage learning: a network denoises and then sharpens, from pairs of noisy images with one expectation.

One recipe with parts that a method chooses: where pairs come from, how they are laid before the network, what the microscope makes of the
sharp image, and what is made small.
"""
