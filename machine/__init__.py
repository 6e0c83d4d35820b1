"""What every command asks for: a device, the other processes of its run, a folder of its own, numbers that are some."""
