"""The grammar of the starter's corpus: tables of true facts, questions about them, styles of replying.

`world`, `things`, `culture`, `daily`, `words`, `everyday`, `small_talk` and `limits` are data; `relations` and
`situations` make them questions (`questions`), `styles` renders an item in one of eight styles, `recognise` tells which
one a reply has; `sums`, `titles`, `lists`, `list_asks`, `texts` and `copying` make questions that no table can hold.
"""
