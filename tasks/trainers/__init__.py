"""How a student learns, one training method a file; ``tasks/training`` is what they share.

A method is a function ``train`` from a ``TrainingJob`` to trained weights; to add one: write its file, add its line to
``METHODS``, which names modules so that nothing heavy is imported early, and its name to ``Method`` in its settings.
"""

METHODS: dict[str, str] = {
    "sft": "tasks.trainers.sft",
    "topk_kd": "tasks.trainers.topk_kd",
    "sampled_kd": "tasks.trainers.sampled_kd",
    "hidden_states": "tasks.trainers.hidden_states",
    "on_policy": "tasks.trainers.on_policy",
}
