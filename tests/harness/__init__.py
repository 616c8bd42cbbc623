"""What end-to-end tests and benchmarks stand on: a lab, programs on its hosts, the edge.

Start at `lab.py` (the ground), then `edge.py` (what is tested) and `case.py` (how a test reads).
Only Python's standard library is used.
"""
