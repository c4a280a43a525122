"""Retraining, as the service sees it: jobs in a database that a worker carries out, and runs."""
