"""The mathematics of every algorithm: tensors in, tensors out, one file per family.

Legend, the same in every file: B sequences (or pairs), T tokens of a completion, S tokens of a whole row, K
completions of one prompt, V the vocabulary. `l` is the policy's log-probability of a token given those before it,
`r` the frozen reference's, `m` the mask that is 1 on completion tokens, the end-of-turn token included; L, L_ref
and n are their sums over a completion. Log-probabilities and their ratios are in nats. A loss comes per sequence or
per pair wherever it can, so that its mean over an accumulated batch is the mean over the big batch.

Nothing here reads a model, a file or a clock, and nothing draws at random without a generator that it is given. The
loops are in `trainer/algorithms`.
"""
