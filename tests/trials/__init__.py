"""Attacks and faults by number, each with the figure that it asks for; `tests/trial.py` runs them.

A case is a function that is handed a `Sheet` and an empty directory: it does something bad to real clients, and writes
down what came of it.  What must hold is a figure with a bound; a case holds if all of its bounds do.
"""
