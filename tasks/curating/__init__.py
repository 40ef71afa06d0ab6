"""How answers are curated: two passes over the rows, with the filters that compare rows in between, in bounded memory.

The first pass shows every row to every row filter and keeps a few bytes of each row and what was found. Set filters then see
those that are left, as often as they need. The last pass writes kept rows, rejected rows and the annotations of all. Texts are
streamed in Arrow batches each time and never held.
"""
