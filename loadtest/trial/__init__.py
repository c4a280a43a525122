"""One load test: users come in steps, the service is watched, and what it carried is told.

    locust, in processes of its own                  the service
      recorder   a second: users, answers, times       watch    a second: /metrics, /proc
           |                                             |
      seconds ------------------> steps <--------------- looks
                                    |
                       curve   where throughput leaves what is offered: the knee
                       verdict whether the SLO holds, and the exit code
                       tables, plots, files: what people read

Times are in seconds since the users began to come, unless they say otherwise. `users` is how many
there are, `offered` the requests a second that they would ask for if answers took no time. An
answer is `right` if it is what its request should be told: that may be a 4xx. Every other one
failed or, if it is a 503 with Retry-After, was refused.

Imported by `python -m loadtest` alone, but for `recorder`, which locust runs.
"""
