"""How a bundle is written (docs/formats.md, sections 1 to 4): archive, CBOR, tables. Everything
read here was in its one form, or ValueError or the like is raised."""
import base64
import hashlib
import io
import itertools
import re
import struct
import zlib
from contextlib import contextmanager
from types import SimpleNamespace

LIMITS = {"uint": 1 << 64, "u32": 1 << 32, "u16": 1 << 16, "u8": 256, "tier": 3, "matter": 7,
          "chain": 5, "flag": 2, "zero": 1}
NAME, DIGEST, NUMBER = "[a-z0-9][a-z0-9-]{0,39}", "[0-9a-f]{64}", "(?:0|[1-9][0-9]{0,18})"
MEMBER = f"checkpoint.txt|documents/{DIGEST}|entries/[0-9]{{12}}|governance.cbor|summary.(html|md)"
VERSIONS = {"approved-plan": 2, "governance": 2}
# Structures: field and type; "?" may be absent, "[]" an array, "a/b" a choice with content.
TABLES = {kind: [field.split() for field in fields.split(", ")] for kind, fields in {
    "chunk": "plan digest, epoch epoch, first u32, count u32",
    "committee": "t u8, members [member]", "member": "signer name, seat u8",
    "wallet": "id name, tenant name, tier tier, chain chain",
    "statement": "signer name, document bytes, signature bytes",
    "new": "wallet wallet", "held": "id name, parent digest", "planned": "overlap uint",
    "plan": "action flag, tenant name, tier tier, wallets [new/held], rank u32, attempts u32, "
            "committee committee, waived flag, profile planned/, not_before uint, expiry uint, "
            "deadline uint, probe_all flag, backup zero, policy digest?, governance digest, "
            "initiator name, nonce digest, mandate under?",
    "under": "mandate digest, counts_from u32",
    "approved-plan": "plan plan, approvals [approval], mandate approved-mandate?",
    "approved-mandate": "mandate mandate, approvals [approval]",
    "mandate": "tenant name, tier tier, wallets all/named, committee committee, waived flag, "
               "profile planned/, probe_all flag, backup zero, policy digest?, not_before uint, "
               "until uint, least_gap uint, attempts u32, windows [window], run uint, "
               "cadence [cadence], failures u32, governance digest, initiator name, nonce digest",
    "named": "wallets [name]", "window": "days u8, from_minute u16, minutes u16",
    "cadence": "from_tier tier, every uint",
    "approval": "person name, by sshsig/asserted", "sshsig": "text text",
    "asserted": "assertion assertion",
    "assertion": "credential bytes, authenticator bytes, client bytes, signature bytes",
    "governance": "version uint, predecessor digest?, initiator name, approvers [approver], "
                  "rules [rule], tenants [name], signers [signer], written_off [name], "
                  "party party?, ledger_key text?",
    "approver": "person name, role name, keys [ssh/passkey], tenants [name]",
    "ssh": "line text", "passkey": "held credential",
    "credential": "id bytes, key p256/ed25519", "p256": "key bytes", "ed25519": "key bytes",
    "rule": "matter matter, tier tier, demands [demand]", "demand": "role name, number u8",
    "signer": "name name, key ed25519/, pin digest", "party": "id text, origins [text]",
    "approved-governance": "governance governance, approvals [approval]",
    "inputs": "chunk chunk, dealers [name], holders [name], openings digest",
    "vote": "stage flag, governance digest, chunk chunk, inputs digest, root digest, "
            "possession possession?",
    "possession": "commitment bytes, response digest",
    "certificate": "stage flag, inputs inputs, root digest, votes [statement], probes [probe]",
    "probe": "task task, signature raw", "task": "wallet u32, counter u32",
    "raw": "bytes bytes, recovery u8?", "share": "wallet name, epoch epoch, transcript digest",
    "receipt": "chunk chunk, shares [share], attempts [chunk], bases [digest], level zero, "
               "erased uint",
    "share-set": "wallet wallet, key key, epoch epoch, committee committee, shares [bytes], "
                 "transcript digest, parent digest?, highest_seat u8",
    "key": "public bytes, chain_code digest",
    "chunk-root": "inputs digest, dealings digest, leaves digest",
    "created-wallets": "chunk chunk, wallets [created]", "created": "wallet name, digest digest",
    "proved-entry": "place uint, entry bytes, proof [digest]",
}.items()}
TABLES["all"] = []


class Refused(Exception):
    """The bundle does not hold: which check, which member, what is wrong."""


@contextmanager
def checking(check, member):
    """Whatever goes wrong inside refuses the bundle, in the name of this check and member."""
    try:
        yield
    except Refused:
        raise
    except Exception as error:  # whatever the bytes are, a line and no traceback
        raise Refused(f"{check}: {member}: {error or type(error).__name__}") from None


def need(condition, expected):
    """Refuses unless the condition holds; the text says what was expected."""
    if not condition:
        raise ValueError(f"expected {expected}")


def sha(*data, name="sha256"):
    """SHA-256 (or another hash) of the pieces in a row."""
    return hashlib.new(name, b"".join(data)).digest()


def parts(label, *pieces):
    """Bytes under a label (section 2)."""
    return b"".join(len(piece).to_bytes(8, "big") + piece for piece in (label.encode(), *pieces))


def encode(value):
    """The one CBOR form of a value (section 2)."""
    if value is None:
        return b"\xf6"
    if isinstance(value, int):
        return head(0, value)
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(encode, value))
    data = value.encode() if isinstance(value, str) else value
    return head(3 if isinstance(value, str) else 2, len(data)) + data


def head(major, number):
    """The first bytes of a CBOR item: major type and number in its shortest form."""
    if number < 24:
        return bytes([major << 5 | number])
    size = next(size for size in range(4) if number < 1 << (8 << size))
    return bytes([major << 5 | 24 + size]) + number.to_bytes(1 << size, "big")


def decode(data):
    """The value that data is the one CBOR form of."""
    stream = io.BytesIO(data)

    def item():
        first = stream.read(1)[0]
        major, number = first >> 5, first & 31
        if first == 0xF6 or major not in (0, 2, 3, 4):
            return need(first == 0xF6, "a CBOR type of section 2")
        if number >= 24:
            number = int.from_bytes(stream.read(1 << number - 24), "big")
        if major in (0, 4):
            return [item() for _ in range(number)] if major else number
        return stream.read(number).decode() if major == 3 else stream.read(number)

    value = item()
    need(encode(value) == data, "deterministic CBOR")
    return value


def read(value, kind):
    """The value as the type of that name (section 2 and the tables); refuses anything else."""
    if kind.endswith("?"):
        return None if value is None else read(value, kind[:-1])
    if kind.startswith("["):
        need(isinstance(value, list), "an array")
        return [read(item, kind[1:-1]) for item in value]
    if "/" in kind:
        need(isinstance(value, list) and len(value) == 2, "a choice with content")
        return read(value[1], kind.split("/")[value[0]])
    if kind in LIMITS:
        need(isinstance(value, int) and value < LIMITS[kind], kind)
        return value
    if kind == "epoch":
        need(isinstance(value, list) and len(value) == 2, "an epoch")
        return tuple(read(number, "u32") for number in value)
    if kind in TABLES:
        return structure(value, kind)
    need(isinstance(value, str if kind in ("name", "text") else bytes), kind)
    need(kind != "name" or re.fullmatch(NAME, value), "a name")
    need(kind != "digest" or len(value) == 32, "32 bytes")
    return value


def structure(value, kind):
    """An array as the table of that name; `raw` keeps the array (sections 2 and 3)."""
    fields = TABLES[kind]
    need(isinstance(value, list) and len(value) <= len(fields) and value[-1:] != [None], kind)
    filled = value + [None] * (len(fields) - len(value))
    result = SimpleNamespace(table=kind, raw=value, **{
        name: read(item, type_) for (name, type_), item in zip(fields, filled)})
    if kind == "chunk":
        need(1 <= result.count <= 256, "a chunk of 1 to 256 wallets")
        result.end, (rank, count) = result.first + result.count, result.epoch
        result.name = f"{result.plan.hex()} {rank}.{count} {result.first}..{result.end}"
    if kind == "committee":
        seats = [member.seat for member in result.members]
        result.names = [member.signer for member in result.members]
        need(2 <= result.t <= len(seats) <= 16 and distinct(result.names)
             and seats == sorted(set(seats)) and seats[0], "a sound committee")
    return result


def document(data, kind):
    """The body of a document of that kind (section 2)."""
    value = decode(data)
    opening = ["perennial", kind, VERSIONS.get(kind, 1)]
    need(isinstance(value, list) and len(value) == 4 and value[:3] == opening, f"a {kind}")
    return read(value[3], "[approved-governance]" if kind == "governance-history" else kind)


def digest_of(kind, raw):
    """The digest of the document with that body."""
    return sha(encode(["perennial", kind, VERSIONS.get(kind, 1), raw]))


def distinct(items):
    """Whether nothing stands twice."""
    items = list(items)
    return len(set(items)) == len(items)


def base64_bytes(text):
    """The bytes of standard base64 with padding, in its one form."""
    data = base64.b64decode(text, validate=True)
    need(base64.b64encode(data).decode() == text, "canonical base64")
    return data


def archive(members):
    """The records of the one archive with these members, each with a name for it (section 1)."""
    local, central, at = [], [], 0
    for name, data in members:
        label = name.encode("latin-1")
        common = struct.pack("<HHHHIIIHH", 0, 0, 0, 33, zlib.crc32(data), len(data), len(data),
                             len(label), 0)
        local.append((name, b"PK\3\4\x0a\0" + common + label + data))
        central.append((name, b"PK\1\2\x0a\3\x0a\0" + common + struct.pack(
            "<HHHII", 0, 0, 0, 0x81A40000, at) + label))
        at += len(local[-1][1])
    size, count = sum(len(record) for _, record in central), len(members)
    end = struct.pack("<HHHHIIH", 0, 0, count, count, size, at, 0)
    return [*local, *central, ("the end record", b"PK\5\6" + end)]


def open_archive(data):
    """[1] The members of an archive in its one form."""
    members, at = [], 0
    with checking("archive", "manifest.json"):
        need(len(data) < 5 << 28, "an archive of 1 GiB at most")
        while data[at:at + 4] == b"PK\3\4":
            size, length, extra = struct.unpack("<IHH", data[at + 22:at + 30])
            start, at = at + 30 + length, at + 30 + length + extra + size
            members.append((data[start - length:start].decode("latin-1"), data[start:at]))
        names = [name for name, _ in members]
        need(names[:1] == ["manifest.json"], "the manifest first")
        need(len(members) <= 65_001 and sum(len(d) for _, d in members) <= 1 << 30, "its limits")
    at, good = 0, names[0]
    for name, record in archive(members):
        sound = name in (names[0], "the end record") or re.fullmatch(MEMBER, name)
        good = name if sound else good
        with checking("archive", good if sound else f"what follows {good}"):
            need(sound, "a name of section 1")
            need(data[at:at + len(record)] == record, "its records in the one form")
            at += len(record)
    for before, name in itertools.pairwise(names):
        with checking("archive", name):
            need(name != names[0], "one manifest")
            need(before == names[0] or before < name, "sorted names, none twice")
    with checking("archive", "the end record"):
        need(at == len(data), "nothing behind it")
    return dict(members)
