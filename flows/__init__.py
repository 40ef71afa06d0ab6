"""The order of the work: one flow a stage, and ``distill``, which chains them. Light imports only."""
