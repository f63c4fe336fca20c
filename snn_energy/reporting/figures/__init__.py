"""Figures of reports, one file for each kind; `reporting.plots` lists them."""
