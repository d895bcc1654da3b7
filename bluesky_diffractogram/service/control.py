"""``control``: asks a running service, and tells it what to do."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from .console import BAD_INPUT, SOME_FAILED, complain, output, require

SWITCHES = {"on": True, "off": False, "true": True, "false": False}


def control(
    address: Annotated[str, typer.Argument(help="The service's --control: 0mq://127.0.0.1:5579.")],
    request: Annotated[
        str,
        typer.Argument(
            help="status, configuration, results, next, reset, show, collect; or settings as JSON: "
            '\'{"diff_units": "q [1/A]"}\'.'
        ),
    ],
    value: Annotated[str | None, typer.Argument(help="on or off, for show and collect.")] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for the answer.")] = 10.0,
) -> None:
    """Ask the service at ADDRESS, or change its configuration while it runs; the answer is JSON.

    The exit code is 1 when it refuses, and 2 when nobody answers.
    """
    require("zmq", "zmq")
    from ..transport.address import parse_address
    from ..transport.control import ControlRefused, ask
    from ..transport.curve import curve_keys

    word, content = _request(request, value)
    try:
        answer = ask(parse_address(address), word, content, keys=curve_keys(), timeout=timeout)
    except ControlRefused as error:
        complain("error", str(error))
        raise typer.Exit(SOME_FAILED) from None
    except (ValueError, OSError) as error:  # TimeoutError is one
        complain("error", str(error))
        raise typer.Exit(BAD_INPUT) from None
    if answer is not None or word == "results":
        output().print(_lines(answer), soft_wrap=True)


def _lines(answer: Any) -> str:
    """JSON with a line for each key, however long its array is."""
    if not isinstance(answer, dict) or not answer:
        return json.dumps(answer)
    return "{\n" + ",\n".join(f"  {json.dumps(key)}: {json.dumps(each)}" for key, each in answer.items()) + "\n}"


def _request(request: str, value: str | None) -> tuple[str, Any]:
    if request.lstrip().startswith("{"):
        try:
            return "configure", json.loads(request)
        except ValueError as error:
            raise typer.BadParameter(f"the settings are no JSON: {error}") from None
    if value is None:
        return request, None
    if value not in SWITCHES:
        raise typer.BadParameter(f"{value!r}: expected on or off")
    return request, SWITCHES[value]
