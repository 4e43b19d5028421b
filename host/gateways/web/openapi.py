"""The API described as OpenAPI 3.1, served at /api/openapi.json and tested against the bridge."""

from typing import Any

from host.bridge import VERSION
from host.bridge.commands import COMMANDS
from host.bridge.link import State
from host.bridge.registry import Status

Schema = dict[str, Any]

INTEGER: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
DEVICE: Schema = {"type": "string", "pattern": "^[a-z0-9_-]{1,32}$"}


def _object(required: str, **properties: Schema) -> Schema:
    return {"type": "object", "required": required.split(), "properties": properties}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _schemas() -> Schema:
    shapley = _object(
        "of unit base sum total err values",
        of=TEXT,
        unit=TEXT,
        base=NUMBER,
        sum=NUMBER,
        total=NUMBER,
        err={"type": "number", "description": "additivity error, 0 when the sum is exact"},
        values=_list(_object("name value", name=TEXT, value=NUMBER)),
    )
    record = _object(
        "id dev t boot seq at why",
        id={"type": "integer", "description": "place in the store; `before` pages on it"},
        dev=DEVICE,
        t={"enum": ["dec", "alarm"]},
        boot=INTEGER,
        seq=INTEGER,
        at={"type": "integer", "description": "seconds since 1970"},
        why=TEXT,
        shapley=_ref("Shapley"),
    )
    link = _object(
        "port state detail device stats",
        port=TEXT,
        state={"enum": [each.value for each in State]},
        detail=TEXT,
        device=_or_null(DEVICE),
        stats={"type": "object", "additionalProperties": INTEGER},
    )
    board = _object(
        "device status tel tel_at health alarms link",
        device=DEVICE,
        status={"enum": [each.value for each in Status]},
        fw=_or_null(TEXT),
        board=_or_null(TEXT),
        models={"type": "object"},
        safe=FLAG,
        boot=_or_null(INTEGER),
        limit_mc=_or_null(NUMBER),
        tel={"type": "object", "description": "newest telemetry, docs/frames.md"},
        tel_at={"type": "number", "description": "when it came, seconds since 1970; 0: never"},
        health={"type": "object"},
        reason=_or_null(TEXT),
        alarms=_list(_ref("Record")),
        link=_or_null(_ref("Link")),
    )
    fleet = _object(
        "site now boards links point",
        site=TEXT,
        now=NUMBER,
        store_problem=_or_null(TEXT),
        stored=INTEGER,
        boards=_list(_ref("Board")),
        links=_list(_ref("Link")),
        point=_list(TEXT),
    )
    status = _object(
        "device status case_c fan alarms reason at",
        device=DEVICE,
        status={"enum": [each.value for each in Status]},
        case_c=_or_null(NUMBER),
        limit_c=_or_null(NUMBER),
        power_w=_or_null(NUMBER),
        fan=_or_null({"enum": ["ON", "OFF"]}),
        reason=_or_null(TEXT),
        alarms=_list(_object("kind why", kind=TEXT, why=TEXT)),
        at=_or_null(TEXT),
    )
    command = _object(
        "device name",
        device=DEVICE,
        name={"enum": list(COMMANDS)},
        args={"type": "object", "additionalProperties": INTEGER},
        id={"type": "string", "minLength": 1, "maxLength": 32},
    )
    answer = _object("id ok", id=TEXT, ok=FLAG, msg=TEXT, data={})
    audit = _object("at source who device id name ok", at=NUMBER, who=TEXT, device=TEXT)
    return {
        "Shapley": shapley,
        "Record": record,
        "Link": link,
        "Board": board,
        "Fleet": fleet,
        "Status": status,
        "Command": command,
        "Answer": answer,
        "AuditEntry": audit,
        "Problem": _object("error", error=TEXT),
    }


def _json(schema: Schema, text: str = "as asked") -> Schema:
    return {"description": text, "content": {"application/json": {"schema": schema}}}


PROBLEM = _json({"$ref": "#/components/schemas/Problem"}, "the error, in words")
ALWAYS = {"401": PROBLEM, "429": PROBLEM, "413": PROBLEM, "421": PROBLEM, "503": PROBLEM}


def _query(name: str, schema: Schema, text: str) -> Schema:
    return {"name": name, "in": "query", "schema": schema, "description": text}


def _path(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _get(summary: str, ok: Schema, *parameters: Schema, **more: Schema) -> Schema:
    other = {code.lstrip("_"): response for code, response in more.items()}
    responses = {"200": ok, **other, **ALWAYS}
    return {"get": {"summary": summary, "parameters": list(parameters), "responses": responses}}


def _csv(text: str) -> Schema:
    return {"description": text, "content": {"text/csv": {"schema": TEXT}}}


def _paths() -> Schema:
    whole = {"type": "integer", "minimum": 1}
    device = _query("device", DEVICE, "of this board only")
    limit = _query("limit", {**whole, "maximum": 500}, "at most so many")
    rows = _query("limit", {**whole, "maximum": 1_000_000}, "at most so many rows")
    before = _query("before", {**whole, "maximum": 2**63 - 1}, "older than this id")
    records = {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}
    post = {
        "summary": "Ask a board something; answered within ten seconds",
        "description": "A browser session sends its CSRF token, a program its bearer token.",
        "parameters": [
            {"name": "X-Fanwise-CSRF", "in": "header", "schema": TEXT, "description": "a session's"}
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _ref("Command")}},
        },
        "responses": {
            "200": _json(_ref("Answer"), "the board's answer"),
            "400": PROBLEM,
            "403": PROBLEM,
            "404": PROBLEM,
            "502": _json(_ref("Answer"), "refused, or no answer; `msg` says which"),
            **ALWAYS,
        },
    }
    session = _object("csrf user role commands", csrf=TEXT, user=TEXT, role=TEXT)
    audit = _object("commands", commands=_list(_ref("AuditEntry")))
    return {
        "/api/boards": _get("All boards, and ports without one", _json(_ref("Fleet"))),
        "/api/status": _get(
            "All boards in few words", _json(_object("boards", boards=_list(_ref("Status"))))
        ),
        "/api/status/{device}": _get(
            "One board in few words, for other people's pages",
            _json(_ref("Status")),
            _path("device", DEVICE),
            _404=PROBLEM,
        ),
        "/api/history/{device}": _get(
            "Up to 900 points for a chart; columns: `point` of /api/boards",
            _json(_object("points", points=_list(_list({})))),
            _path("device", DEVICE),
            _404=PROBLEM,
        ),
        "/api/decisions": _get(
            "Decisions, newest first, at most 500",
            _json(_object("decisions", decisions=_list(_ref("Record")))),
            device,
            limit,
            before,
            _400=PROBLEM,
        ),
        "/api/decisions/{device}/{boot}/{seq}": _get(
            "One record",
            _json(_ref("Record")),
            _path("device", DEVICE),
            _path("boot", records),
            _path("seq", records),
            _404=PROBLEM,
        ),
        "/api/alarms": _get(
            "Alarms, newest first, at most 500",
            _json(_object("alarms", alarms=_list(_ref("Record")))),
            device,
            limit,
            before,
            _400=PROBLEM,
        ),
        "/api/decisions.csv": _get(
            "Decisions as CSV", _csv("newest first"), device, rows, _400=PROBLEM
        ),
        "/api/telemetry.csv": _get(
            "Readings kept of a board as CSV",
            _csv("oldest first"),
            {**device, "required": True},
            _query("hours", {**whole, "maximum": 24 * 366}, "of the last so many hours"),
            rows,
            _400=PROBLEM,
        ),
        "/api/commands": {**_get("The newest 50 of the audit", _json(audit)), "post": post},
        "/api/session": _get("Who you are and what you may ask", _json(session)),
        "/health": _get("The process answers", _json(_object("ok", ok=FLAG))),
        "/ready": _get("The store takes records", _json(_object("ready", ready=FLAG))),
        "/metrics": _get(
            "For Prometheus", {"description": "text", "content": {"text/plain": {"schema": TEXT}}}
        ),
    }


def description() -> Schema:
    """The whole document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Fanwise bridge",
            "version": VERSION,
            "description": "Boards, decisions with exact Shapley values, alarms and commands.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": _paths(),
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}, {}],
    }
