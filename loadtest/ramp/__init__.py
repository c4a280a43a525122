"""More and more users, as locust makes them: what they get, and where the service is at its limit.

    locust --shape steps --> locust_*.csv --+
                                            +--> steps --> knee, verdict --> table, plot, exit code
    GET /metrics, /proc  --> observations --+

`python -m loadtest` runs it.
"""
