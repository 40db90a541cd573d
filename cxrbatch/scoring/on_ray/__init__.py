"""The engine of many machines, on Ray. The only modules that import ray; only ``--engine ray`` imports them.

Ray Core, not Ray Data, for reasons given in docs/scale.md.
"""
