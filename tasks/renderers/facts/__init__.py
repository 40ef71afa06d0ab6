"""What the report says, one subject a file, as tables and figures: every form of the report is made from these."""
