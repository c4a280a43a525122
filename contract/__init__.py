"""The formats that the programs share. All of them import this package.

    training --runs/<id>/--> export --models/<name>/<version>/--> service

`card` describes a model version, `store` holds the versions and makes one of them current,
`provenance` records commit, libraries and processor, `command_line` is that of every program,
`cgroup` and `memory` find the limits of a container, `programs` runs training and export as
processes. The package imports only the standard library and pydantic; in `signature`, which is
loaded only where versions are signed, cryptography; and in `bucket`, only for stores in buckets,
obstore.
"""
