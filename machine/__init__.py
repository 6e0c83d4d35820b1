"""What a command asks of the machine it runs on: a device, and the other processes of its run."""
