"""Checkpoints that can be trusted, and that outlive the machine.

``local.py`` seals and finds them, ``manifest.py`` says what they consist of, and ``mirror.py`` copies them to the store
(``snapshots.py``, ``stored.py``).
"""
