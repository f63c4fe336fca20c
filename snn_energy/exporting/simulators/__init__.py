"""Inputs of accelerator simulators, one file for each; what a simulator cannot hold is refused by name."""
