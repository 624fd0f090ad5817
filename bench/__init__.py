"""What Squeeze-and-Excitation costs: counted, measured in pairs, shown."""
