"""The report as one HTML file: style sheet, script and figures are in it, so it opens from a disk without a network.

`page.html_page` puts the sections together, one module each; `elements` escapes; `report.css` and `report.js` are
packaged as they are. Every number is in the text of the page: without the script nothing sorts, and nothing is missing.
"""
