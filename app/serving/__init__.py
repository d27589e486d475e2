"""Serving: the models that are loaded (slot), the loop that decodes (engine), what a caller holds (ticket)."""
