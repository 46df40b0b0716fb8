"""The parts of the 2D benchmark: scenes with a known truth, methods, scores, and the folder where finished cells are kept.

A `Cell` is a named function of its parameters. `Store` runs it and keeps its numbers and images, so that a suite that was stopped goes
on where it was. `catalogue` lists the cells, `targets` says what they have to reach, `pictures` and `pages` show them.
"""
