"""One quantity per file: what is counted on shapes alone, and what is measured on a machine."""
