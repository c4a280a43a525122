"""What the service reports of itself: metrics, logs and traces.

`request_record` is the one record of a finished request that the access log and traces read.
"""
