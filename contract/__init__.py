"""The formats that the programs share: the only package that all of them import.

    training --runs/<id>/--> export --models/<name>/<version>/--> service

`card` describes a model version, `store` keeps versions and makes one of them current, `provenance`
records commit, libraries and processor. May import the standard library and pydantic only;
`signature`, imported only where versions are signed, also cryptography.
"""
