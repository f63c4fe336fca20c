"""Prices from measurements: energies measured on a machine, and the counts of the networks that ran on it.

    E_i = fixed_i + sum over terms j of n_ij c_j        n_ij: counts of one inference, c_j >= 0: prices in pJ

`measured` reads the energies, `terms` the counts, `nonnegative` solves, `identify` says which prices the measurements
can tell apart, `fitting` puts it together with held-out errors and intervals, and `calibrated` makes a profile of it.
"""
