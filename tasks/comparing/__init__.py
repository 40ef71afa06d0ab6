"""What the report says: student against baseline against teacher, one aspect a file; ``tasks/report.py`` puts them together."""
