"""Judges: a comparison in, a reply out. What a reply means is read by parsing.py, and may be read again at no cost.

`base` is the interface, `rubric` what a language model is asked, `rubric_text` reads its file, `rubric_shelf` keeps it;
`asking` asks through the cache. Kinds: `starter`, `local`, `endpoint`, `reward_model`, `similarity`, `panel`; `named`
opens one by name, folder or URL, `opening` as somebody asked for it.
Leaves out orders, ties without a call and win rates (trainer/evaluation/protocol.py).
"""
