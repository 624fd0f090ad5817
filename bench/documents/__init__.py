"""The generated parts of README and docs: ``python -m bench.documents [--check]``.

A document marks a part with ``<!-- begin NAME -->`` and ``<!-- end NAME -->``;
what stands between is made from the committed results and never typed. With
``--check`` nothing is written, and a part, a table or a plotted figure that no
longer follows from the records is an error. Plots are compared by a hash of
the data in them, since their pixels depend on fonts and versions. Files of raw
samples are packed, and read as they are.
"""
