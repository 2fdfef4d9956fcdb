"""Takes English sentences and paragraphs from this repository's own documentation, one a line.

    python3 make_sentences.py > sentences.txt

The documentation is that of one commit, so that the text stays the same while the documentation goes on.
"""

import hashlib
import re
import subprocess
import sys

COMMIT = "e82271aaa395936527b726bbe612cf8766cfc56d"
COUNT = 540
# Sentences that one line holds; short ones and long ones alike.
SENTENCES = (1, 2, 3, 5)


def git(*arguments):
    return subprocess.run(("git", *arguments), check=True, capture_output=True, text=True).stdout


def comments(source):
    """The documentation and remarks of a Rust file, a block each."""
    source = re.sub(r"```.*?```", "", source, flags=re.S)
    block = []
    for line in [*source.splitlines(), ""]:
        found = re.match(r"\s*//[/!]?\s?(.*)", line)
        if found and found[1].strip() and not found[1].startswith(("#", "|", "-", " ")):
            block.append(found[1].strip())
        elif block:
            yield " ".join(block)
            block = []


def paragraphs(text):
    """The paragraphs and list items of a Markdown file."""
    text = re.sub(r"```.*?```", "", text, flags=re.S)
    for block in re.split(r"\n\s*\n|\n(?=\s*[-*] )", text):
        if block.strip() and not block.lstrip().startswith(("#", "|", "<", "!")):
            yield re.sub(r"^\s*[-*] ", "", " ".join(block.split()))


def plain(text):
    """The text without marks of Markdown and rustdoc."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = text.replace("`", "").replace("**", "").replace("[", "").replace("]", "")
    return " ".join(re.sub(r"(?<!\w)\*([^*]+)\*", r"\1", text).split())


def is_english(sentence):
    letters = sum(c.isalpha() or c in " ,.;'-" for c in sentence)
    return (
        len(sentence.split()) >= 6
        and sentence[0].isupper()
        and sentence[-1] == "."
        and letters > 0.93 * len(sentence)
        and "SAFETY" not in sentence
    )


def main():
    lines = set()
    for name in git("ls-tree", "-r", "--full-tree", "--name-only", COMMIT).splitlines():
        take = {"rs": comments, "md": paragraphs}.get(name.rsplit(".", 1)[-1])
        blocks = map(plain, take(git("show", f"{COMMIT}:{name}"))) if take else ()
        sentences = [s for block in blocks for s in re.split(r"(?<=[.:]) (?=[A-Z])", block) if s and is_english(s)]
        while sentences:
            # As many as a hash says: varied, and the same on every run.
            want = SENTENCES[hashlib.sha256(sentences[0].encode()).digest()[0] % len(SENTENCES)]
            lines.add(" ".join(sentences[:want]))
            sentences = sentences[want:]
    # In an order that mixes the files: what is calibrated on is like what is judged.
    ordered = sorted(lines, key=lambda line: hashlib.sha256(line.encode()).digest())
    if len(ordered) < COUNT:
        sys.exit(f"only {len(ordered)} lines")
    print("\n".join(ordered[:COUNT]))


main()
