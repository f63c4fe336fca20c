"""The daily work around reports: comparing, sweeping, differences, gates, and linting tables of energy claims.

`running` and `sweeping` run networks; everything else works on saved reports and traces, and needs no torch.
"""
