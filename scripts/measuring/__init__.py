"""The figures that the project states, measured on the machine at hand. Run by `scripts/measure`."""
