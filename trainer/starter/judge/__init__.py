"""The starter's judge: reads a prompt and two completions and says which one is right and well-formed, or a tie.

`pairs` draws what it learns from, `form` writes a comparison as a chat, `reading` asks a trained one. Style never
counts: a polite and a curt right reply tie, and so do two that are wrong.
"""
