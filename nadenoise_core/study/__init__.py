"""The paper's evaluation over many scans: images by every method, measures, tables, figures and a report."""
