"""Charts: described once as plain data, drawn as SVG for a page and with matplotlib for ``--plot``.

``description`` says what a chart is made of; ``offsets`` and ``curves`` describe the charts of results;
``svg`` and ``figures`` draw any description; ``palette`` has the colours of both.
"""
