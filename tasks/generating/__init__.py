"""From prompts to answers: what a teacher is asked, what the ledger has already, and how the rest gets there.

``generation.py`` puts it together: ``dialogues`` are wanted, ``asking`` feeds those that the ledger lacks to a teacher,
``answering`` is the loop, ``reading`` makes rows of what comes back, ``shards`` commits them, ``joining`` writes the artefact.
"""
