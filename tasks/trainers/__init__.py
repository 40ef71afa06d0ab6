"""How a student learns, one training method a file.

Training runs in processes of its own (``worker.py``), started and watched by ``launch.py``: the flow's process stays light, and
a killed flow leaves no trainer behind. A method is a function from a ``TrainingJob`` to trained weights; to add one: write its
file and add its line to ``METHODS``, which names modules so that nothing heavy is imported before it is needed.
"""

METHODS: dict[str, str] = {
    "sft": "tasks.trainers.sft",
    "topk_kd": "tasks.trainers.topk_kd",
    "sampled_kd": "tasks.trainers.sampled_kd",
    "hidden_states": "tasks.trainers.hidden_states",
    "on_policy": "tasks.trainers.on_policy",
}
