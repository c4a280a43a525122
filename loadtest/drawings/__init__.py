"""Test digits drawn anew with many pens on many papers, and whether the service reads them."""
