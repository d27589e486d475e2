"""The parts of `benchmarks/side_by_side.py`: what each side of a comparison does, in a process of its own."""
