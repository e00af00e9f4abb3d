"""The ledger (docs/formats.md, sections 8, 9 and 11): keys, checkpoints, proofs, entries and exports."""
import base64, re

from encoding import NUMBER, bare, canonical, check_ed25519, checking, need, sha, unbase64

def key_id(name, number, key):
    """The id of a key that signs notes (section 9)."""
    return sha(name.encode(), b"\n", bytes([number]), key)[:4]

def is_key_name(name):
    """Whether a key can have that name (section 9)."""
    return re.fullmatch(r"[^\s+\x00-\x1f]+", name) and len(name.encode()) <= 255

def read_key(key_line):
    """The name and the public key of a key line of a ledger (section 9)."""
    name, written_id, key = key_line.split("+", 2)
    number, key = unbase64(key)[:1], unbase64(key)[1:]
    need(number == b"\1" and key_id(name, 1, key).hex() == written_id and is_key_name(name),
         "a key line for the ledger")
    return name, canonical(key)

def check_checkpoint(note, key_line, witnesses):
    """[5, 6] The note is the ledger's (section 9); gives size, root, and who cosigned at what second."""
    name, key = read_key(key_line)
    text, _, lines = note.decode().partition("\n\n")
    origin, size, root = text.split("\n")
    need(origin == name and re.fullmatch(NUMBER, size) and int(size) < 1 << 63 and len(unbase64(root)) == 32,
         "the ledger's origin, a size and a root")
    need(len(note) <= 1 << 17 and lines.endswith("\n") and lines.count("\n") <= 64, "128 KiB, 1 to 64 lines")
    known, times = {(name, key_id(name, 1, key)): (None, key)}, {}
    for witness in witnesses:
        label = f"{name}/{witness.name}"
        known[label, key_id(label, 4, witness.key.bytes)] = witness.name, canonical(witness.key.bytes)
        need(is_key_name(label), "a ledger with room for the names of witnesses")
    for line in lines[:-1].split("\n"):
        dash, label, blob = line.split(" ")
        blob = unbase64(blob)
        need(dash == "\u2014" and is_key_name(label) and len(blob) > 4, "signature lines")
        if (label, blob[:4]) in known:
            witness, key = known[label, blob[:4]]
            need(witness not in times and len(blob) == (76 if witness else 68), "one whole line of each")
            times[witness] = int.from_bytes(blob[4:-64], "big")
            front = f"cosignature/v1\ntime {times[witness]}\n" if witness else ""
            check_ed25519(key, f"{front}{text}\n".encode(), blob[-64:])
    need(None in times, "a line of the ledger")
    return int(size), unbase64(root), {witness: time for witness, time in times.items() if witness}

def check_inclusion(entry, place, size, proof, root):
    """[7] The entry is at that place of the tree (RFC 9162, 2.1.3.2)."""
    need(place < size, "a place in the ledger")
    f, s, r = place, size - 1, sha(b"\0", entry)
    for step in proof:
        need(s, "a shorter proof")
        r = sha(b"\1", step, r) if f % 2 or f == s else sha(b"\1", r, step)
        while f == s and f and f % 2 == 0:
            f, s = f >> 1, s >> 1
        f, s = f >> 1, s >> 1
    need(s == 0 and r == root, "the root of the checkpoint")

def read_entry(data):
    """An entry of any kind (section 8)."""
    entry = bare(data, "entry")
    need(len(data) <= 1024 and (entry.label, entry.form) == ("perennial/ledger-entry", 1)
         and re.fullmatch("[a-z][a-z0-9-]{0,39}", entry.kind)
         and (entry.signature is None) == (entry.kind != "signature"), "an entry of section 8")
    return entry

def check_export(lines, governance, witnesses=None):
    """[5 to 7] An export is the whole ledger under its checkpoint (section 11): line by line, as bytes. Gives the
    size, the root, and who cosigned at what second."""
    lines, texts = iter(lines), []
    for number, front in enumerate(("perennial-ledger-export 1", "key ", "checkpoint "), 1):
        with checking("export", f"line {number}"):
            text = next(lines, b"").decode()
            need(text.startswith(front) and text.endswith("\n"), f"`{front}` and what belongs to it")
            texts.append(text[len(front):-1])
    with checking("export", "line 1"):
        need(texts[0] == "", "nothing more")
    with checking("checkpoint", "line 2"):
        need(governance.ledger_key in (None, texts[1]), "the ledger key of the newest governance")
        read_key(texts[1])
    with checking("checkpoint", "line 3"):
        size, root, cosigned = check_checkpoint(unbase64(texts[2]), texts[1], governance.signers)
        wanted = len(governance.signers) // 2 + 1 if witnesses is None else witnesses
        need(len(cosigned) >= wanted, f"{wanted} cosignatures")
    place, edge = 0, []
    for place, line in enumerate(lines, 1):
        with checking("entry", f"entry {place - 1}"):
            need(place <= size, f"{size} entries at most")
            data = unbase64(line.decode().removesuffix("\n").split(" ")[2])
            leaf = sha(b"\0", data)
            need(line == f"{place - 1} {leaf.hex()} {base64.b64encode(data).decode()}\n".encode(),
                 "its place, its hash, its bytes and a newline")
            read_entry(data)
        edge.append(leaf)
        for _ in range((place & -place).bit_length() - 1):
            edge[-2:] = [sha(b"\1", *edge[-2:])]
    with checking("entry", f"entry {place}"):
        need(place == size, f"{size} entries")
    with checking("root", "the entries"):
        while len(edge) > 1:
            edge[-2:] = [sha(b"\1", *edge[-2:])]
        need((edge or [sha()])[0] == root, "those that the ledger signed")
    return size, root, cosigned
