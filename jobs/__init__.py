"""What surrounds the steps of `project.py` in a folder run: inputs, files, what is done already, warnings."""
