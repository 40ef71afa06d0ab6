"""The report's plots as SVG that takes its colours from the page: what every plot needs, and one file a kind of plot.

A plot is a ``Markup`` without a style of its own: marks carry classes (``m-student``, ``grid``), which ``charts.css`` colours for
light and dark pages. ``standalone`` gives a plot that is a file of its own the same colours.
"""
