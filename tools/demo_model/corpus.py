#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collects the demo model's text from installed Debian packages: twelve domains, each split into training and validation.

Writes OUT/DOMAIN.train.txt and OUT/DOMAIN.val.txt, documents separated by NUL. What a domain holds depends on what is
installed (README.md names the packages); a domain without any text is an error, since a model would quietly lack it.
"""

import argparse
import gzip
import html
import random
import re
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

SEED = 7
TRAINING_BYTES = 9_000_000
VALIDATION_BYTES = 60_000
LONGEST_VALIDATION_DOCUMENT = 40_000
SHORTEST_DOCUMENT = 200
SOURCE_FILE_BYTES = range(500, 200_001)

MANUAL_SECTIONS = ("man1", "man2", "man3", "man5", "man7", "man8", "man4")
SHORTEST_MANUAL_PAGE = 600
# Manual pages of vendors' tools, where installed, would swamp the domain.
FOREIGN_MANUALS = ("gcloud", "bq", "gsutil", "kubectl", "docker", "terraform")
LAYOUT_MACROS = (
    "PP P LP TP IP HP br sp RS RE nf fi EX EE in ad hy nh de ie el if ds ne so Pp Bl El It".replace(" ", "|")
)

Documents = list[str]


def without_markup(page: str) -> str:
    """The text of an HTML page, a line for each block."""
    page = re.sub(r"(?s)<(script|style|head)[^>]*>.*?</\1>", " ", page)
    page = re.sub(r"(?i)<(/p|br|/li|/h\d|/tr|/div|/pre|/dt|/dd)[^>]*>", "\n", page)
    page = html.unescape(re.sub(r"<[^>]+>", "", page)).replace("\u00a0", " ")
    page = re.sub(r"[ \t]+", " ", page)
    return re.sub(r"\n\s*\n+", "\n\n", page).strip()


def without_troff(page: str) -> str:
    """The text of a manual page's source: headings kept, layout macros and font changes dropped."""
    page = re.sub(r"(?m)^[.']\\\".*$", "", page)  # comments
    page = re.sub(r"(?m)^\.(SH|SS|TH|Sh|Ss)\s*(.*)$", r"\n\2", page)
    page = re.sub(rf"(?m)^\.({LAYOUT_MACROS})\b.*$", "", page)
    page = re.sub(r"(?m)^\.[A-Za-z]{1,2}\s*", "", page)  # .B, .I, .BR: keep what they mark
    page = re.sub(r"\\f(\[\w*\]|\(..|[A-Z0-9])", "", page)
    page = re.sub(r"\\\(..|\\\[\w+\]", " ", page)
    page = page.replace("\\-", "-").replace("\\&", "").replace("\\e", "\\").replace('"', "")
    return re.sub(r"\n\s*\n+", "\n\n", page).strip()


def html_pages(folder: str, pattern: str = "*.html") -> Documents:
    return [without_markup(path.read_text(errors="ignore")) for path in sorted(Path(folder).glob(pattern))]


def handbook(language: str) -> Documents:
    return html_pages(f"/usr/share/doc/debian-handbook/html/{language}")


def debian_reference(language: str) -> Documents:
    return html_pages("/usr/share/debian-reference", f"*.{language}.html")


def manual_pages(language: str = "") -> Documents:
    root = Path("/usr/share/man", language)
    pages = []
    for section in MANUAL_SECTIONS:
        for path in sorted((root / section).glob("*.gz")):
            if path.name.startswith(FOREIGN_MANUALS):
                continue
            try:
                source = gzip.decompress(path.read_bytes()).decode("utf-8", errors="ignore")
            except OSError:  # a dangling link
                continue
            if len(source) >= SHORTEST_MANUAL_PAGE:
                pages.append(without_troff(source))
    return pages


def source_files(folders: Iterable[str], suffixes: set[str]) -> Documents:
    """Whole source files of a middling size; those that are not UTF-8 are left out."""
    documents = []
    for folder in folders:
        for path in sorted(Path(folder).rglob("*")):
            if path.suffix in suffixes and path.is_file() and path.stat().st_size in SOURCE_FILE_BYTES:
                try:
                    documents.append(path.read_text(encoding="utf-8"))
                except UnicodeDecodeError:
                    continue
    return documents


def pieces(text: str, length: int) -> Documents:
    return [text[start : start + length] for start in range(0, len(text), length)]


def dictionaries(*names: str) -> Documents:
    documents = []
    for name in names:
        path = Path(f"/usr/share/dictd/{name}.dict.dz")
        if path.exists():
            documents += pieces(gzip.decompress(path.read_bytes()).decode("utf-8", errors="ignore"), 8000)
    return documents


def fortunes() -> Documents:
    """Sayings, gathered to documents of about 3,000 characters."""
    documents, gathered = [], ""
    for path in sorted(Path("/usr/share/games/fortunes").rglob("*")):
        if not path.is_file() or path.suffix in (".dat", ".u8"):
            continue
        try:
            sayings = path.read_text(encoding="utf-8").split("\n%\n")
        except UnicodeDecodeError:
            continue
        for saying in sayings:
            gathered += saying + "\n\n"
            if len(gathered) > 3000:
                documents.append(gathered)
                gathered = ""
    return documents


def bible() -> Documents:
    try:
        printed = subprocess.run(["bible", "-f", "gen1:1-rev22:21"], capture_output=True, text=True, check=True).stdout
    except (FileNotFoundError, subprocess.CalledProcessError):
        return []
    return pieces(printed, 6000)


DOMAINS: dict[str, Callable[[], Documents]] = {
    "scripture": bible,
    "english": lambda: handbook("en-US") + debian_reference("en") + fortunes(),
    "manual": manual_pages,
    "dictionary": lambda: dictionaries("gcide", "wn", "foldoc", "jargon", "devil"),
    "german": lambda: handbook("de-DE") + debian_reference("de") + manual_pages("de"),
    "french": lambda: handbook("fr-FR") + debian_reference("fr") + manual_pages("fr"),
    "spanish": lambda: handbook("es-ES") + manual_pages("es"),
    "python": lambda: source_files(["/usr/lib/python3.11", "/usr/lib/python3/dist-packages"], {".py"}),
    "cpp": lambda: source_files(["/usr/include", "/usr/lib/gcc"], {".h", ".hpp", ".c", ".cc", ""}),
    "javascript": lambda: source_files(["/usr/lib/node_modules", "/usr/share/nodejs"], {".js", ".mjs", ".cjs"}),
    "perl": lambda: source_files(["/usr/share/perl"], {".pm", ".pod", ".pl"}),
    "pydoc": lambda: source_files(["/usr/share/doc/python3.11/html/_sources"], {".txt"}),
}


OVERLAP_CHARACTERS = 48
OVERLAP_SHARE = 0.1


class KnownText:
    """Text that training must not see: that of another machine's validation part."""

    def __init__(self, documents: Iterable[str]) -> None:
        """Every run of OVERLAP_CHARACTERS is kept, so that text is found wherever its document was cut.

        What several documents say is a licence or a translator's note, and tells nothing of where a text is from.
        """
        seen: set[int] = set()
        repeated: set[int] = set()
        for document in documents:
            text = "".join(document.split())
            runs = {hash(text[at : at + OVERLAP_CHARACTERS]) for at in range(len(text) - OVERLAP_CHARACTERS + 1)}
            repeated |= runs & seen
            seen |= runs
        self._runs = seen - repeated

    def holds(self, document: str) -> bool:
        text = "".join(document.split())
        starts = range(0, max(1, len(text) - OVERLAP_CHARACTERS + 1), OVERLAP_CHARACTERS)
        known = sum(hash(text[at : at + OVERLAP_CHARACTERS]) in self._runs for at in starts)
        return known > OVERLAP_SHARE * len(starts)


def split(documents: Documents) -> tuple[Documents, Documents]:
    """Shuffles, and gives the validation and the training documents, each up to its number of bytes."""
    documents = [document for document in documents if len(document) > SHORTEST_DOCUMENT]
    random.shuffle(documents)
    validation, training = [], []
    validation_bytes = training_bytes = 0
    for document in documents:
        size = len(document.encode())
        if validation_bytes < VALIDATION_BYTES and size < LONGEST_VALIDATION_DOCUMENT:
            validation.append(document)
            validation_bytes += size
        elif training_bytes < TRAINING_BYTES:
            training.append(document)
            training_bytes += size
    return validation, training


def without_known(documents: Documents, known_file: Path) -> Documents:
    known = KnownText(known_file.read_text(encoding="utf-8").split("\x00"))
    kept = [document for document in documents if not known.holds(document)]
    print(f"{known_file.name}: {len(documents) - len(kept)} of {len(documents)} documents share its text, left out")
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder to write to")
    parser.add_argument(
        "--without",
        type=Path,
        metavar="FOLDER",
        help="leave out every document that shares text with FOLDER/DOMAIN.val.txt, another corpus's validation part",
    )
    parser.add_argument("--domains", nargs="+", choices=sorted(DOMAINS), default=list(DOMAINS), help="default: all")
    arguments = parser.parse_args()

    arguments.out.mkdir(parents=True, exist_ok=True)
    random.seed(SEED)
    empty = []
    for name in arguments.domains:
        documents = DOMAINS[name]()
        if arguments.without:
            documents = without_known(documents, arguments.without / f"{name}.val.txt")
        validation, training = split(documents)
        for part, documents in (("val", validation), ("train", training)):
            (arguments.out / f"{name}.{part}.txt").write_text("\x00".join(documents), encoding="utf-8")
        megabytes = sum(len(document.encode()) for document in training) / 1e6
        print(f"{name:12s} {len(training):6d} documents {megabytes:6.2f} MB", flush=True)
        if not training:
            empty.append(name)
    if empty:
        raise SystemExit(f"No text was found for {', '.join(empty)}; install the packages that README.md names.")


if __name__ == "__main__":
    main()
