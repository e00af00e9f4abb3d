"""A short verifier of bundles and exports, by sections and checks of docs/formats.md."""
import base64, cbor2, contextlib, hashlib, io, itertools, json, nacl.signing, re, struct, sys, zlib
from types import SimpleNamespace
CLOCKS, OTHERS = 300_000, {"checkpoint.txt", "governance.cbor", "summary.html", "summary.md"}
NOT_LOOKED_AT = """not looked at: 12, 16 (the manifest alone covers summaries), and whether all is here
in part: 2, 4, 8 (types, soundness), 9 (possession), 11 (opening), 13 (T), 14; passkeys, mandates, thefts refused"""
MEMBER = r"manifest.json|checkpoint.txt|governance.cbor|summary.(md|html)|documents/[\da-f]{64}|entries/\d+"
ABOUT = "wallet ['kind', 'wallet', 'from_ms', 'to_ms']", "ceremony ['kind', 'plan']"
NOTE = "([^\n]+\n(?:0|[1-9][0-9]{0,18})\n.{43}=\n)\n((?:\u2014 [^\\s+\0-\x1f]{1,255} [^ \n]+\n){1,64})"
CHUNK = r"([0-9a-f]{64}) ([0-9]{1,10})\.([0-9]{1,10}) ([0-9]{1,10})\.\.([0-9]{1,10})"
sha = lambda *data: hashlib.sha256(b"".join(data)).digest()
parts = lambda *data: b"".join(len(x).to_bytes(8, "big") + x for x in data)  # section 2; the label first
write = lambda kind, body, version=1: cbor2.dumps(["perennial", kind, version, body])  # section 2: a document
newest = lambda path: governance(open(path, "rb").read(), place=path)[-1][1][0]
trusted = lambda text: [bytes.fromhex(text)] if re.fullmatch("[0-9a-f]{64}", text) else [
    digest for digest, _ in governance(open(text, "rb").read(), place=text)]
says = lambda statement, keys: signed(keys[statement[0]], b"perennial statement v1\0%c%b%b" % (
    len(statement[0]), statement[0].encode(), statement[1]), statement[2])  # section 3
same = lambda about, plan, names: need(  # check 7: it is of the plan or wallet that the bundle is about
    about.get("plan", plan) == plan and about.get("wallet", names[0]) in names, "the bundle's plan or wallet")
class Refused(Exception): """Its text is `check: place: expected what`."""
def need(holds, what):
    """Expect `what`; the `at` around it says of which check and where."""
    if not holds:
        raise LookupError("need", what)
@contextlib.contextmanager
def at(check, place, what="the form that formats.md gives it"):
    """Whatever fails inside, in whatever way, is refused by this check at this place."""
    try:
        yield
    except Exception as e:
        told = e.args[1] if e.args[:1] == ("need",) else what
        raise e if isinstance(e, Refused) else Refused(f"{check}: {place}: expected {told}") from None
def b64(text):
    """Standard base64 with padding, in its one form."""
    need(base64.b64encode(base64.b64decode(text)).decode() == text, "base64 in its one form")
    return base64.b64decode(text)
def read(data, kind, version=1):
    """Section 2: the body of a document in deterministic CBOR."""
    need(write(kind, cbor2.loads(data)[3], version) == data, f"{kind} {version} in deterministic CBOR")
    return cbor2.loads(data)[3]
def signed(key, message, signature):
    """Section 3: strict Ed25519 (libsodium: key and s canonical, neither key nor R of small order)."""
    with contextlib.suppress(Exception):
        return nacl.signing.VerifyKey(key).verify(message, signature) == message
def ssh_signed(line, text, digest):
    """Section 5: text is an SSHSIG of the digest by the key of that line of a public key file."""
    string = lambda data: len(data).to_bytes(4, "big") + data
    raw, key, kind = b64("".join(text.splitlines()[1:-1])), b64(line.split()[1])[-32:], string(b"ssh-ed25519")
    for name in "sha256", "sha512":
        about = string(b"perennial") + string(b"") + string(name.encode())
        message = b"SSHSIG" + about + string(hashlib.new(name, digest.hex().encode() + b"\n").digest())
        blob = b"SSHSIG\0\0\0\1" + string(kind + string(key)) + about + string(kind + string(raw[-64:]))
        if blob == raw:
            return signed(key, message, raw[-64:])
def quorum(gov, matter, tier, tenant, initiator, digest, approvals):
    """Section 5, checks 4 and 8: each approval is good, and enough people of each role the rule demands."""
    rule = max((r for r in gov[4] if r[0] == matter and r[1] <= tier), key=lambda r: r[1])
    people = {p[0]: p[1:] for p in gov[3]}
    need(len(approvals) <= 64 and (tenant is None or tenant in gov[5]) and rule[2], "a rule and a tenant")
    for name, (way, (content,)) in approvals:
        good = any(way == how == 0 and ssh_signed(key, content, digest) for how, (key,) in people[name][1])
        need(good and name != initiator and tenant in (people[name][2] or [tenant]), f"{name} to approve")
    for role, number in rule[2]:
        need(len({a[0] for a in approvals if people[a[0]][0] == role}) >= number > 0, f"{number} {role}")
def governance(data, known=(), place="governance.cbor"):
    """Section 6, check 4: [(digest, [governance, approvals])] of all versions, the known ones first."""
    with at("governance", place):
        history = [(sha(write("governance", g[0], 2)), g) for g in read(data, "governance-history")]
        need(history and all(h[0] == k for h, k in zip(history, known)), "the versions that are trusted")
        for i, (digest, (g, approvals)) in enumerate(history):
            before, (old, _) = history[max(i - 1, 0)]
            need(g[:2] == [i + 1, before if i else None], f"version {i + 1}, which follows the one before")
            quorum(old, 2, 2, None, g[2], digest, approvals)
    return history
def checkpoint(data, line, gov, witnesses, place):
    """Section 9, checks 5 and 6: (size, root, last time in s, number of cosignatures)."""
    with at("checkpoint", place, "a checkpoint by the ledger's key"):
        key, text, lines = b64(line.split("+", 2)[2]), *re.fullmatch(NOTE, data.decode()).groups()
        origin, size, root = text[:-1].split("\n")
        key_id = lambda name, raw: [name, sha(name.encode(), b"\n", raw)[:4]]
        notes = [(row.split(" ")[1], b64(row.split(" ")[2])) for row in lines[:-1].split("\n")]
        own = [n[4:] for who, n in notes if [who, n[:4]] == key_id(origin, key)]
        need(line.startswith(f"{origin}+{key_id(origin, key)[1].hex()}+") and key[0] == 1, "a key line")
        need(gov[9:] in ([], [line]) and int(size) < 1 << 63 and len(data) <= 1 << 17, "governance's key")
        need([signed(key[1:], text.encode(), n) for n in own] == [True], "one good signature of the ledger")
    with at("witnesses", place):
        times, wanted = [], len(gov[6]) // 2 + 1 if witnesses is None else int(witnesses)
        for (name, (_, (key,)), _), (who, n) in itertools.product(gov[6], notes):
            if [who, n[:4]] == key_id(f"{origin}/{name}", b"\4" + key):
                times.append((int.from_bytes(n[4:12], "big"), name))
                message = f"cosignature/v1\ntime {times[-1][0]}\n{text}".encode()
                need(signed(key, message, n[12:]), f"a cosignature of {name} that verifies")
        need(len(times) == len({n for _, n in times}) >= wanted, f"{wanted} cosigners, each once")
    return int(size), b64(root), max(times, default=[1 << 64])[0], len(times)
def entry(data):
    """Section 8, check 7: kind, time, subject, body and signature of an entry in its one form."""
    label, number, kind, time, subject, body, used = e = cbor2.loads(data)
    need(cbor2.dumps(e) == data and len(data) <= 1024 and len(body) == 32, "an entry in deterministic CBOR")
    need([label, number, type(time)] == ["perennial/ledger-entry", 1, int] and time >= 0, "an entry")
    need(re.fullmatch("[^\0-\x1f\x7f-\x9f]+", subject) and (kind == "signature") != (used is None), "texts")
    return SimpleNamespace(kind=kind, time=time, subject=subject, body=body, used=used)
def proved_root(leaf, place, size, proof):
    """Section 8, check 7: the root that an inclusion proof leads to (RFC 6962, 2.1.1, from the root on)."""
    if size == 1:
        return leaf if place == 0 and not proof else None
    half = 1 << (size - 1).bit_length() - 1
    if place < half:
        return sha(b"\1", proved_root(leaf, place, half, proof[:-1]), proof[-1])
    return sha(b"\1", proof[-1], proved_root(leaf, place - half, size - half, proof[:-1]))
def unpack(data):
    """Section 1, check 1: the members of an archive in its one form."""
    members, central, here, name = {}, bytearray(), 0, "manifest.json"
    while data[here:here + 4] == b"PK\3\4":
        with at("archive", f"what follows {name}" if here else name):
            size, length = struct.unpack_from("<IH", data, here + 22)
            end = here + 30 + length + size
            name, content = data[here + 30:end - size].decode("ascii"), data[end - size:end]
            head = struct.pack("<5H3I2H", 10, 0, 0, 0, 33, zlib.crc32(content), size, size, length, 0)
            need(re.fullmatch(MEMBER, name) and name not in members, "a name of section 1, once")
            need(data[here:end] == b"PK\3\4" + head + name.encode() + content, "the one form")
        central += b"PK\1\2\x0a\3" + head + struct.pack("<3H2I", 0, 0, 0, 0x81A40000, here) + name.encode()
        members[name], here = content, end
    with at("archive", "the end record", "it and the central headers in the one form"):
        tail = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, len(members), len(members), len(central), here, 0)
        need(data[here:] == central + tail, "it and the central headers in the one form")
    return members
def manifest(members):
    """Section 1, check 2: what a bundle is about, and its ledger key."""
    with at("manifest", "manifest.json"):
        got, (first, *names) = json.loads(members["manifest.json"]), members
        about, key = got["about"], got["ledger_key"]
        need(first == "manifest.json" and names == sorted(names) and OTHERS <= {*names}, "all members")
        need(f"{about['kind']} {[*about]}" in ABOUT, "a wallet or a ceremony")
        listed = [{"name": n, "bytes": len(members[n]), "sha256": sha(members[n]).hex()} for n in names]
        whole = dict(format="perennial evidence bundle 1", about=about, ledger_key=key, members=listed)
        text = (json.dumps(whole, indent=2, ensure_ascii=False) + "\n").encode()
        need(text == members["manifest.json"], "members as it says, and its one form")
    return about, key
def on_plan(b, name, e):
    """Sections 4 and 5, checks 7, 8 and 15: an entry about a plan; plan-approved has a quorum."""
    digest = bytes.fromhex(e.subject[:64])
    need(re.fullmatch("[0-9a-f]{64}" + (e.kind == "plan-approval") * " [a-z0-9-]+", e.subject), "a plan")
    need(e.body == digest or e.kind not in ("plan-submitted", "plan-approval"), "the plan as body")
    if e.kind == "plan-submitted":
        b.plans.setdefault(digest, SimpleNamespace(gov=0, time=e.time, fields=read(b.docs[digest], "plan")))
    p = b.plans[digest]
    p.names = [w[0][0] if kind == 0 else w[0] for kind, w in p.fields[3]]
    same(b.about, digest.hex(), p.names)
    if e.kind == "plan-approved":
        (plan, approvals), t = read(b.docs[e.body], "approved-plan", 2), p.fields[6][0]
        version, (gov, _) = b.history[b.pinned - 1]
        need(not p.gov and e.time >= p.time - CLOCKS and len(plan) == 18, "one, later, without a mandate")
        need(plan == p.fields and b.pinned and plan[15] == version, "it, under the last version")
        quorum(gov, plan[0], plan[2], plan[1], plan[16], digest, approvals)
        p.gov, p.time, p.least = gov, e.time, len(plan[6][1]) if not plan[0] else t if plan[7] else 2 * t - 1
def on_chunk(b, name, e):
    """Section 3, checks 7 to 9, 13 and 15: an entry about a chunk of an approved plan."""
    plan, *numbers = re.fullmatch(CHUNK, e.subject).groups()
    p, (rank, count, first, end), body = b.plans[bytes.fromhex(plan)], map(int, numbers), b.docs[e.body]
    need(e.subject == f"{plan} {rank}.{count} {first}..{end}" and p.gov, "a chunk, after its plan-approved")
    need(rank == p.fields[4] and 1 <= count <= p.fields[5] and first < end <= len(p.names), "its chunk")
    same(b.about, plan, p.names[first:end])
    c = b.chunks.setdefault(e.subject, SimpleNamespace(plan=p, active=None, retired=None, created=[]))
    c.id, c.names = [bytes.fromhex(plan), [rank, count], first, end - first], p.names[first:end]
    with at({"receipt": "receipt", "wallets-created": "share-set"}.get(e.kind, "certificate"), name):
        if e.kind in ("activation", "retirement"):
            certificate(c, e, *read(body, "certificate"))
        if e.kind == "wallets-created":
            before, (about, c.created) = c.created, read(body, "created-wallets")
            need(c.active and not before and about == c.id, "one for its Activation")
        if e.kind == "receipt":
            signer, said, _ = statement = cbor2.loads(body)
            about, shares, _, _, _, erased = read(said, "receipt")
            need(says(statement, b.keys) and cbor2.dumps(statement) == body, f"the signature of {signer}")
            good = all(s[0] in c.names and s[1] < c.id[1] for s in shares) and about == c.id
            need(good and min(erased, e.time) >= c.retired.time - CLOCKS, "what was retired before")
            b.receipts += [(signer, *s) for s in shares]
def certificate(c, e, kind, inputs, root, votes, probes=()):
    """Section 7, checks 9 and 15: an Activation or a Retirement with all its votes."""
    plan, what = c.plan.fields, [kind, c.plan.fields[15], c.id, sha(write("inputs", inputs)), root]
    keys, holders = {s[0]: s[1][1][0] for s in c.plan.gov[6]}, [m[0] for m in plan[6][1] if m[0] in inputs[2]]
    need([("activation", "retirement")[kind], *inputs[::2]] == [e.kind, c.id, holders], "kind, chunk, seats")
    need(sorted(v[0] for v in votes) == sorted(holders) and len(votes) >= c.plan.least, "all votes, enough")
    for v in votes:
        need(says(v, keys) and read(v[1], "vote")[:5] == what, f"a vote for this that {v[0]} signed")
    right = c.active and [c.inputs, c.root, c.retired] == [inputs, root, None] if kind else not c.active
    need(right and e.time >= (c.active or c.plan).time - CLOCKS, "one, later, and as its Activation")
    need(kind or plan[9] - CLOCKS <= e.time <= plan[11] + CLOCKS, "an Activation when the plan allows it")
    c.active, c.inputs, c.root, c.retired = c.active or e, inputs, root, e if kind else None
def share_set(b, digest, wallet, key, epoch, committee, points, t, parent, highest):
    """Section 7, check 11: a share set that an Activation made, or the parent of one."""
    leaf = sha(write("leaf", [wallet, parent, key, committee, points, highest], 2))
    made = [c for c in b.chunks.values() if c.id[1] == epoch and leaf in c.leaves
            and committee == c.plan.fields[6] and t == sha(parts(b"perennial/transcript/v1", c.root, leaf))
            and [wallet[0], digest] in (c.created or [[wallet[0], digest]])
            and c.plan.fields[3][c.id[2] + c.leaves.index(leaf)] in ([1, [wallet[0], parent]], [0, [wallet]])]
    need(not made or parent in {None, *b.docs} - b.named or b.about.get("from_ms") is not None, "its parent to be here")
    need(b.wallets.setdefault(wallet[0], [wallet, key]) == [wallet, key], "one key in all epochs of a wallet")
    same(b.about, b.about.get("plan"), [wallet[0]])
    known = b.sets.setdefault((wallet[0], *epoch), (t, made, committee[1], digest, parent))
    need(known[3] == digest, "one an epoch")
def check_documents(b):
    """Section 7, checks 10 and 11: chunk roots and leaves; every other document is a share set."""
    for c in b.chunks.values():
        with at("root", f"documents/{c.root.hex()}", "a chunk root and its leaves"):
            inputs, _, leaves = read(b.docs[c.root], "chunk-root")
            c.leaves = [b.docs[leaves][i:i + 32] for i in range(22, len(b.docs[leaves]), 40)]
            right = [parts(b"leaves", *c.leaves), c.id[3], sha(write("inputs", c.inputs))]
            need(right == [b.docs[leaves], len(c.leaves), inputs], "its inputs, and a leaf for each wallet")
            b.named |= {c.root, leaves}
    for digest in sorted(b.docs.keys() - b.named):
        with at("share-set", f"documents/{digest.hex()}", "a share set, as nothing else names it"):
            share_set(b, digest, *read(b.docs[digest], "share-set"))
    for c in b.chunks.values():
        with at("share-set", f"documents/{c.root.hex()}", "the share sets that were made there"):
            need(all(b.sets[w, *c.id[1]][1] == [c] for w in c.names if b.about.get("wallet", w) == w), "them")
    for digest in {s[3] for s in b.sets.values() if not s[1]} - {s[4] for s in b.sets.values() if s[1]}:
        raise Refused(f"share-set: documents/{digest.hex()}: expected one made here, or its parent")
def on_signature(b, name, e):
    """Section 8, checks 14 and 15: a signature under an epoch that is here and was not ended before."""
    (wallet, epoch, t, plan, *_), (made, (c,), *_) = e.used, b.sets[*e.used[:1], *e.used[1]]
    need(e.subject == wallet == b.about.get("wallet"), "the wallet that the bundle is about")
    need([made, c.id[0]] == [t, plan], "the T and plan of the Activation of its epoch")
    ended = [x.retired.time for x in b.chunks.values() if x.retired and x.id[1] > epoch]
    need(c.active.time - CLOCKS <= e.time <= min(ended, default=e.time) + CLOCKS, "a time of its epoch")
def on_pinned(b, name, e):
    """Check 4: the ledger pins a version that governance.cbor has, later than those before."""
    before, b.pinned = b.pinned, int(e.subject[8:])
    need(before < b.pinned and e.subject == f"version {b.pinned}", "a later version")
    need(b.docs[e.body] == write("approved-governance", b.history[b.pinned - 1][1]), "it as approved")
KINDS = {k: ("plan", on_chunk) for k in "activation retirement wallets-created receipt attempt-left".split()}
KINDS |= {"governance-pinned": ("governance", on_pinned), "signature": ("signature", None)} | dict.fromkeys(
    "plan-submitted plan-approval plan-approved given-up ceremony-finished".split(), ("plan", on_plan))
def check_bundle(data, known, witnesses=None):
    """Section 10: the report on a bundle that holds."""
    about, key = manifest(members := unpack(data))
    b = SimpleNamespace(plans={}, chunks={}, sets={}, named=set(), pinned=0, receipts=[], wallets={})
    b.about, b.history, signatures = about, governance(members["governance.cbor"], known), []
    b.keys, gov = {s[0]: s[1][1][0] for h in b.history for s in h[1][0][6]}, b.history[-1][1][0]
    size, root, last, count = checkpoint(members["checkpoint.txt"], key, gov, witnesses, "checkpoint.txt")
    b.docs = {sha(content): content for name, content in members.items() if name[0] == "d"}
    for name, content in members.items():
        with at("document", name):
            need(name[0] != "d" or sha(content).hex() == name[10:], "its SHA-256 as name")
        if name[0] == "e":
            with at("entry", name, "a proved entry of a known kind, with its body"):
                place, data, proof = read(content, "proved-entry")
                e = entry(data)
                need(proved_root(sha(b"\0", data), place, size, proof) == root, "a proof to the root")
                need(name == f"entries/{place:012}" and e.time <= last * 1000 + 1000 + CLOCKS, "its place")
                b.named.add(sha(b.docs[e.body]))
                check, handler = KINDS[e.kind]
            with at(check, name):
                handler(b, name, e) if handler else signatures.append((name, e))
    b.chunks = {k: c for k, c in b.chunks.items() if c.active}
    check_documents(b)
    for name, e in signatures:
        with at("signature", name, "a signature under a share set that is here"):
            on_signature(b, name, e)
    lines = [f"holds: {len(b.plans)} plans, {len(b.chunks)} Activations, {len(signatures)} signatures"]
    for (wallet, *epoch), (t, made, members, *_) in sorted(b.sets.items(), key=lambda s: s[0]):
        have = [signer for signer, *share in b.receipts if share == [wallet, epoch, t]]
        lack = [h for h in (made[0].inputs[2] if made else [m[0] for m in members]) if h not in have]
        old = any(c.retired and wallet in c.names and c.id[1] > epoch for c in b.chunks.values())
        lines.append(f"{'old' if old else 'new'} shares of {wallet} {epoch}: receipts {have}, none {lack}")
    return lines + [f"cosigned by {count} of {len(gov[6])} signers", *NOT_LOOKED_AT.split("\n")]
def check_export(lines, gov, witnesses=None):
    """Section 11: the report on an export that holds."""
    lines, stack, head, place = iter(io.BytesIO(lines) if type(lines) is bytes else lines), [], [], -1
    for form, of in ("perennial-ledger-export (1)", str), ("key (.+)", str), ("checkpoint (.+)", b64):
        with at("checkpoint" if head else "archive", f"line {len(head) + 1}", f"the line {form}"):
            head.append(of(re.fullmatch(form + "\n", next(lines).decode())[1]))
    size, root, _, count = checkpoint(head[2], head[1], gov, witnesses, "line 3")
    for place, line in enumerate(lines):
        with at("entry", f"entry {place}", "its place, its leaf hash and a canonical entry"):
            data = b64(line[:-1].decode().split(" ")[2])
            node, level, _ = sha(b"\0", data), place, entry(data)
            need(line == b"%d %b %b\n" % (place, node.hex().encode(), base64.b64encode(data)), "its one form")
        while level & 1:
            node, level = sha(b"\1", stack.pop(), node), level >> 1
        stack.append(node)
    with at("entry", "the entries"):
        while len(stack) > 1:
            stack[-2:] = [sha(b"\1", *stack[-2:])]
        need(place + 1 == size and (stack or [sha()]) == [root], f"{size} entries and their root")
    return [f"holds: {size} entries, {count} cosignatures", "not looked at: what the entries stand for"]
def main():
    """The command line: FILE --governance FILE_OR_64_HEX [--witnesses N]."""
    try:
        with at("archive", "the command line", main.__doc__[18:]):
            words = sys.argv[-1:] + sys.argv[1:-1] if sys.argv[1].startswith("--") else sys.argv[1:]
            options, data = dict(zip(words[1::2], words[2::2])), open(words[0], "rb").read()
            trust, check = (newest, check_export) if data[:10] == b"perennial-" else (trusted, check_bundle)
            lines = check(data, trust(options["--governance"]), options.get("--witnesses"))
    except Refused as refused:
        sys.exit(print(f"refused: {refused}") or 1)
    print(*lines, sep="\n")
if __name__ == "__main__": main()
