"""OpenVINO graphs that are data alone: OpenVINO's own operators, and every number in ``model.bin``."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from synctool.errors import WeightsError
from synctool.weights.graph_files import GraphFiles

GRAPH_FILE = "model.xml"
"""In the folder of a graph; its weights lie beside it in ``NUMBERS_FILE``."""
NUMBERS_FILE = "model.bin"
_OWN_OPERATORS = re.compile(r"opset[1-9][0-9]?")
_LARGEST_GRAPH_BYTES = 256 << 20
_DEEPEST = 64
_REMEDY = "Use a folder that synctool export has written."


class _Refused(Exception):
    """What is wrong with a graph, in words that follow its name."""


def checked_openvino(files: GraphFiles) -> tuple[bytes, bytes]:
    """The graph and its numbers, for ``openvino.Core.read_model``.

    The XML is written anew from what was checked, so that two readers cannot understand two things.
    Operators of extensions are refused, also inside loops and branches, and so are entities, other files
    and numbers that would lie beyond ``model.bin``.

    Args:
        files: The folder.

    Raises:
        WeightsError: It is damaged, or is refused.
    """
    try:
        if set(files.contents) != {GRAPH_FILE, NUMBERS_FILE}:
            raise _Refused(f"does not hold {GRAPH_FILE} and {NUMBERS_FILE} alone")
        graph, numbers = files.contents[GRAPH_FILE], files.contents[NUMBERS_FILE]
        if len(graph) > _LARGEST_GRAPH_BYTES:
            raise _Refused(f"has a {GRAPH_FILE} of {len(graph)} bytes")
        root = _parsed(graph)
        for element in root.iter():
            _check_element(element, len(numbers))
        return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True), numbers
    except _Refused as error:
        raise WeightsError(f"{files.path} is refused: it {error}", remedy=_REMEDY) from error
    except (ElementTree.ParseError, ValueError, LookupError, RecursionError) as error:
        raise WeightsError(
            f"{files.path} cannot be read by OpenVINO: {error}", remedy="Export it again."
        ) from error


class _Builder(ElementTree.TreeBuilder):
    """Builds no tree that is too deep, or that has entities of its own."""

    def __init__(self) -> None:
        super().__init__()
        self._depth = 0

    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        raise _Refused("declares a document type")

    def start(self, tag: str, attributes: dict[str, str]) -> ElementTree.Element:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _Refused("is nested too deep")
        return super().start(tag, attributes)

    def end(self, tag: str) -> ElementTree.Element:
        self._depth -= 1
        return super().end(tag)


def _parsed(graph: bytes) -> ElementTree.Element:
    parser = ElementTree.XMLParser(target=_Builder())
    parser.feed(graph)
    root = parser.close()
    if root.tag != "net":
        raise _Refused(f"begins with <{root.tag}> and not with <net>")
    return root


def _check_element(element: ElementTree.Element, size: int) -> None:
    if element.tag.startswith(
        "__"
    ):  # what OpenVINO notes of files, read back from an untrusted file
        raise _Refused(f"has the note {element.tag}")
    if element.tag == "layer" and not _OWN_OPERATORS.fullmatch(element.get("version", "")):
        raise _Refused(
            f"has the operator {element.get('type')} of {element.get('version') or 'an extension'}"
        )
    if element.tag == "data" and "offset" in element.attrib:
        first, count = int(element.get("offset", "0")), int(element.get("size", "0"))
        if first < 0 or count < 0 or first + count > size:
            raise ValueError(f"there are numbers beyond the end of {NUMBERS_FILE}")
