"""More and more users, as locust makes them: latency, errors, and the limit of the service.

    locust --shape steps --> locust_*.csv --+
                                            +--> steps --> knee, verdict --> table, plot, exit code
    GET /metrics, /proc  --> observations --+

`python -m loadtest` runs it.
"""
