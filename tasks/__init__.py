"""The work itself: one stage a file, plug-ins in folders, and what all of them stand on in ``core``."""
