"""How near a model is to its teacher token by token, along texts that are given: the teacher's answers, and the references.

The teacher's engine goes over them once more after it was measured (``own_texts.py``) and leaves its likeliest candidates; every
other model follows the same texts, with its whole distribution at every token (``following.py``).
"""
