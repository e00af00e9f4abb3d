#!/usr/bin/env python3
"""Damages a bundle or an export of a ledger in seeded random ways and demands that verify.py refuses each and
names a member, a line or an entry. Every way changes the meaning by construction, so there are no exceptions:
summaries are left alone under a new manifest (verify.py does not make them again), and all cosignatures that are
there are asked for (else one of them may rightly be missing)."""
import argparse
import base64
import io
import json
import pathlib
import random
import re
import sys
import time
import zipfile
from collections import Counter

import cbor2
from nacl.signing import SigningKey

import short
import verify
from authority import trusted, versions
from encoding import MEMBER, document, encode, open_archive, sha, stored
from ledger import key_id


class Damage:
    """The bytes of a sound file, and the ways to damage any; each gives the bytes of another one."""

    def __init__(self, data, chance):
        self.data, self.chance = data, chance

    def edited(self, body):
        """The bytes with one of them changed."""
        at = self.chance.randrange(len(body))
        return body[:at] + bytes([body[at] ^ self.chance.randrange(1, 256)]) + body[at + 1:]

    def file_edit(self):
        """One byte of the file is another."""
        return self.edited(self.data)

    def file_cut(self):
        """The file ends early."""
        return self.data[:self.chance.randrange(len(self.data))]

    def file_gap(self):
        """Some bytes in the file are gone."""
        at = self.chance.randrange(len(self.data) - 1)
        return self.data[:at] + self.data[at + self.chance.randrange(1, 99):]

    def file_more(self):
        """Some bytes are put in."""
        at = self.chance.randrange(len(self.data) + 1)
        return self.data[:at] + self.chance.randbytes(self.chance.randrange(1, 99)) \
            + self.data[at:]

    def forged_key(self, name):
        """A key of the forger's, and the line that gives it the name."""
        private = SigningKey(self.chance.randbytes(32))
        public = bytes(private.verify_key)
        return private, f"{name}+{key_id(name, 1, public).hex()}+" \
            + base64.b64encode(b"\1" + public).decode()

    def signed_note(self, name, size, root, private, signers):
        """A checkpoint by that key, cosigned by other keys under the names of the signers."""
        text = f"{name}\n{size}\n{base64.b64encode(root).decode()}\n"
        note, public = text + "\n", bytes(private.verify_key)
        for label, type_byte, front, signed in (
                (name, 1, b"", text), *((f"{name}/{signer}", 4, bytes(8),
                                         "cosignature/v1\ntime 0\n" + text)
                                        for signer in signers)):
            blob = key_id(label, type_byte, public) + front \
                + private.sign(signed.encode()).signature
            note += f"\u2014 {label} {base64.b64encode(blob).decode()}\n"
        return note.encode()


class Lines(Damage):
    """An export, and the ways to damage it."""

    NAMES = r"line [0-9]+|entry [0-9]+|the entries"

    def __init__(self, data, chance):
        super().__init__(data, chance)
        self.lines = data.splitlines(keepends=True)
        self.ways = [self.file_edit, self.file_cut, self.file_gap, self.file_more, self.line_gone,
                     self.line_twice, self.lines_swapped, self.entry_again, self.fork]

    def line_gone(self):
        """A line is gone."""
        at = self.chance.randrange(len(self.lines))
        return b"".join(self.lines[:at] + self.lines[at + 1:])

    def line_twice(self):
        """A line stands twice."""
        at = self.chance.randrange(len(self.lines))
        return b"".join(self.lines[:at] + self.lines[at:at + 1] + self.lines[at:])

    def lines_swapped(self):
        """Two lines have each other's place."""
        lines = [*self.lines]
        one, two = self.chance.sample(range(len(lines)), 2)
        lines[one], lines[two] = lines[two], lines[one]
        return b"".join(lines)

    def changed(self):
        """The lines with one entry at another time, written as it should be, and all hashes of leaves."""
        entries = [base64.b64decode(line.split(b" ")[2]) for line in self.lines[3:]]
        at = self.chance.randrange(len(entries))
        entry = cbor2.loads(entries[at])
        entry[3] += self.chance.randrange(1, 1000)
        entries[at] = cbor2.dumps(entry)
        leaves = [sha(b"\0", entry) for entry in entries]
        lines = [f"{place} {leaf.hex()} {base64.b64encode(entry).decode()}\n".encode()
                 for place, (leaf, entry) in enumerate(zip(leaves, entries))]
        return lines, leaves

    def entry_again(self):
        """An entry is another one, with a hash that fits."""
        return b"".join(self.lines[:3] + self.changed()[0])

    def fork(self):
        """Another ledger of as many entries, by a key of the forger's, with the old key's line or the new one's."""
        lines, leaves = self.changed()
        name = self.lines[1].decode().removeprefix("key ").split("+")[0]
        private, line = self.forged_key(name)
        note = self.signed_note(name, len(leaves), tree(leaves)[0], private, "abc")
        key = self.lines[1] if self.chance.random() < 0.5 else f"key {line}\n".encode()
        return b"".join([self.lines[0], key, b"checkpoint " + base64.b64encode(note) + b"\n", *lines])


class Tampering(Damage):
    """A sound bundle, and the ways to damage it; each gives the bytes of another archive."""

    NAMES = f"manifest.json|the end record|{MEMBER}"

    def __init__(self, data, chance, sound):
        super().__init__(data, chance)
        self.ways = [self.file_edit, self.file_cut, self.file_gap, self.file_more, self.manifest_edit,
                     self.document_renamed, self.fork_ledger, self.fork_governance, self.lying_ledger]
        for way in (self.member_edit, self.member_cut, self.member_gone, self.member_swap):
            self.ways += [way, lambda way=way: way(manifest=True)]
        self.partial = {entry.member for entry in sound.firsts("activation")
                        if len(entry.sets) < len(entry.names)}
        self.members = open_archive(data)
        self.entries = {name: document(body, "proved-entry") for name, body in
                        self.members.items() if name.startswith("entries/")}
        self.bodies = {name: "documents/" + cbor2.loads(entry.entry)[5].hex()
                       for name, entry in self.entries.items()}
        uses = Counter(self.bodies.values())
        self.core = [name for name in self.members
                     if name != "manifest.json" and not name.startswith("summary")]
        self.needed = [name for name in self.members if name in uses or "/" not in name]
        self.needed += [name for name, body in self.bodies.items() if uses[body] == 1]

    def pack(self, members, manifest=False):
        """An archive of the members, with a manifest that fits if that is asked."""
        ordered = {"manifest.json": members.get("manifest.json", b""),
                   **{name: members[name] for name in sorted(members.keys() - {"manifest.json"})}}
        if manifest:
            old = json.loads(ordered["manifest.json"])
            old["members"] = [{"name": name, "bytes": len(body), "sha256": sha(body).hex()}
                              for name, body in ordered.items() if name != "manifest.json"]
            ordered["manifest.json"] = (json.dumps(old, indent=2) + "\n").encode()
        elif "manifest.json" not in members:
            del ordered["manifest.json"]
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as copy:
            for name, body in ordered.items():
                copy.writestr(stored(name), body)
        return packed.getvalue()

    def member_edit(self, manifest=False):
        """One byte of a member is another."""
        name = self.chance.choice(self.core if manifest else list(self.members))
        return self.pack({**self.members, name: self.edited(self.members[name])}, manifest)

    def member_cut(self, manifest=False):
        """A member ends early."""
        name = self.chance.choice(self.core if manifest else list(self.members))
        body = self.members[name][:self.chance.randrange(len(self.members[name]))]
        return self.pack({**self.members, name: body}, manifest)

    def member_gone(self, manifest=False):
        """A member is gone; under a new manifest one that others depend on."""
        names = [name for name in self.needed if name != "manifest.json"] if manifest \
            else list(self.members)
        gone = self.chance.choice(names)
        return self.pack({name: body for name, body in self.members.items() if name != gone},
                         manifest)

    def member_swap(self, manifest=False):
        """Two members have each other's bytes."""
        while True:
            one, two = self.chance.sample(self.core, 2)
            if self.members[one] != self.members[two]:
                break
        return self.pack({**self.members, one: self.members[two], two: self.members[one]},
                         manifest)

    def manifest_edit(self):
        """The manifest is in its form but about something else, or names another key."""
        manifest, key = json.loads(self.members["manifest.json"]), "about"
        if self.chance.random() < 0.5:
            kind = "wallet" if "wallet" in manifest[key] else "plan"
            other = self.chance.randbytes(32).hex()
            manifest[key][kind] = other[:40] if kind == "wallet" else other
        else:
            manifest["ledger_key"] = self.forged_key(self.ledger_name())[1]
        text = json.dumps(manifest, indent=2) + "\n"
        return self.pack({**self.members, "manifest.json": text.encode()})

    def ledger_name(self):
        """The name of the bundle's ledger."""
        return json.loads(self.members["manifest.json"])["ledger_key"].split("+")[0]

    def document_renamed(self):
        """A document is changed and has the name that fits its bytes; nothing speaks of it."""
        name = self.chance.choice([name for name in self.core if name.startswith("documents/")])
        members = {**self.members}
        body = self.edited(members.pop(name))
        return self.pack({**members, f"documents/{sha(body).hex()}": body}, True)

    def ledger_again(self, changed, others):
        """Members and root of a ledger made again of the entries here, one of them changed."""
        leaves = [changed.get(name, entry.entry) for name, entry in self.entries.items()]
        root, proofs = tree([sha(b"\0", leaf) for leaf in leaves])
        members = {name: body for name, body in self.members.items() if name not in self.entries}
        for place, (leaf, proof) in enumerate(zip(leaves, proofs)):
            members[f"entries/{place:012}"] = encode(
                "proved-entry", [place, leaf, proof])
        return {**members, **others}, len(leaves), root

    def fork_ledger(self):
        """The same entries, one at another time, in a ledger by a key of the forger's."""
        name = self.chance.choice(list(self.entries))
        entry = cbor2.loads(self.entries[name].entry)
        entry[3] += self.chance.randrange(1, 1000)
        members, size, root = self.ledger_again({name: cbor2.dumps(entry)}, {})
        private, line = self.forged_key(self.ledger_name())
        note = self.signed_note(self.ledger_name(), size, root, private, "abc")
        manifest = json.loads(members["manifest.json"])
        if self.chance.random() < 0.5:
            manifest["ledger_key"] = line
        members["manifest.json"] = json.dumps(manifest).encode()
        return self.pack({**members, "checkpoint.txt": note}, True)

    def fork_governance(self):
        """Another first version, or one more version that the old approvals do not cover."""
        body = cbor2.loads(self.members["governance.cbor"])
        governance, approvals = body[3][-1]
        if self.chance.random() < 0.5:
            changed = [*governance]
            changed[2] = f"forger-{self.chance.randrange(1 << 30)}"
            body[3][-1] = [changed, approvals]
        else:
            digest = sha(encode("governance", governance))
            body[3].append([[governance[0] + 1, digest, *governance[2:]], approvals])
        return self.pack({**self.members, "governance.cbor": cbor2.dumps(body)}, True)

    def lying_ledger(self):
        """One body is changed where the ledger and all its witnesses go along with it; gives
        the archive and what the checkpoint is to be taken for."""
        bodies = {name: cbor2.loads(entry.entry)[2] for name, entry in self.entries.items()}
        name = self.chance.choice([name for name, kind in bodies.items() if kind in (
            "governance-pinned", "plan-submitted", "plan-approved", "activation", "retirement",
            "receipt", "theft-reported", "signature")])
        entry, old = cbor2.loads(self.entries[name].entry), self.bodies[name]
        body = self.members[old]
        if entry[2] == "signature":
            said = json.loads(body)
            said.update(self.chance.choice([
                {"wallet": "other"}, {"epoch": "9.9"}, {"transcript": "0" * 64},
                {"signers": ["mallory"]}, {"transaction_id": 7}]))
            body = json.dumps(said).encode()
        else:
            # The probes, last in a certificate, show nothing where wallets of the chunk are not here.
            kept = len(cbor2.dumps(cbor2.loads(body)[3][4])) if name in self.partial else 0
            end = len(body) - kept
            body = self.edited(body[:end]) + body[end:]
        entry[5] = sha(body)
        members, size, root = self.ledger_again(
            {name: cbor2.dumps(entry)}, {f"documents/{sha(body).hex()}": body})
        if list(self.bodies.values()).count(old) == 1:
            del members[old]
        return self.pack(members, True), (size, root)


def tree(nodes):
    """Root and inclusion proofs of a Merkle tree over leaf hashes (RFC 6962, 2.1)."""
    if len(nodes) == 1:
        return nodes[0], [[]]
    split = 1 << (len(nodes) - 1).bit_length() - 1
    (left, lefts), (right, rights) = tree(nodes[:split]), tree(nodes[split:])
    return sha(b"\1", left, right), [*([*p, right] for p in lefts), *([*p, left] for p in rights)]


def refusal(data, known, witnesses, checkpoint):
    """What verify.py says against the bytes, or None; `checkpoint` replaces what it reads."""
    honest = verify.check_checkpoint
    try:
        if checkpoint:
            verify.check_checkpoint = lambda *_: (*checkpoint, {"a": 1 << 50, "b": 1, "c": 1})
            witnesses = 0
        verify.Bundle(data, known, witnesses)
    except verify.Refused as refused:
        return str(refused)
    finally:
        verify.check_checkpoint = honest
    return None


def of_bundle(data, governance, chance):
    """The ways to damage a bundle, what says why one is refused, and how many cosigned."""
    known = trusted(governance)
    sound = verify.Bundle(data, known)
    tampering, witnesses = Tampering(data, chance, sound), len(sound.cosigned)
    members, size, root = tampering.ledger_again({}, {})
    unchanged = refusal(tampering.pack(members, True), known, 0, (size, root))
    if unchanged:
        sys.exit(f"the ledger made again without a change is refused: {unchanged}")
    return tampering, lambda made, checkpoint: refusal(made, known, witnesses, checkpoint), witnesses


def of_export(data, governance, chance):
    """The ways to damage an export, what says why one is refused, and how many cosigned."""
    newest = versions(governance)[-1]
    _, _, cosigned = verify.check_export(io.BytesIO(data), newest)

    def said(made, _):
        try:
            verify.check_export(io.BytesIO(made), newest, len(cosigned))
        except verify.Refused as refused:
            return str(refused)
        return None
    return Lines(data, chance), said, len(cosigned)


def of_short(kind, governance, cosigned):
    """What says why short.py refuses; a forged ledger it cannot be given."""
    check = short.check_bundle if kind is of_bundle else short.check_export
    known = short.trusted(governance) if kind is of_bundle else short.newest(governance)

    def said(made, _):
        try:
            check(made, known, cosigned)
        except short.Refused as refused:
            return str(refused)
        return None
    return said


def main():
    """Status 0 if every damaged file was refused with the place named."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("file", type=pathlib.Path)
    options.add_argument("--governance", required=True)
    options.add_argument("--count", type=int, default=10_000)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--short", action="store_true", help="demand it of short.py; without forged ledgers")
    given = options.parse_args()
    data, chance = given.file.read_bytes(), random.Random(given.seed)
    kind = of_export if data.startswith(b"perennial-") else of_bundle
    tampering, judge, cosigned = kind(data, given.governance, chance)
    judge = of_short(kind, given.governance, cosigned) if given.short else judge
    begun, missed, checks, ways = time.monotonic(), 0, Counter(), tampering.ways
    for number in range(given.count):
        made = ways[number % len(ways)]()
        made, checkpoint = made if isinstance(made, tuple) else (made, None)
        if given.short and checkpoint:
            continue
        said = judge(made, checkpoint)
        words = (said or "").split(": ")
        checks[words[0]] += 1
        named = words[1].removeprefix("what follows ") if len(words) > 2 else None
        if not re.fullmatch(tampering.NAMES, named or ""):
            missed += 1
            print(f"number {number}, way {number % len(ways)}: {said or 'not noticed'}")
    print(f"{checks.total()} damaged files, {missed} not refused by name, "
          f"{time.monotonic() - begun:.0f} s; refused by", dict(checks.most_common()))
    sys.exit(missed > 0)


if __name__ == "__main__":
    main()
