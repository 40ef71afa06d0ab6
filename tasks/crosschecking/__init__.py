"""The same test prompts through lm-evaluation-harness, and whether it finds what we found."""
