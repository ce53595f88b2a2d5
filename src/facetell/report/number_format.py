# SPDX-License-Identifier: Apache-2.0
"""Numbers as the reports word them: rates, intervals, sizes."""

from collections.abc import Callable, Mapping
from typing import Any

from facetell.evaluation.robustness import bounded
from facetell.report.markdown import ABSENT

Form = Callable[[Any], str]  # how a number is worded


def as_percent(rate: float) -> str:
    """A rate in [0, 1] with as many digits as it has, and a percent sign.

    Examples
    --------
    >>> as_percent(0.001)
    '0.1%'
    """
    return f"{100 * rate:g}%"


def percent(rate: float) -> str:
    """A rate in [0, 1] in percent with two decimals, without a sign: the heading says it.

    Examples
    --------
    >>> percent(0.81)
    '81.00'
    """
    return f"{100 * rate:.2f}"


def with_interval(numbers: Mapping[str, Any], name: str) -> str:
    """One of the ``numbers`` of an evaluation with its interval, where that is defined; a dash
    where the number itself is not.

    Examples
    --------
    >>> with_interval({"auc": 0.9, "interval": {"auc": [0.85, 0.94]}}, "auc")
    '0.900 [0.850, 0.940]'
    """
    if name not in numbers:
        return ABSENT
    return bounded(numbers[name], numbers["interval"].get(name))


def scaled(value: float, units: tuple[str, ...] = ("", " k", " M", " G")) -> str:
    """Three significant digits and a unit of thousands.

    Examples
    --------
    >>> scaled(27579692)
    '27.6 M'
    """
    step = 0
    while value >= 999.5 and step < len(units) - 1:
        value, step = value / 1000, step + 1
    return f"{value:.3g}{units[step]}" if value < 99.95 else f"{value:.0f}{units[step]}"


def storage(gigabytes: float) -> str:
    """A number of 1e9 bytes, with the unit that suits it.

    Examples
    --------
    >>> storage(0.0419)
    '41.9 MB'
    """
    return scaled(1e9 * gigabytes, (" B", " kB", " MB", " GB"))


def counted(number: int, what: str) -> str:
    """A number of things; the plural is regular.

    Examples
    --------
    >>> counted(1, "epoch"), counted(1200, "image")
    ('1 epoch', '1,200 images')
    """
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def listed(names: list[str]) -> str:
    """Names in code type, with commas and an ``and``.

    Examples
    --------
    >>> listed(["a", "b", "c"])
    '`a`, `b` and `c`'
    """
    quoted = [f"`{name}`" for name in names]
    return " and ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)


def tallied(numbers: Mapping[str, int]) -> str:
    """Numbers by kind, those of zero left out.

    Examples
    --------
    >>> tallied({"near copy": 0, "look-alike": 1200})
    '1,200 look-alike'
    """
    return ", ".join(f"{number:,} {kind}" for kind, number in numbers.items() if number)
