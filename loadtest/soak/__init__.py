"""The service under a steady load for half an hour: what grows, what fails, what a switch does.

    copies --> a store of versions      users --> locust, all kinds of requests, at a steady rate
                      |                                  |
                   service  <----------------------------+
                   |      ^
                 observed +-- another version each minute
                   |
    periods --means of blocks--> trends --bounds--> verdict --> report, plot, exit code

`python -m loadtest.soak --minutes 30`. docs/how-to/loadtest.md explains how to read its results.
"""
