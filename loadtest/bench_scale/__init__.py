"""Throughput of replicas behind the balancer, the CPU time of each, and what larger rates take."""
