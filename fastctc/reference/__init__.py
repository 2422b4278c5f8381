"""The specification: each algorithm in plain Python, for reading; the compiled twin has the same name and signature."""
