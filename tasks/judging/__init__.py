"""A language model as a judge: prompts that ask for a judgement, and readers of what it said.

Judging is generation: ``tasks/judgement.py`` makes a ``prompts`` artefact of judging prompts, the generations stage answers it
with the judge as teacher, and the readers here turn its ``generations`` artefact into scores of single answers (``scoring.py``)
or preferences between two models (``preference.py``). So a judgement is kept, resumed and paid for like any other answer.
"""
