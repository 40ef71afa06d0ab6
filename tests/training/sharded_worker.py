"""The training process where Accelerate divides weights among CPUs too.

Accelerate 1.15 turns FSDP on for every kind of device but CPUs, on which torch's FSDP2 itself works, over gloo. This adds what it
does for the others; nothing else differs from ``tasks.training.worker``.
"""

import sys
from typing import Any

from tasks.core.environment import prepare_libraries

prepare_libraries()

from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType

from tasks.training.worker import main

_prepare = AcceleratorState.__init__


def _prepare_with_sharding(self: Any, *args: Any, fsdp_plugin: Any = None, **kwargs: Any) -> None:
    _prepare(self, *args, fsdp_plugin=fsdp_plugin, **kwargs)
    if fsdp_plugin is not None and self.distributed_type == DistributedType.MULTI_CPU:
        if self._mixed_precision != "no":
            fsdp_plugin.set_mixed_precision(self._mixed_precision)
        self.fsdp_plugin = fsdp_plugin
        self.distributed_type = PartialState._shared_state["distributed_type"] = DistributedType.FSDP


if __name__ == "__main__":
    AcceleratorState.__init__ = _prepare_with_sharding
    sys.exit(main(sys.argv[1]))
