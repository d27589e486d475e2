"""The sizes of networks in tests of the starter."""

from dataclasses import replace

from tokenizers import Tokenizer

from trainer.starter.network import Shape

TINY = Shape(width=16, layers=2, heads=2, hidden=32)


def sized(shape: Shape, tokenizer: Tokenizer) -> Shape:
    """The shape with an entry for every token."""
    return replace(shape, vocabulary=tokenizer.get_vocab_size())
