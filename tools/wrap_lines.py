"""Breaks lines of more than 100 columns, and leaves all others as they are: python
tools/wrap_lines.py [FILE...]

C++ goes through clang-format, Python through black (`pip install black`), each told which lines to
touch; what is left in
Python, comments and docstrings, moves word by word to a line of its own. `--check` only lists what
is too long.
"""

import ast
import io
import re
import subprocess
import sys
import tokenize
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COLUMNS = 100


def sources():
    listed = subprocess.run(
        ["git", "ls-files", "*.cpp", "*.h", "*.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.split()]


def long_lines(path):
    """Numbers of the lines that are too long. Text inside strings, which breaks no better, may
    be."""
    source = path.read_text()
    found = [k for k, line in enumerate(source.split("\n"), 1) if len(line) > COLUMNS]
    if not found or path.suffix != ".py":
        return [k for k in found if not re.match(r'\s*R?"', source.split("\n")[k - 1])]
    inside = set()
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, (ast.JoinedStr, ast.Constant)):
            continue
        if isinstance(node, ast.Constant) and not isinstance(node.value, (str, bytes)):
            continue
        wide = node.end_col_offset - node.col_offset > COLUMNS // 2
        if wide or node.end_lineno > node.lineno:
            inside.update(range(node.lineno, node.end_lineno + 1))
    return [k for k in found if k not in inside]


def texts(source):
    """Lines inside docstrings and those that are comments: {line: what a continuation begins
    with}."""
    found = {}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        first, last = token.start[0], token.end[0]
        alone = not token.line[: token.start[1]].strip()
        if token.type == tokenize.COMMENT and not re.match("# (type|noqa|pragma)", token.string):
            found[first] = " " * token.start[1] + "# " if alone else None
        elif (
            token.type == tokenize.STRING and alone and token.string.lstrip("rbf").startswith('"""')
        ):
            found.update({k: "" for k in range(first, last + 1)})
    return found


def flows(line, start):
    """Whether words may be put before this line of text: it goes on with the sentence above."""
    return line.startswith(start) and line[len(start) :][:1].isalpha()


def wrap_words(path):
    lines = path.read_text().split("\n")
    kinds = texts("\n".join(lines))
    out, carried = [], ""
    for k, line in enumerate(lines, 1):
        if carried:
            line, carried = line[: len(start)] + carried + " " + line[len(start) :], ""
        if len(line) <= COLUMNS or k not in kinds:
            out.append(line)
            continue
        start = kinds[k]
        if start is None:  # a comment behind code goes above it
            code, _, comment = line.rpartition("  # ")
            out += [f"{re.match(' *', line)[0]}# {comment}", code]
            continue
        start = start or re.match(" *", line)[0]
        if re.search("-{9,}$", line):  # a heading
            out.append(line[:COLUMNS])
            continue
        while len(line) > COLUMNS and " " in line[len(start) : COLUMNS]:
            at = line.rindex(" ", 0, COLUMNS + 1)
            out.append(line[:at].rstrip())
            line = start + line[at + 1 :]
        if kinds.get(k + 1) == kinds[k] and flows(lines[k], start):
            carried = line[len(start) :]
        else:
            out.append(line)
    path.write_text("\n".join(out))


def formatted(command, option, path):
    """Runs a formatter on the lines that are too long, if there are any."""
    numbers = long_lines(path)
    if numbers:
        subprocess.run([*command, *(option.format(k) for k in numbers), path], check=True)


def wrap(path):
    black = [sys.executable, "-m", "black", "-q", "-l", str(COLUMNS), "--skip-magic-trailing-comma"]
    for _ in range(2):  # what moved may be too long once more
        if path.suffix == ".py":
            wrap_words(path)
            formatted(black, "--line-ranges={0}-{0}", path)
        else:
            formatted(["clang-format", "-i", "-style=file"], "-lines={0}:{0}", path)


if __name__ == "__main__":
    given = [Path(a).resolve() for a in sys.argv[1:] if a != "--check"] or sources()
    if "--check" not in sys.argv:
        for path in given:
            wrap(path)
    left = [(path.relative_to(ROOT), k) for path in given for k in long_lines(path)]
    for path, k in left:
        print(f"{path}:{k}")
    sys.exit(bool(left))
