"""The open paired benchmark: methods make results folders, which are measured against the true pictures."""
