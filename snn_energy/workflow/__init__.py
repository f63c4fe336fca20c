"""The daily work around reports: comparing, sweeping, differences, gates, and linting tables of energy claims.

`sources` and `gathering` run networks; everything else reads the JSON form of a report and needs no torch.
"""
