#!/usr/bin/env python3
"""Checks an evidence bundle or a ledger export of Perennial offline; written from docs/formats.md alone. Sections
and [numbers] of checks are those of that page. Check 16, the summary, is not made."""
import argparse, itertools, json, math, pathlib, re, sys
from collections import Counter

try:
    from authority import check_history, check_plan, trusted, versions, wallet_name
    from encoding import (BASE, DIGEST, NAME, NUMBER, ORDER, Refused, bare, check_ed25519, checking, document, encode,
                          framed, need, open_archive, read, sha, signers, total)
    from ledger import check_checkpoint, check_export, check_inclusion, read_entry
except ModuleNotFoundError as missing:
    print(f"there is no Python package {missing.name}: see README.md beside {sys.argv[0]}", file=sys.stderr)
    sys.exit(2)

TOLERANCE = 300_000
SCHEMES = ["ECDSA", *3 * ["BIP-340"], "Ed25519"]
CHUNK = rf"{DIGEST} {NUMBER}\.{NUMBER} {NUMBER}\.\.{NUMBER}"
# Of each kind of entry: the form of its subject, and the check that refuses what it says.
ENTRIES = {"governance-pinned": (f"version {NUMBER}", "governance"), "plan-submitted": (DIGEST, "plan"),
           "plan-approval": (f"{DIGEST} {NAME}", "plan"), "plan-approved": (DIGEST, "plan"),
           "activation": (CHUNK, "certificate"), "retirement": (CHUNK, "certificate"),
           "wallets-created": (CHUNK, "share-set"), "receipt": (CHUNK, "receipt"),
           "attempt-left": (CHUNK, "entry"), "given-up": (DIGEST, "entry"),
           "ceremony-finished": (DIGEST, "entry"), "theft-reported": (DIGEST, "theft"),
           "signature": (NAME, "signature")}

def check_manifest(members):
    """[2] The manifest is in its one form and lists what is here; gives it."""
    found = {name: {"name": name, "bytes": len(data), "sha256": sha(data).hex()}
             for name, data in members.items() if name != "manifest.json"}
    with checking("manifest", "manifest.json"):
        manifest = json.loads(members["manifest.json"])
        about, listed = manifest["about"], {item["name"]: item for item in manifest["members"]}
        wallet = about["kind"] == "wallet"
        keys = ["kind", "wallet", "from_ms", "to_ms"] if wallet else ["kind", "plan"]
        need(list(about) == keys and about["kind"] in ("wallet", "ceremony"), "a wallet or a ceremony")
        need(re.fullmatch(NAME if wallet else DIGEST, about[keys[1]])
             and all(at is None or type(at) is int and 0 <= at < 1 << 64 for at in [*about.values()][2:]),
             "its name and window")
    for name in [*found, *listed, "checkpoint.txt", "governance.cbor", "summary.html", "summary.md"]:
        with checking("manifest", name):
            need(name in found and listed.get(name) == found[name], "it to be here as the manifest lists it")
    with checking("manifest", "manifest.json"):
        exact = {"format": "perennial evidence bundle 1", "about": about,
                 "ledger_key": str(manifest["ledger_key"]), "members": [*found.values()]}
        text = json.dumps(exact, indent=2, ensure_ascii=False) + "\n"
        need(text.encode() == members["manifest.json"], "its one form")
    return manifest

def read_answer(body):
    """The keys of a signature's body that are read, each there once (section 8)."""
    pairs = json.loads(body.decode(), object_pairs_hook=tuple,
                       parse_constant=lambda name: need(False, f"JSON, not {name}"))
    keys = ["epoch", "signers", "transaction_id", "transcript", "wallet"]
    need(type(pairs) is tuple and sorted(key for key, _ in pairs if key in keys) == keys, "its keys, each once")
    said = {key: value for key, value in pairs if key in keys}
    json.dumps(said, ensure_ascii=False).encode()
    return said

def check_statement(statement, key, kind):
    """A signer said this (section 3); gives what it said."""
    front = b"perennial statement v1\0" + framed(1, statement.signer.encode())
    check_ed25519(key, front + statement.document, statement.signature)
    return document(statement.document, kind)

def check_probe(chain, key, message, signature):
    """A probe signature under the raw key (section 7): Ed25519, ECDSA by recovery, BIP-340."""
    data, recovery, n = signature.bytes, signature.recovery, ORDER[False]
    need((recovery is None) == (chain != 0), "a recovery id for ECDSA alone")
    if chain == 4:
        return check_ed25519(key, message, data)
    r, s = (int.from_bytes(half, "big") for half in (data[:32], data[32:]))
    if chain == 0:
        need(0 < r < n and 0 < s <= n // 2 and recovery < 2, "r, a low s and a recovery id")
        left = s, bytes([2 + recovery]) + data[:32]
        right = (int.from_bytes(message, "big"), BASE[False]), (r, key)
    else:
        tag = sha(b"BIP0340/challenge")
        e = int.from_bytes(sha(tag, tag, data[:32], key[1:], message), "big")
        left, right = (s, BASE[False]), ((1, b"\2" + data[:32]), (e, b"\2" + key[1:]))
    return need(s < n and total(False, left) == total(False, *right), "a signature by the wallet's key")

def probe_rounds(ecdsa, by_pairs, holders, t):
    """How often a wallet is probed: the groups among the holders (section 7)."""
    if not by_pairs:
        return -(-holders // t) if ecdsa else holders // t
    rounds, pairs = 0, [*itertools.combinations(range(holders), 2)]
    while pairs:
        group, rounds = {*pairs[0]}, rounds + 1
        while len(group) < t:
            group.add(max({*range(holders)} - group, key=lambda one: (
                sum(one in pair and not group.isdisjoint(pair) for pair in pairs), -one)))
        pairs = [pair for pair in pairs if not group >= {*pair}]
    return rounds

def check_possession(made, plan):
    """[12] Probes and proofs of possession of a chunk, all of whose share sets are here (section 7)."""
    certificate, sets = made.certificate, [here for _, here in sorted(made.sets.items())]
    signatures = {(probe.task.wallet, probe.task.counter): probe.signature
                  for probe in reversed(certificate.probes)}
    lot = int.from_bytes(certificate.root[:8], "big") % len(sets)
    places = range(len(sets)) if plan.action == 0 or plan.probe_all else [lot]
    for place in places:
        here, name = sets[place], sets[place].wallet.id
        ecdsa = here.wallet.chain == 0
        holders = len(certificate.inputs.holders)
        rounds = probe_rounds(ecdsa, ecdsa and place == places[0], holders, plan.committee.t)
        for counter in range(rounds):
            need((place, counter) in signatures, f"probe {counter} of {name}")
            rank, count, last = (number.to_bytes(4, "big") for number in (*here.epoch, counter))
            message = framed(8, b"perennial/probe/v1", name.encode(), rank, count, here.transcript, last)
            check_probe(here.wallet.chain, here.key.public, sha(message), signatures[place, counter])
    edwards = sets[0].wallet.chain == 4
    order, endian = ORDER[edwards], "little" if edwards else "big"
    need(len({SCHEMES[here.wallet.chain] for here in sets}) == 1, "one scheme in a chunk")
    for vote in certificate.votes:
        proof = document(vote.document, "vote").possession
        seed = sha(framed(8, b"perennial/possession/v1", certificate.inputs.digest, certificate.root,
                          vote.signer.encode(), proof.commitment))
        wide = sha(framed(8, b"wide-0", seed)) + sha(framed(8, b"wide-1", seed))
        c, s = (int.from_bytes(data, endian) for data in (wide, proof.response))
        place = signers(plan.committee).index(vote.signer)
        terms = [(pow(c, k, order), here.shares[place]) for k, here in enumerate(sets, 1)]
        right = total(edwards, (1, proof.commitment), *terms)
        need(s < order and total(edwards, (s, BASE[edwards])) == right, f"{vote.signer} to possess shares")

class Bundle:
    """A bundle that holds; to make one is to check it."""

    def __init__(self, data, known, witnesses=None):
        """Checks the bytes; known are the digests of governance from the first version on."""
        self.members = open_archive(data)
        manifest = check_manifest(self.members)
        self.wallet, self.plan = (manifest["about"].get(key) for key in ("wallet", "plan"))
        self.window = [manifest["about"].get(key) for key in ("from_ms", "to_ms")]
        with checking("governance", "governance.cbor"):
            self.steps = document(self.members["governance.cbor"], "governance-history")
            check_history(self.steps)
            self.history = [step.governance for step in self.steps]
            need(all(version.digest == digest for version, digest in zip(self.history, known)),
                 "the trusted versions")
        with checking("checkpoint", "checkpoint.txt"):
            newest, key = self.history[-1], manifest["ledger_key"]
            need(newest.ledger_key in (None, key), "the ledger key of the newest governance")
            self.size, self.root, self.cosigned = check_checkpoint(
                self.members["checkpoint.txt"], key, newest.signers)
            wanted = len(newest.signers) // 2 + 1 if witnesses is None else witnesses
            need(len(self.cosigned) >= wanted, f"{wanted} cosignatures")
        self.documents = {bytes.fromhex(name[10:]): data for name, data in self.members.items()
                          if name.startswith("documents/")}
        for digest, data in self.documents.items():
            with checking("document", f"documents/{digest.hex()}"):
                need(sha(data) == digest, "the SHA-256 in its name")
        self.used, self.plans, self.first, self.entries, self.sets, self.pinned = set(), {}, {}, [], {}, 0
        self.said, self.people = {}, {}
        for name in self.members:
            if name.startswith("entries/"):
                self.take(name)
        for digest in self.documents.keys() - self.used:
            with checking("share-set", f"documents/{digest.hex()}"):
                self.take_share_set(document(self.documents[digest], "share-set"))
        self.check_chain()
        for entry in self.entries:
            with checking(ENTRIES[entry.kind][1], entry.member):
                self.settle(entry)

    def firsts(self, kind):
        """The first entries of a kind, one for each subject."""
        return [entry for (this, _), entry in self.first.items() if this == kind]

    def ends(self, wallet, epoch):
        """The first Retirement of each chunk that gave the wallet a later epoch."""
        return [entry for entry in self.firsts("retirement")
                if wallet in entry.names and entry.chunk.epoch > epoch]

    def body(self, digest):
        """The bytes with that digest, which something speaks of."""
        need(digest in self.documents, f"documents/{digest.hex()}")
        self.used.add(digest)
        return self.documents[digest]

    def after(self, entry, kind, subject):
        """[15] The first entry of that kind and subject, which is there before and not dated later."""
        earlier = self.first.get((kind, subject))
        need(earlier, f"{kind} before it")
        need(entry.time >= earlier.time - TOLERANCE, f"no earlier time than {earlier.member} has")
        return earlier

    def take(self, name):
        """[7, 15] An entry is in the ledger and of its form; then what its kind demands."""
        with checking("entry", name):
            proved = document(self.members[name], "proved-entry")
            need(f"entries/{proved.place:012}" == name, "its place")
            check_inclusion(proved.entry, proved.place, self.size, proved.proof, self.root)
            entry = read_entry(proved.entry)
            need(entry.kind in ENTRIES, "a kind that bundles have")
            need(re.fullmatch(ENTRIES[entry.kind][0], entry.subject), f"a subject of {entry.kind}")
            entry.member, entry.body, entry.plan = name, self.body(entry.body), entry.subject[:64]
            entry.names = [entry.subject]
        with checking(ENTRIES[entry.kind][1], name):
            if entry.kind == "governance-pinned":
                step, number = document(entry.body, "approved-governance"), int(entry.subject[8:])
                need(self.pinned < number <= len(self.history), "a later version than before")
                need(step == self.steps[number - 1], "that version of the history, with its approvals")
                self.pinned = number
            elif entry.kind == "theft-reported":
                self.take_theft(entry)
            elif entry.kind != "signature":
                self.take_plan(entry)
        with checking("entry", name):
            need(entry.kind == "governance-pinned" or self.plan in (None, entry.plan)
                 and self.wallet in (None, *entry.names), "the bundle's ceremony or wallet")
        with checking(ENTRIES[entry.kind][1], name):
            if entry.kind in ("activation", "retirement"):
                self.take_certificate(entry, self.plans[entry.plan])
            elif entry.kind == "receipt":
                self.take_receipt(entry)
        with checking("times", name):
            need(entry.time <= (max(self.cosigned.values(), default=1 << 64) + 1) * 1000 + TOLERANCE,
                 "no later time than the last cosignature's")
        self.entries.append(entry)
        self.first.setdefault((entry.kind, entry.subject), entry)

    def take_plan(self, entry):
        """[7, 8] The plan that an entry is about is here and sound; it was approved, if a chunk is meant."""
        with checking("plan", entry.member):
            if entry.kind in ("plan-submitted", "plan-approval"):
                plan = document(entry.body, "plan")
                need(plan.digest.hex() == entry.plan, "the plan of its subject")
                if entry.kind == "plan-submitted":
                    self.plans[entry.plan] = plan
            need(entry.plan in self.plans, "a plan-submitted of its plan before it")
            entry.names = [wallet_name(item) for item in self.plans[entry.plan].wallets]
            if entry.kind == "plan-approved":
                approved = document(entry.body, "approved-plan")
                need(approved.plan.digest.hex() == entry.plan, "the plan of its subject")
                need(self.pinned and ("plan-approved", entry.plan) not in self.first,
                     "governance pinned before it, and one plan-approved")
                check_plan(approved, self.history[self.pinned - 1])
                self.after(entry, "plan-submitted", entry.subject)
                self.people[entry.plan] = {approval.person for approval in approved.approvals}
            if entry.kind == "plan-approval":
                self.said.setdefault(entry.plan, set()).add(entry.subject[65:])
            need(entry.plan not in self.people or self.said.get(entry.plan, set()) <= self.people[entry.plan],
                 "an approval of each whom a plan-approval names")
            if ENTRIES[entry.kind][0] == CHUNK:
                need(("plan-approved", entry.plan) in self.first, "its plan approved before it")
                rank, count, first, end = map(int, re.findall("[0-9]+", entry.subject[64:]))
                entry.chunk = read([bytes.fromhex(entry.plan), [rank, count], first, end - first], "chunk")
                plan = self.plans[entry.plan]
                least = plan.mandate.counts_from if plan.mandate else 1
                need(end <= len(entry.names), "wallets of the plan")
                need(rank == plan.rank and least <= count < least + plan.attempts, "an attempt of the plan")
                entry.names = entry.names[first:end]

    def take_theft(self, entry):
        """[7, 17] A report of a theft is sound; it is about the wallet, or withdraws a report that is."""
        report = entry.report = document(entry.body, "theft-report")
        need(report.digest.hex() == entry.subject and (entry.kind, entry.subject) not in self.first,
             "the report of its subject, once")
        need(re.fullmatch(r"[^\0-\x1f\x7f-\x9f]{1,200}", report.text), "a line of at most 200 characters")
        finding, entry.names = report.finding, [self.wallet]
        if finding.table == "stolen":
            need(finding.wallets == sorted({*finding.wallets}) and len(finding.wallets) <= 1000
                 and finding.start <= finding.end and (report.tenant or not finding.wallets),
                 "wallets of a tenant in order, and a span")
            entry.names = finding.wallets or entry.names
        else:
            earlier = self.first.get((entry.kind, finding.report.hex()))
            need(earlier and earlier.report.finding.table == "stolen"
                 and earlier.report.tenant == report.tenant, "the report that it withdraws before it")

    def take_certificate(self, entry, plan):
        """[9, 10, 15] An Activation with its root, or the Retirement of one, holds (section 7)."""
        entry.certificate = certificate = document(entry.body, "certificate")
        inputs, names, t = certificate.inputs, signers(plan.committee), plan.committee.t
        need(certificate.stage == (entry.kind == "retirement") and inputs.chunk == entry.chunk,
             "the kind and the chunk of its subject")
        need(inputs.holders == [name for name in names if name in inputs.holders], "holders by their seats")
        least = len(names) if plan.mandate or not plan.action else t if plan.waived else 2 * t - 1
        need(len(inputs.holders) >= least, f"{least} holders")
        need(sorted(vote.signer for vote in certificate.votes) == sorted(inputs.holders), "a vote of each")
        keys = {signer.name: signer.key.bytes for version in self.history
                if version.digest == plan.governance for signer in version.signers}
        for vote in certificate.votes:
            said = check_statement(vote, keys[vote.signer], "vote")
            need((said.stage, said.governance, said.chunk, said.inputs, said.root) == (
                certificate.stage, plan.governance, inputs.chunk, inputs.digest, certificate.root)
                and (said.possession is None) == (said.stage == 1), f"{vote.signer} to vote for this")
        need((entry.kind, entry.subject) not in self.first, f"one {entry.kind} of a chunk")
        if entry.kind == "retirement":
            made = self.after(entry, "activation", entry.subject).certificate
            return need((inputs, certificate.root) == (made.inputs, made.root), "the Activation's root")
        self.after(entry, "plan-approved", entry.plan)
        need(plan.not_before - TOLERANCE <= entry.time <= plan.deadline + TOLERANCE, "a time the plan allows")
        with checking("root", f"documents/{certificate.root.hex()}"):
            root = document(self.body(certificate.root), "chunk-root")
            need(root.inputs == inputs.digest, "its inputs")
        with checking("root", f"documents/{root.leaves.hex()}"):
            data, entry.sets = self.body(root.leaves), {}
            entry.leaves = [data[at:at + 32] for at in range(22, len(data), 40)]
            need(data == framed(8, b"leaves", *entry.leaves) and len(data) == 14 + 40 * len(entry.names),
                 "a leaf of each wallet")

    def take_receipt(self, entry):
        """[13, 15] A signer's receipt for a chunk that was retired before."""
        said = bare(entry.body, "statement")
        keys = [signer.key.bytes for version in self.history for signer in version.signers
                if signer.name == said.signer]
        need(keys, "a signer in governance")
        entry.signer, entry.receipt = said.signer, check_statement(said, keys[-1], "receipt")
        retired = self.after(entry, "retirement", entry.subject)
        need(entry.receipt.chunk == entry.chunk, "the chunk of its subject")
        need(entry.receipt.erased >= retired.time - TOLERANCE, "nothing erased before the Retirement")
        need(all(share.wallet in entry.names and share.epoch < entry.chunk.epoch
                 for share in entry.receipt.shares), "older shares of wallets in the chunk")

    def take_share_set(self, here):
        """[3, 11] What nothing else speaks of is a share set that opens, made here or a parent."""
        leaf = sha(encode("leaf", [here.wallet.raw, here.parent, here.key.raw, here.committee.raw,
                                   here.shares, here.highest_seat]))
        here.made = next((made for made in self.firsts("activation") if made.chunk.epoch == here.epoch
                          and leaf in made.leaves and here.transcript == sha(framed(
                              8, b"perennial/transcript/v1", made.certificate.root, leaf))), None)
        if here.made:
            place, plan = here.made.leaves.index(leaf), self.plans[here.made.plan]
            item = plan.wallets[here.made.chunk.first + place]
            need((wallet_name(item), getattr(item, "parent", None)) == (here.wallet.id, here.parent)
                 and getattr(item, "wallet", here.wallet) == here.wallet and plan.committee == here.committee,
                 "wallet, parent and committee of the plan")
            here.made.sets[place] = here
        edwards, seats = here.wallet.chain == 4, [member.seat for member in here.committee.members]
        need(len(here.shares) == len(seats), "a verification share of each member")
        need(all(total(edwards, (1, share)) == share for share in here.shares), "points of the group")
        terms, seats = [], seats[:here.committee.t]
        for seat, share in zip(seats, here.shares):
            others = [other for other in seats if other != seat]
            below = math.prod(other - seat for other in others)
            terms.append((math.prod(others) * pow(below, -1, ORDER[edwards]), share))
        need(total(edwards, *terms) == here.key.public, "shares that open to its key")
        need(self.sets.setdefault((here.wallet.id, here.epoch), here) is here, "one of a wallet and epoch")

    def check_chain(self):
        """[11] The share sets of each wallet, by rising epoch, keep its key and have parents."""
        by_digest, before = {here.digest: here for here in self.sets.values()}, None
        parents = {here.parent for here in self.sets.values() if here.made}
        for _, here in sorted(self.sets.items()):
            with checking("share-set", f"documents/{here.digest.hex()}"):
                need(not before or before.wallet.id != here.wallet.id or here.parent
                     and (before.wallet, before.key) == (here.wallet, here.key), "the same key, and a parent")
                parent = by_digest.get(here.parent)
                need(not parent or parent.wallet.id == here.wallet.id and parent.epoch < here.epoch
                     and parent.highest_seat <= here.highest_seat, "an older parent")
                need(here.made or here.digest in parents, "a maker, or a share set made here that came of it")
                need(parent or not (here.made and here.parent) or self.window[0] is not None, "its parent here")
                before = here

    def settle(self, entry):
        """[11 to 13] What an entry says of share sets, all of which are known now."""
        made = self.first.get(("activation", entry.subject))
        if entry.kind == "activation":
            with checking("share-set", entry.member):
                need({*(entry.names if self.plan else [self.wallet])} <= {
                    here.wallet.id for here in entry.sets.values()}, "the share sets made there")
            if len(entry.sets) == len(entry.names):
                with checking("possession", entry.member):
                    check_possession(entry, self.plans[entry.plan])
        elif entry.kind == "wallets-created":
            created = document(entry.body, "created-wallets")
            need(made and made.member < entry.member and created.chunk == entry.chunk,
                 "its own chunk, and the Activation before it")
            need(self.first[entry.kind, entry.subject] is entry, "one wallets-created of a chunk")
            pairs = [(item.wallet, item.held) for item in created.wallets]
            need(all((here.wallet.id, here.digest) in pairs for here in made.sets.values()), "its share sets")
        elif entry.kind == "receipt":
            for share in entry.receipt.shares:
                here = self.sets.get((share.wallet, share.epoch))
                need(not here or here.transcript == share.transcript, "T of the share set")
        elif entry.kind == "theft-reported":
            need(all(entry.report.tenant in (None, here.wallet.tenant) for here in self.sets.values()),
                 "the tenant of the wallet")
        elif entry.kind == "signature":
            self.check_signature(entry)

    def check_signature(self, entry):
        """[14, 15] A signature by an epoch that is here, while that epoch could sign."""
        signed, said, (start, end) = entry.signature, read_answer(entry.body), self.window
        need((start is None or start <= entry.time) and (end is None or entry.time <= end),
             "a time in the window")
        need([said["wallet"], said["epoch"], said["transcript"]] == [
            signed.wallet, "%d.%d" % signed.epoch, signed.transcript.hex()], "its wallet, epoch and T")
        need(type(said["transaction_id"]) in (str, type(None)), "a transaction's id or null")
        here = self.sets.get((self.wallet, signed.epoch))
        need(signed.wallet == self.wallet and here and here.made and here.transcript == signed.transcript,
             "an epoch of the bundle's wallet that is here")
        need(signed.plan.hex() == here.made.plan, "the plan of that epoch")
        need(type(said["signers"]) is list and {*said["signers"]} <= {*signers(here.committee)},
             "signers of that committee")
        self.after(entry, "activation", here.made.subject)
        need(all(entry.time <= retired.time + TOLERANCE for retired in self.ends(self.wallet, signed.epoch)[:1]),
             "a time before the epoch's end")

    def lacks(self):
        """What has not happened yet (section 10, incomplete is not false)."""
        for plan in self.plans:
            if ("plan-approved", plan) not in self.first:
                yield f"plan {plan} has no quorum"
        made = {here.wallet.id for here in self.sets.values() if here.made}
        if self.plan in self.plans:
            wanted = map(wallet_name, self.plans[self.plan].wallets)
            yield from (f"{name} has no epoch by it" for name in wanted if name not in made)
        if self.wallet and not self.sets:
            yield "no epoch of the wallet"
        yield from (f"{entry.subject} has no Retirement" for entry in self.firsts("activation")
                    if ("retirement", entry.subject) not in self.first)
        receipts = {(share.wallet, share.epoch, entry.signer) for entry in self.entries
                    if entry.kind == "receipt" for share in entry.receipt.shares}
        before = None
        for (name, epoch), here in sorted(self.sets.items()):
            text = f"{name} {epoch[0]}.{epoch[1]}"
            if self.ends(name, epoch):
                yield from (f"{signer} has no receipt for {text}" for signer in signers(here.committee)
                            if not any(signer in version.written_off for version in self.history)
                            and (name, epoch, signer) not in receipts)
            if here.made and here.parent and here.parent not in self.documents and before == name:
                yield f"the parent of {text} is not here"
            before = name

def check_bundle(given):
    """Checks a bundle; gives the lines of a report."""
    with checking("what is trusted", given.governance):
        known = trusted(given.governance)
    with checking("archive", given.file):
        need(given.file.stat().st_size <= 1 << 31, "2 GiB at most")
        bundle = Bundle(given.file.read_bytes(), known, given.witnesses)
    yield (f"holds: {bundle.wallet or bundle.plan}, {len(bundle.members)} members, ledger of {bundle.size} "
           f"entries, cosigned by {', '.join(bundle.cosigned)}")
    counts = Counter(entry.kind for entry in bundle.entries)
    yield (f"{counts['plan-approved']} plans, {counts['activation']} activations, "
           f"{counts['receipt']} receipts, {counts['signature']} signatures")
    if len(known) > len(bundle.history):
        yield (f"older: its governance ends with version {len(bundle.history)}, and {len(known)} is known; signers "
               "that were removed since could have made it")
    yield "not looked at: whether summary.md and summary.html follow from the rest"
    for entry in bundle.firsts("theft-reported"):
        found = entry.report.finding
        said = f"stolen at {found.signer}" if found.table == "stolen" else f"not so: {found.report.hex()}"
        yield f"reported at {entry.time} by {entry.report.by}: {said}"
    yield from (f"incomplete: {line}" for line in bundle.lacks())

def check_ledger(given, lines):
    """Checks an export; gives the lines of a report."""
    with checking("what is trusted", given.governance):
        newest = versions(given.governance)[-1]
    size, root, cosigned = check_export(lines, newest, given.witnesses)
    yield f"holds: a ledger of {size} entries, root {root.hex()}, cosigned by {', '.join(cosigned)}"

def main():
    """Status 0 and a report if the file holds, else 1 and a line."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("file", type=pathlib.Path, help="a bundle, or an export of `perennial ledger export`")
    options.add_argument("--governance", required=True, help="a file, or 64 digits (a file for an export)")
    options.add_argument("--witnesses", type=int, help="default: more than half of the signers")
    given = options.parse_args()
    try:
        with checking("file", given.file), given.file.open("rb") as file:
            is_export = file.read(10) == b"perennial-"
            file.seek(0)
            lines = [*(check_ledger(given, file) if is_export else check_bundle(given))]
    except Refused as refused:
        print("refused:", ascii(" ".join(str(refused).split()))[1:-1])
        return 1
    print("\n".join(lines))
    return 0

if __name__ == "__main__":
    sys.exit(main())
