"""Rows compared by what they mean rather than by their words: as vectors made of the student's own token embeddings."""
