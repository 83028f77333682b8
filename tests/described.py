"""Requests drawn from a server's OpenAPI description, each answer checked against it (schemathesis)."""

import hypothesis
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance]
FEW = hypothesis.settings(
    max_examples=6,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)


def draw_requests(schema, mode, known, settings=FEW, **options) -> list[str]:
    """Draw requests of every operation, half of them about what exists, and check each answer.

    Args:
        schema: of schemathesis.
        mode: requests that the description allows, or ones that it does not.
        known: name of a parameter to a value of something that exists.
        settings: of hypothesis.
        options: of each call.

    Returns:
        The operations that requests were drawn of.
    """
    asked = []
    for result in schema.get_all_operations():
        operation = result.ok()
        # Any text is allowed in a path, so what takes nothing else cannot be asked wrongly.
        if mode == GenerationMode.POSITIVE or operation.query or operation.body:
            _draw(operation, mode, known, settings, options)
            asked.append(operation.label)
    return asked


def _draw(operation, mode, known, settings, options):
    @settings
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode), exists=hypothesis.strategies.booleans())
    def ask(case, exists):
        if exists:
            for place in (case.path_parameters, case.query):
                for name in set(place or ()) & known.keys():
                    place[name] = known[name]
        case.call_and_validate(checks=CHECKS, **options)

    ask()
