"""Streams of bytes that are almost HTTP: requests with some replaced tokens."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

# By kind of token: common values, and unusual or invalid ones.
USUAL: dict[str, list[bytes]] = {
    "method": [b"GET", b"POST", b"POST", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"],
    "target": [b"/v1/predict", b"/v1/predict", b"/metrics", b"/v1/predict?k=3", b"/other", b"/"],
    "version": [b"HTTP/1.1"] * 9 + [b"HTTP/1.0"],
    "space": [b" "],
    "name": [b"Accept", b"X-Request-ID", b"Content-Type", b"X-A", b"Cookie", b"Connection"],
    "colon": [b":"],
    "ows": [b" ", b" ", b" ", b"", b"\t", b"  "],
    "value": [b"", b"a", b"a b", b"keep-alive", b"image/png", b"a, b", b'"x; y"', b"\xe9"],
    "eol": [b"\r\n"],
    "empty": [b""],
    "size": [b"1", b"5", b"a", b"1F", b"00003"],
    "extension": [b"", b"", b"", b";a", b";a=b", b';a="b c"', b";a;b=c"],
}  # fmt: skip
ODD: dict[str, list[bytes]] = {
    "method": [b"", b"get", b"BREW", b"CONNECT", b"G ET", b"GET\t", b"G\x00T", b"TRACE", b"PRI",
               b"PROPFIND", b"X" * 40, b"(", b" GET", b"HTTP/1.1", b"M-SEARCH", b"\xc7ET"],
    "target": [b"", b"*", b"http://x/y", b"x:80", b"/a b", b"/\x00", b"/\x80", b"/\x7f", b"//x",
               b"/#f", b"/%zz", b"?", b"\t/", b"/a\rb", b"http://", b"a", b"/<>\"{}|\\^`", b"://"],
    "version": [b"", b"HTTP/1", b"HTTP/11", b"HTTP/1.10", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/0.9",
                b"http/1.1", b"HTTP/1.1 ", b"HTTP/01.1", b"HTTP/1,1", b"HTTPS/1.1", b"HTTP/3.1",
                b"ICE/1.0", b"RTSP/1.0", b"HTTP/1.1\t", b"HTTP/\xb9.1", b" HTTP/1.1"],
    "space": [b"", b"  ", b"\t", b"\x0b", b"\x0c", b"\r", b" \t", b"\x00"],
    "name": [b"", b" X", b"\tX", b"X ", b"X\t", b"X Y", b"X\x00", b"(X)", b"X\xe9", b"X:", b"X\n",
             b"Transfer_Encoding", b"Content-Length ", b" Transfer-Encoding", b"Expect",
             b"Upgrade", b"Proxy-Connection", b"TE", b"Trailer", b"Host", b"host", b"X\x7f"],
    "colon": [b"", b" :", b"::", b"\t:", b";", b":\r\n", b":\n ", b"=", b"\x00:"],
    "ows": [b"\r\n ", b"\x0b", b"\x0c", b"\x00", b"\xa0", b" " * 40, b"\r", b"\n\t", b" \r\n\t"],
    "value": [b"\x00", b"a\x00b", b"a\x01b", b"a\x7f", b"a\rb", b"a\nb", b"a\r\n b", b"\x0ba",
              b"a\x0c", b"close", b"Upgrade", b"100-continue", b"\xff\x80", b"x" * 300, b"a\r",
              b"websocket", b"close, keep-alive", b"a\x1fb", b"keep-alive, Upgrade", b"\x80"],
    "eol": [b"\n", b"\r", b"\r\r\n", b"\n\r", b"\r\n\r\n", b"", b" \r\n", b"\x00\r\n", b"\r\n ",
            b"\r\n\t", b"\n\n", b"\x0b\r\n"],
    "empty": [b"\r\n", b"\r\n\r\n", b"\n", b"\r", b" ", b"\x00", b" \r\n", b"\r\n" * 20],
    "size": [b"", b"0x5", b"+5", b"-1", b" 5", b"5 ", b"5\t", b"g", b"0" * 17 + b"5", b"1" * 17,
             b"1_0", b"5.", b"F" * 16, b"0" * 15 + b"5", b"5\x00", b"\xd9\xa5", b"1" * 21],
    "extension": [b";", b"; a", b" ;a", b";a =b", b";a= b", b';a="', b";a\x00", b";a\n", b";a\rb",
                  b";=b", b";a=", b";;", b";(a)", b"; ", b" ", b";a\xe9", b';a="\\', b";a" * 200],
    "length": [b"", b"+5", b"-5", b"5 5", b"5, 5", b"5,5", b"0x5", b"5.0", b"1" * 20, b"0" * 19,
               b"0" * 20 + b"5", b"9" * 19, b" 5", b"5\t", b"\xd9\xa5", b"5;", b"1_0", b"5\x00",
               b"5\r\n ", b"05", b"18446744073709551617", b"a", b"\x0b5"],
    "coding": [b"gzip, chunked", b",chunked", b"chunked,", b"chunked, chunked", b"gzip", b"",
               b"identity", b"Chunked", b"CHUNKED ", b"xchunked", b"chunked;q=1", b"chunked, gzip",
               b"\x0bchunked", b"chunked\x00", b'"chunked"', b"chunked gzip", b"\r\n chunked",
               b"chunke", b"chunkedd", b"identity, chunked"],
}  # fmt: skip
Token = tuple[str, bytes]  # kind, text
EOL: Token = ("eol", b"\r\n")


@dataclass(frozen=True)
class Stream:
    seed: int
    number: int
    pieces: tuple[bytes, ...]

    @property
    def data(self) -> bytes:
        return b"".join(self.pieces)


def stream_of(seed: int, number: int) -> Stream:
    random = Random(f"{seed} {number}")
    tokens: list[Token] = []
    for _ in range(random.choice((1, 2, 2, 3))):
        tokens += _request(random)
    for _ in range(random.choice((0, 1, 1, 1, 2, 3))):
        _replace_one(random, tokens)
    data = b"".join(text for _, text in tokens)
    if random.random() < 0.25:
        data = _with_a_byte_changed(random, data)
    if random.random() < 0.05:
        data = data[: random.randrange(len(data) + 1)]
    return Stream(seed, number, split(random, data))


def split(random: Random, data: bytes) -> tuple[bytes, ...]:
    """Split into random segments, rarely into single bytes."""
    if random.random() < 0.03:
        return tuple(data[at : at + 1] for at in range(len(data)))
    cuts = sorted(random.randrange(len(data) + 1) for _ in range(random.choice((0, 0, 1, 2, 5))))
    edges = zip([0, *cuts], [*cuts, len(data)], strict=True)
    return tuple(data[begin:end] for begin, end in edges if begin < end)


def _request(random: Random) -> list[Token]:
    def usual(kind: str) -> Token:
        return kind, random.choice(USUAL[kind])

    head = [usual("empty"), usual("method"), usual("space"), usual("target"), usual("space")]
    fields: list[tuple[Token, Token]] = [(("name", b"Host"), ("value", b"x"))]
    fields += [(usual("name"), usual("value")) for _ in range(random.choice((0, 1, 1, 2, 4)))]
    body: list[Token] = []
    match random.choice(("none", "length", "length", "chunks", "chunks")):
        case "length":
            content = random.choice((b"", b"hello", b"\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"))
            spelling = random.choice((b"Content-Length", b"content-length"))
            fields.append((("name", spelling), ("length", b"%d" % len(content))))
            body = [("content", content)]
        case "chunks":
            fields.append((("name", b"Transfer-Encoding"), ("coding", b"chunked")))
            body = list(_chunks(random))
    random.shuffle(fields)
    head += [usual("version"), EOL]
    for name, value in fields:
        head += [name, usual("colon"), usual("ows"), value, ("ows", b""), EOL]
    return [*head, EOL, *body]


def _chunks(random: Random) -> Iterator[Token]:
    for _ in range(random.choice((0, 1, 1, 2))):
        size = random.choice(USUAL["size"])
        yield "size", size
        yield "extension", random.choice(USUAL["extension"])
        yield EOL
        yield "content", bytes(random.choice(b"ab\r\n0") for _ in range(int(size, 16)))
        yield EOL
    yield "size", random.choice((b"0", b"0", b"000"))
    yield "extension", random.choice(USUAL["extension"])
    yield EOL
    for _ in range(random.choice((0, 0, 0, 1, 2))):
        yield "name", b"X-Trailer"
        yield "colon", b":"
        yield "value", random.choice(USUAL["value"])
        yield EOL
    yield EOL


def _replace_one(random: Random, tokens: list[Token]) -> None:
    at = random.randrange(len(tokens))
    kind, text = tokens[at]
    match random.randrange(8):
        case 0:
            del tokens[at]
        case 1 if kind == "name":  # the header twice, or a second length
            line: list[Token] = [*tokens[at : at + 6]]
            if random.random() < 0.7:
                framing = random.choice(("length", "coding", "host"))
                names = {"length": b"Content-Length", "coding": b"Transfer-Encoding"}
                values = {"length": b"5", "coding": b"chunked"}
                line = [
                    ("name", names.get(framing, b"Host")),
                    ("colon", b": "),
                    (framing, values.get(framing, b"y")),
                    EOL,
                ]
            tokens[at:at] = line
        case _:
            tokens[at] = kind, random.choice(ODD.get(kind, [text]))


def _with_a_byte_changed(random: Random, data: bytes) -> bytes:
    at = random.randrange(len(data) + 1)
    new = bytes([random.choice(b"\x00\t\n\r :;,\x0b\x7f\x80\xff0aA/")])
    return data[:at] + random.choice((b"", new, new)) + data[at + random.choice((0, 1)) :]
