"""What spans say of a request and of a model call.

Names are those of OpenTelemetry's semantic conventions, or begin with digitserve. No path that is
the client's own, no address of a client, no key: traces leave the machine.
"""

from collections.abc import Mapping

from service.trace import Call, Story

LONGEST = 256  # bytes that are remembered of each thing a client says of itself

Attributes = Mapping[str, str | int]


def attributes_of(story: Story) -> Attributes:
    known = story.method != "other"
    attributes: dict[str, str | int] = {
        "http.request.method": story.method if known else "_OTHER",
        "http.response.status_code": int(story.status),
        "url.scheme": story.scheme,
        "network.protocol.version": story.trace.version,
        "digitserve.request_id": story.request_id.decode(),
    }
    if story.route != "other":
        attributes["http.route"] = story.route
        if "{" not in story.route:  # elsewhere the path is the client's, and not told
            attributes["url.path"] = story.route
    if story.status >= "500":
        attributes["error.type"] = story.status
    if story.problem is not None:
        attributes["digitserve.problem"] = story.problem
    if story.inside is not None:
        name, version = story.inside.call.model
        attributes["digitserve.model.name"] = name
        attributes["digitserve.model.version"] = version
        attributes["digitserve.pictures"] = story.inside.pictures
    return attributes | _told_by_the_client(story)


def _told_by_the_client(story: Story) -> dict[str, str | int]:
    attributes: dict[str, str | int] = {}
    address = story.host.decode("latin-1")
    host, _, port = address.rpartition(":")  # [::1]:8000 too
    if host and port.isascii() and port.isdecimal():
        attributes["server.address"], attributes["server.port"] = host, int(port[:5])
    elif address:
        attributes["server.address"] = address
    if story.agent:
        attributes["user_agent.original"] = story.agent.decode("latin-1")
    return attributes


def attributes_of_call(call: Call) -> Attributes:
    name, version = call.model
    return {
        "digitserve.batch.size": call.pictures,
        "digitserve.provider": call.provider,
        "digitserve.model.name": name,
        "digitserve.model.version": version,
    }
