"""The users there are, and how many of each: see `bodies` and `wrong` for what they send."""

from loadtest.users.client import Client
from loadtest.users.settings import WEIGHTS


class Png(Client):
    kind = "png"
    weight = WEIGHTS[kind]


class Jpeg(Client):
    kind = "jpeg"
    weight = WEIGHTS[kind]


class Form(Client):
    kind = "form"
    weight = WEIGHTS[kind]


class Json(Client):
    kind = "json"
    weight = WEIGHTS[kind]


class Binary(Client):
    kind = "binary"
    weight = WEIGHTS[kind]


class Wrong(Client):
    kind = "wrong"
    weight = WEIGHTS[kind]


KINDS: tuple[type[Client], ...] = (Png, Jpeg, Form, Json, Binary, Wrong)
