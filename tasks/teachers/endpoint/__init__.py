"""An OpenAI-compatible endpoint as a teacher: asked row by row (``live.py``) or through its Batch API (``batch.py``)."""
