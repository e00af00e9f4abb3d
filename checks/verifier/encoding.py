"""How a bundle is written (docs/formats.md, sections 1 to 3): archive, CBOR, tables, curves. Whatever is not
in its one form raises, and so refuses."""
import base64, contextlib, functools, hashlib, io, itertools, operator, re, zipfile
from collections import Counter
from types import SimpleNamespace

import cbor2
import ecdsa
from nacl import bindings as sodium
from nacl.signing import VerifyKey

NAME, DIGEST, NUMBER = "[a-z0-9][a-z0-9-]{0,39}", "[0-9a-f]{64}", "(?:0|[1-9][0-9]{0,18})"
MEMBER = f"checkpoint.txt|documents/{DIGEST}|entries/[0-9]{{12}}|governance.cbor|summary.(html|md)"
BELOW = {"uint": 2**64, "u32": 2**32, "u16": 2**16, "u8": 256, "tier": 3, "matter": 7, "chain": 5, "flag": 2,
         "zero": 1}
FORMS = {"name": NAME, "text": "(?s:.*)", "bytes": b"(?s:.*)", "digest": b"(?s:.{32})", "pair": b"(?s:.{64})",
         "short": "[^\x00-\x1f\x7f-\x9f]{1,128}", "point": b"(?s:.{0,33})"}
# Structures: fields and their types. "?" may be absent, "[]" is an array, "a/b" a choice with content.
TABLES = {kind.strip(): [field.split() for field in fields.split(",") if field.strip()]
          for kind, fields in (table.split(":") for table in """
chunk: plan digest, epoch epoch, first u32, count u32 | committee: t u8, members [member] |
member: signer name, seat u8 | wallet: id name, tenant name, tier tier, chain chain |
statement: signer name, document bytes, signature bytes |
plan: action flag, tenant name, tier tier, wallets [new/held], rank u32, attempts u32, committee committee,
    waived flag, profile planned/, not_before uint, expiry uint, deadline uint, probe_all flag, backup zero,
    policy digest?, governance digest, initiator name, nonce digest, mandate under? |
new: wallet wallet | held: id name, parent digest | planned: overlap uint |
under: mandate digest, counts_from u32 | approved-mandate: mandate mandate, approvals [approval] |
approved-plan: plan plan, approvals [approval], mandate approved-mandate? |
mandate: tenant name, tier tier, wallets all/named, committee committee, waived flag, profile planned/,
    probe_all flag, backup zero, policy digest?, not_before uint, until uint, least_gap uint, attempts u32,
    windows [window], run uint, cadence [cadence], failures u32, governance digest, initiator name,
    nonce digest |
all: | named: wallets [name] | window: days u8, from_minute u16, minutes u16 |
cadence: from_tier tier, every uint | approval: person name, by sshsig/asserted | sshsig: text text |
asserted: assertion assertion |
assertion: credential bytes, authenticator bytes, client bytes, signature bytes |
governance: version uint, predecessor digest?, initiator name, approvers [approver], rules [rule],
    tenants [name], signers [signer], written_off [name], party party?, ledger_key text? |
approver: person name, role name, keys [ssh/passkey], tenants [name] | ssh: line text |
passkey: held credential | credential: id bytes, key p256/ed25519 | p256: bytes bytes |
ed25519: bytes digest | rule: matter matter, tier tier, demands [demand] | demand: role name, number u8 |
signer: name name, key ed25519/, pin digest | party: id text, origins [text] |
approved-governance: governance governance, approvals [approval] |
inputs: chunk chunk, dealers [name], holders [name], openings digest |
vote: stage flag, governance digest, chunk chunk, inputs digest, root digest, possession possession? |
possession: commitment point, response digest |
certificate: stage flag, inputs inputs, root digest, votes [statement], probes [probe] |
probe: task task, signature raw | task: wallet u32, counter u32 | raw: bytes pair, recovery u8? |
receipt: chunk chunk, shares [share], attempts [chunk], bases [digest], level zero, erased uint |
share: wallet name, epoch epoch, transcript digest | key: public point, chain_code digest |
share-set: wallet wallet, key key, epoch epoch, committee committee, shares [point], transcript digest,
    parent digest?, highest_seat u8 |
chunk-root: inputs digest, dealings digest, leaves digest | created: wallet name, held digest |
theft-report: finding stolen/withdrawn, tenant name?, by name, text text | withdrawn: report digest |
stolen: signer name, wallets [name], start uint, end uint, certainty flag |
created-wallets: chunk chunk, wallets [created] | proved-entry: place uint, entry bytes, proof [digest] |
entry: label text, form uint, kind text, time uint, subject short, body digest, signature signed? |
signed: wallet short, epoch epoch, transcript digest, plan digest, policy digest?, decision short?,
    custody short?
""".split("|"))}
ORDER = {False: ecdsa.SECP256k1.order, True: 2**252 + 27742317777372353535851937790883648493}
BASE = {False: ecdsa.SECP256k1.generator.to_bytes("compressed"), True: b"\x58" + b"\x66" * 31}

class Refused(Exception):
    """It does not hold: which check, which member or line, what is wrong."""

@contextlib.contextmanager
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

def sha(*pieces):
    """SHA-256 of the pieces in a row."""
    return hashlib.sha256(b"".join(pieces)).digest()

def framed(size, *pieces):
    """The pieces in a row, each with its length in front in so many bytes (8 for the parts of section 2)."""
    return b"".join(len(piece).to_bytes(size, "big") + piece for piece in pieces)

def distinct(items):
    """Whether nothing stands twice."""
    return max(Counter(items).values(), default=1) == 1

def signers(committee):
    """The names of a committee's members, by their seats."""
    return [member.signer for member in committee.members]

def encode(kind, body):
    """A document (section 2)."""
    version = 2 if kind in ("approved-plan", "governance", "leaf") else 1
    return cbor2.dumps(["perennial", kind, version, body], canonical=True)

def document(data, kind):
    """What a document of that kind says; written again it has to be the same bytes."""
    body = cbor2.loads(data)[3]
    need(encode(kind, body) == data, f"a {kind} in deterministic CBOR")
    return read(body, "[approved-governance]" if kind == "governance-history" else kind)

def bare(data, kind):
    """What a structure says that stands outside of a document."""
    value = cbor2.loads(data)
    need(cbor2.dumps(value, canonical=True) == data, f"a {kind} in deterministic CBOR")
    return read(value, kind)

def read(value, kind):
    """The value as the type of that name (section 2 and the tables); refuses anything else."""
    if kind.endswith("?"):
        return None if value is None else read(value, kind[:-1])
    if kind in BELOW or kind in FORMS:
        need(type(value) is int and 0 <= value < BELOW[kind] if kind in BELOW else
             type(value) is type(FORMS[kind]) and re.fullmatch(FORMS[kind], value), kind)
        return value
    need(type(value) is list, f"an array for {kind}")
    if kind.startswith("["):
        return [read(item, kind[1:-1]) for item in value]
    if kind == "epoch" or "/" in kind:
        need(len(value) == 2, "an epoch or a choice with content")
        number = read(value[0], "u32")
        return (number, read(value[1], "u32")) if kind == "epoch" else read(value[1], kind.split("/")[number])
    fields = TABLES[kind]
    need(len(value) == len(fields) if kind in ("entry", "signed")
         else len(value) <= len(fields) and value[-1:] != [None], f"the fields of {kind}")
    result = SimpleNamespace(table=kind, raw=value, digest=sha(encode(kind, value)), **{
        name: read(item, type_) for (name, type_), item in itertools.zip_longest(fields, value)})
    SOUND.get(kind, id)(result)
    return result

def check_chunk(chunk):
    """A chunk is sound (section 3)."""
    need(1 <= chunk.count <= 256, "1 to 256 wallets")

def check_committee(committee):
    """A committee is sound (section 3)."""
    seats = [member.seat for member in committee.members]
    need(2 <= committee.t <= len(seats) <= 16 and distinct(signers(committee)), "2 <= t <= n <= 16 signers")
    need(seats == sorted({*seats}) and seats[0], "seats that rise from 1 on")

def check_short(texts):
    """The short texts of an entry have at most 128 bytes (section 8)."""
    need(all(len(text.encode()) <= 128 for text in texts.raw if type(text) is str), "128 bytes of text")

# What makes a structure sound by itself; everything that is read of its kind has to be.
SOUND = {"chunk": check_chunk, "committee": check_committee, "entry": check_short, "signed": check_short}

def unbase64(text):
    """The bytes of standard base64 with padding, in its one form."""
    data = base64.b64decode(text, validate=True)
    need(base64.b64encode(data).decode() == text, "canonical base64")
    return data

def stored(name):
    """The headers of a member, as section 1 wants them."""
    info = zipfile.ZipInfo(name)
    info.create_version = info.extract_version = 10
    info.create_system, info.external_attr = 3, 0x81A40000
    return info

def open_archive(data):
    """[1] The members of an archive in its one form: written again it is the same bytes."""
    again, members = io.BytesIO(), {}
    with checking("archive", "the end record"):
        archive = zipfile.ZipFile(io.BytesIO(data))
        first, *others = names = archive.namelist()
        need(first == "manifest.json" and others == sorted({*others}) and len(others) <= 65_000
             and all(re.fullmatch(MEMBER, name) for name in others), "names of section 1, sorted, none twice")
        need(sum(info.file_size for info in archive.infolist()[1:]) <= 1 << 30, "1 GiB of content at most")
        need(sum(info.file_size for info in archive.infolist()) <= len(data), "members beside one another")
    with zipfile.ZipFile(again, "w") as copy:
        for name in names:
            with checking("archive", name):
                start = again.tell()
                need(archive.getinfo(name).compress_type == zipfile.ZIP_STORED, "a stored member")
                members[name] = archive.read(name)
                copy.writestr(stored(name), members[name])
                need(data[start:again.tell()] == again.getbuffer()[start:], "its record in the one form")
    with checking("archive", "the end record"):
        need(data == again.getvalue(), "the one form of what follows the members")
    return members

def point(data, curve=ecdsa.SECP256k1):
    """The key of a compressed point (SEC 1)."""
    return ecdsa.VerifyingKey.from_string(data, curve, valid_encodings=["compressed"])

@functools.lru_cache(1 << 16)
def times(edwards, number, data):
    """A number times a point, which has to be one of the group of prime order (sections 2 and 7)."""
    if edwards:
        return sodium.crypto_scalarmult_ed25519_noclamp(number.to_bytes(32, "little"), data)
    return number * point(data).pubkey.point

def total(edwards, *terms):
    """The sum of numbers times points, as bytes."""
    add = sodium.crypto_core_ed25519_add if edwards else operator.add
    result = functools.reduce(add, (times(edwards, number % ORDER[edwards], data) for number, data in terms))
    return result if edwards else result.to_bytes("compressed")

@functools.lru_cache(1 << 16)
def canonical(key):
    """An Ed25519 key that is a canonical point and not of small order (sections 3 and 6); gives it."""
    one, add = (1).to_bytes(32, "little"), sodium.crypto_core_ed25519_add
    eight = functools.reduce(lambda multiple, _: add(multiple, multiple), range(3), key)
    need(add(key, one) == key and eight != one, "a canonical point that is not of small order")
    return key

@functools.lru_cache(1 << 16)
def check_ed25519(key, message, signature):
    """Strict Ed25519 (section 3): libsodium refuses large s and R of small order, and has no cofactor."""
    VerifyKey(canonical(key)).verify(message, signature)
