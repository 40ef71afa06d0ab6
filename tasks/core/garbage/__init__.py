"""What a store holds that nothing needs any more, and how it is dropped while runs go on.

``layout.py`` sorts a listing, ``references.py`` finds what is needed, ``artifacts.py``, ``unfinished.py`` and ``local_files.py``
find pieces of garbage, ``collection.py`` drops them. Rows in the ledger and rows on their way there are paid work and never
garbage; neither is anything whose place in the layout or whose age is not known.
"""
