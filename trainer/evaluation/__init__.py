"""Measuring checkpoints: statistics, the preference model, judges. Deciding is left to trainer/gate.py."""
