"""fastctc beside the packages that people use, on the same work: ``python -m bench.compare --help``."""
