"""The grammar of the starter's corpus: tables of true facts, questions about them, styles of replying.

`world`, `things`, `words`, `everyday` and `talk` are data; `questions` turns them into items; `styles` renders an
item in one of ten manners; `sums`, `lists`, `texts` and `copying` make questions that no table can hold.
"""
