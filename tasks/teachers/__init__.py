"""Who answers prompts: one kind of teacher a file.

A teacher takes requests of token ids and yields completions as they finish, in any order. ``vllm.py`` runs any model that vLLM
loads, in this process; teacher, student and baseline are all run by it, so that they are measured alike.
"""
