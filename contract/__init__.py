"""What the programs agree on, and the only package they all import.

    training --runs/<id>/--> export --models/<name>/<version>/--> service

`card` says what a model version is, `store` where versions live and how one becomes the served one,
`provenance` what a program knows of itself. May import the standard library and pydantic only;
`signature`, which is loaded where versions are signed, also cryptography.
"""
