"""Around the steps of `project.py` in a folder run: inputs, sequences, files, what is done already, warnings."""
