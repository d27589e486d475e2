"""`python -m app`: the same as the `prefloop` command."""

from app.cli import main

main()
