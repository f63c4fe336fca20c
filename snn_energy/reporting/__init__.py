"""What people read: one assessment of a network, as a terminal table, JSON, CSV, Markdown or a figure.

Only `assessment` and `subject` need torch; everything else works on the plain JSON form of a report.
"""
