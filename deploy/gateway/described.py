"""What OpenAPI says beyond what the types of the routes say: bodies that are read by hand, and how a refusal looks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example, OpenAPIMediaType, OpenAPIType, Operation, Reference, RequestBody, Schema

from deploy.gateway.answers import Error

_SAID: Final = {
    400: "The request cannot be read; `hint` says what would be right",
    401: "From another machine: the token is missing or wrong",
    403: "Another name or another site's page, or from another machine without a token set here",
    404: "There is nothing of this name",
    413: "The body is larger than can be used",
    416: "The range lies beyond the end; Content-Range says how large the file is",
    422: "Refused, with the reason; `hint` is a line that would be right",
    429: "The queue is full: come back after Retry-After",
    503: "Postgres or Redis does not answer: come back after Retry-After",
}
#: What every route but the open ones may answer.
_ALWAYS: Final = (401, 403, 503)


def refusals(*statuses: int) -> dict[int, ResponseSpec]:
    """How these look, beside what may always come."""
    return {status: _spec(status) for status in sorted({*_ALWAYS, *statuses})}


def _spec(status: int) -> ResponseSpec:
    return ResponseSpec(Error, generate_examples=False, description=_SAID[status])


def _body(description: str, *, required: bool, example: dict[str, Any], needs: tuple[str, ...] = ()) -> RequestBody:
    fields: dict[str, Reference | Schema] = {name: Schema(type=OpenAPIType.STRING) for name in needs}
    schema = Schema(type=OpenAPIType.OBJECT, properties=fields or None, required=list(needs) or None)
    shown = OpenAPIMediaType(schema=schema, examples={"usual": Example(value=example)})
    return RequestBody(description=description, required=required, content={"application/json": shown})


@dataclass
class WithReason(Operation):
    """A command whose body may say why."""

    def __post_init__(self) -> None:
        """Say so."""
        said = "May say why, as `reason`; one that cannot be read is passed over."
        self.request_body = _body(said, required=False, example={"reason": "the voice sounds wrong"})


@dataclass
class WithCommand(Operation):
    """Fields of stream:control."""

    def __post_init__(self) -> None:
        """Say so."""
        said = "The fields of a command of stream:control."
        self.request_body = _body(said, required=True, example={"type": "mode", "mode": "economy"}, needs=("type",))


@dataclass
class WithRequest(Operation):
    """Fields of stream:intake, or a CloudEvent that has them as its data."""

    def __post_init__(self) -> None:
        """Say so."""
        said = "The fields of stream:intake; only `topic` is needed. Fields that are not known are kept with the video."
        example = {"topic": "Why octopuses have three hearts", "length": "60s", "aspect": "16:9"}
        self.request_body = _body(said, required=True, example=example, needs=("topic",))
        event = {"specversion": "1.0", "id": "7", "source": "/blog", "type": "video.requested", "data": example}
        schema = Schema(type=OpenAPIType.OBJECT, required=["specversion", "id", "source", "data"])
        self.request_body.content["application/cloudevents+json"] = OpenAPIMediaType(
            schema=schema, examples={"usual": Example(value=event)}
        )


@dataclass
class WithToken(Operation):
    """The token."""

    def __post_init__(self) -> None:
        """Say so."""
        self.request_body = _body("The token.", required=True, example={"token": "..."}, needs=("token",))
