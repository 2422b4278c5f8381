"""The algorithms of fastctc.reference in Cython: same names, same signatures, same results, without the GIL."""
