"""From examples to a student: what every training method shares.

Training runs in processes of its own (``worker.py``, several under ``torchrun.py``), started and watched by ``launch.py``: the
flow's process stays light, and a killed flow leaves no trainer behind. ``session.py`` joins the pieces: rows become tokens
(``encoding.py``, ``training_rows.py``), batches (``collation.py``, ``row_order.py``) and a loss inside the head
(``answer_trainer.py``, ``chunked_head.py``).
"""
