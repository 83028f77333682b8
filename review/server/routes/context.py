"""What every path is given: the review, and the case that its address names."""

from typing import Annotated

from fastapi import Depends, Request

from review.service import Service
from review.store.cases import Case, get_case


def service_of(request: Request) -> Service:
    """The open review."""
    return request.app.state.service


def case_of_path(request: Request, case_id: str) -> Case:
    """The case in the path, by its name in the database; no part of a path is ever made of it."""
    return get_case(service_of(request).database, case_id)


Review = Annotated[Service, Depends(service_of)]
OneCase = Annotated[Case, Depends(case_of_path)]
