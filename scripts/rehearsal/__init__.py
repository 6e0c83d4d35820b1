"""What scripts/rehearse.py needs: files in the public layouts, a small data set, and the commands in order."""
