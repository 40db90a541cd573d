"""cxrbatch: nightly batch inference and reporting for chest radiographs.

The rooms, and the one direction in which data flows through them, are drawn in
``docs/architecture.md``. Nothing heavy is imported here: ``cxrbatch --help`` answers at once.
"""

__version__ = "0.1.0"
