#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Of a BTF dump in C (`bpftool btf dump ... format c`) the types that some sources name.

usage: trim_btf.py DUMP ORIGIN SOURCE...

- Structs, unions, enums and typedefs whose name is a word in a source, and enums that have a
  constant named so.
- Context types (struct __sk_buff and what begins with bpf_ or sk_) whole, since their layout
  is an interface; of other structs the members that a source names: CO-RE finds a member by
  its name, wherever it is.
- What those contain by value, likewise. What they point to is declared only.
"""
import re
import sys

WORD = re.compile(r"[A-Za-z_]\w*")
KEYWORDS = set("struct union enum const volatile char short int long unsigned signed void _Bool "
               "__attribute__ packed aligned float double restrict".split())
# Of the standard integer types all: helpers' declarations use many.
BASE = set("__u8 __u16 __u32 __u64 __s8 __s16 __s32 __s64 u8 u16 u32 u64 s8 s16 s32 s64 bool "
           "__be16 __be32 __be64 __le16 __le32 __le64 __wsum __sum16 size_t".split())
WHOLE = re.compile(r"^(struct|union) (__sk_buff|sk_(?!buff$)\w+|bpf_\w+)$")


def code_of(paths):
    """The sources without their comments."""
    return "\n".join(re.sub(r"/\*.*?\*/|//[^\n]*", " ", open(path).read(), flags=re.S)
                     for path in paths)


def blocks_of(text):
    """Top-level declarations: lists of lines."""
    block, depth = [], 0
    for line in text.splitlines():
        if line.startswith("#") or (not line.strip() and not block):
            continue
        block.append(line)
        depth += line.count("{") - line.count("}")
        if depth == 0 and line.rstrip().endswith(";"):
            yield block
            block = []


def name_of(block):
    """"struct sock", "enum", "typedef u32", or None."""
    first = block[0]
    if first.startswith("typedef"):
        last = block[-1]
        m = (re.search(r"\(\*+ *(?:const )?(\w+)\)?(\[\w*\])*\)\S", last) or
             re.search(r"(\w+)(\[\w*\])*( __attribute__.*)?;$", last) or
             re.search(r"(\w+)\(", last))
        return "typedef " + m.group(1)
    m = re.match(r"(struct|union|enum)( \w+)?", first)
    return m.group(0) if m else None


def member_name(line):
    """Name that the declaration in @line gives, or None."""
    line = re.sub(r"__attribute__\(\(.*?\)\)\)?", "", line).strip().rstrip(";")
    m = re.search(r"\(\*+(\w+)(\[\w*\])*\)\(", line)
    if m:
        return m.group(1)
    line = re.sub(r":\s*\d+$", "", line)
    line = re.sub(r"(\[\w*\])+$", "", line.strip())
    m = re.search(r"(\w+)$", line)
    # Padding ("long: 64") has no name.
    return m.group(1) if m and m.group(1) not in KEYWORDS else None


def members_of(lines):
    """Members of a body: each a list of lines, nested ones whole."""
    member, depth = [], 0
    for line in lines:
        if not line.strip():
            continue
        member.append(line)
        depth += line.count("{") - line.count("}")
        if depth == 0 and line.rstrip().endswith(";"):
            yield member
            member = []


def trimmed(body, words):
    """The members of @body that @words name; inside anonymous ones, their members."""
    out = []
    for member in members_of(body):
        if len(member) == 1:
            if member_name(member[0]) in words:
                out += member
            continue
        tail = re.sub(r"__attribute__\(\(.*?\)\)", "", member[-1]).strip(" \t;")
        name = tail.lstrip("}").strip()
        inner = trimmed(member[1:-1], words)
        if inner and (not name or re.sub(r"\[.*", "", name) in words):
            out += [member[0], *inner, member[-1]]
    return out


def referred(lines, whole_body):
    """(types contained by value, types pointed to) that @lines refer to."""
    by_value, pointed = set(), set()
    for line in lines:
        code = re.sub(r"__attribute__\(\(.*?\)\)", "", line)
        pointer = "*" in code
        for m in re.finditer(r"\b(struct|union|enum) (\w+)", code):
            (pointed if pointer and m.group(1) != "enum" else by_value).add(m.group(0))
        rest = re.sub(r"\b(struct|union|enum) \w+", "", code)
        name = member_name(line) if whole_body else None
        for w in WORD.findall(rest):
            if w not in KEYWORDS and w != name:
                by_value.add("typedef " + w)
    return by_value, pointed


class Trim:
    def __init__(self, text, words):
        self.words = words
        self.types = {}     # name: block
        self.anonymous = []  # enums
        self.order = {}
        for i, block in enumerate(blocks_of(text)):
            name = name_of(block)
            if name == "enum":
                self.anonymous.append(block)
            elif name and ("{" in block[0] or name.startswith("typedef")):
                self.types[name] = block
                self.order[name] = i
        self.done = {}      # name: lines
        self.declared = set()

    def names_constant(self, block):
        return any(m.group(1) in self.words
                   for line in block[1:-1] if (m := re.match(r"\s+(\w+)", line)))

    def add(self, name):
        if name in self.done:
            return
        block = self.types.get(name)
        if block is None:
            return
        lines = block
        # Empty ones are of one line.
        if len(block) > 1 and name.startswith(("struct", "union")) and not WHOLE.match(name):
            lines = [block[0], *trimmed(block[1:-1], self.words), block[-1]]
        self.done[name] = lines
        inner = lines[1:-1] if not name.startswith("typedef") else lines
        if name.startswith("enum"):
            return
        by_value, pointed = referred(inner, True)
        self.declared |= pointed
        for other in sorted(by_value):
            if other != name:
                self.add(other)

    def roots(self):
        for name, block in self.types.items():
            kind, word = name.split(" ")
            if kind == "typedef":
                wanted = word in BASE or (word.endswith("_t") and word in self.words)
            else:
                wanted = name in self.phrases
            if wanted or (kind == "enum" and self.names_constant(block)):
                yield name

    def run(self, phrases):
        self.phrases = phrases
        for name in list(self.roots()):
            self.add(name)
        enums = [b for b in self.anonymous if self.names_constant(b)]
        out = [f"{name};" for name in sorted(self.declared)]
        for block in enums:
            out += ["", *block]
        for name in sorted(self.done, key=self.order.get):
            out += ["", *self.done[name]]
        return "\n".join(out)


def main(dump, origin, *sources):
    code = code_of(sources)
    phrases = {re.sub(r"\s+", " ", m.group(0))
               for m in re.finditer(r"\b(struct|union|enum)\s+\w+", code)}
    body = Trim(open(dump).read(), set(WORD.findall(code))).run(phrases)
    print(f"/* From {origin} */")
    print("/* SPDX-License-Identifier: GPL-2.0-only */")
    print("/* Written by scripts/gen_vmlinux.sh: what our BPF sources name, and no more. */")
    print("#ifndef __VMLINUX_H__\n#define __VMLINUX_H__\n")
    print("#pragma clang attribute push (__attribute__((preserve_access_index)), "
          "apply_to = record)\n")
    print(body)
    print("\n#pragma clang attribute pop\n\n#endif /* __VMLINUX_H__ */")


if __name__ == "__main__":
    main(*sys.argv[1:])
