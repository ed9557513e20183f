"""The demo's screen: steps, notes, and live lines once a second, which are redrawn on a terminal and appended elsewhere."""

import sys
import textwrap

WIDTH = 78


def step(text):
    print(f"\n== {text}", flush=True)


def note(text, indent="   "):
    print(textwrap.fill(text, WIDTH, initial_indent=indent, subsequent_indent=indent), flush=True)


def quote(text):
    print("\n".join(f"   {line}" for line in text.splitlines() if line), flush=True)


class Live:
    """A block of lines: drawn over itself on a terminal, one line a call elsewhere."""

    def __init__(self):
        self.drawn = 0

    def show(self, lines):
        if not sys.stdout.isatty():
            print("   " + " | ".join(" ".join(line.split()) for line in lines), flush=True)
            return
        up = f"\x1b[{self.drawn}A" if self.drawn else ""
        print(up + "\n".join(f"\x1b[2K   {line}" for line in lines), flush=True)
        self.drawn = len(lines)
