"""The forms a report is written in: ``html.py`` and ``markdown.py`` take its content and return text.

What they say comes from ``facts/``, one subject a file, as tables and figures; ``charts/`` draws the plots and ``page/`` has the
page's templates, style and script. A new fact is a function in ``facts/``, a line in a template and one in ``markdown.py``.
"""
