"""torchrun that ends with whoever started it: ``python -m tasks.training.torchrun OPTIONS -m MODULE``.

Its workers watch their parents themselves; until all machines have met, which may take minutes, there are none yet.
"""

from tasks.core.process import end_with_parent

if __name__ == "__main__":
    end_with_parent()
    from torch.distributed.run import main

    main()
