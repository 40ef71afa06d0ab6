"""The forms a report is written in, one a file; each takes the report's content and returns text."""
