"""Rows that say nearly the same: found by MinHash, verified by their exact similarity, of which all but one can go.

Two rows are near duplicates if both their prompts and their answers are: the similarity is the lower of the two, each the
Jaccard similarity of the sets of word 3-grams. So rows of one label are never merged for their label, and neither are two
answers to one prompt that differ. Rows that are near duplicates of one row, directly or over others, are a cluster.
"""
