"""What is looked at before anything is paid for, one check a file.

A check takes what the run is about to use and returns what is worth knowing about it, or raises an error with the remedy.
"""
