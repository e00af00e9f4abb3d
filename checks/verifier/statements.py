"""Checks of single things in a bundle, each by itself (docs/formats.md, sections 1, 4, 7 to 9)."""
import json
import re

from curves import BASES, EDWARDS, SECP, check_ed25519, check_probe, combine, same
from encoding import (DIGEST, NAME, NUMBER, base64_bytes, checking, digest_of, distinct, document,
                      need, parts, sha)

CHUNK = rf"{DIGEST} {NUMBER}\.{NUMBER} {NUMBER}\.\.{NUMBER}"
SUBJECTS = {"governance-pinned": f"version {NUMBER}", "plan-submitted": DIGEST,
            "plan-approval": f"{DIGEST} {NAME}", "plan-approved": DIGEST, "activation": CHUNK,
            "retirement": CHUNK, "wallets-created": CHUNK, "receipt": CHUNK,
            "attempt-left": CHUNK, "given-up": DIGEST, "ceremony-finished": DIGEST,
            "signature": NAME}


def check_manifest(members):
    """[2] The manifest is in its one form and lists what is here; gives it."""
    with checking("manifest", "manifest.json"):
        manifest = json.loads(members["manifest.json"])
        about = manifest["about"]
        if about["kind"] == "wallet":
            need(re.fullmatch(NAME, about["wallet"]), "a wallet")
            need(all(type(about[key]) in (int, type(None)) for key in ("from_ms", "to_ms")),
                 "whole numbers or null")
            about = {key: about[key] for key in ("kind", "wallet", "from_ms", "to_ms")}
        else:
            need(re.fullmatch(DIGEST, about["plan"]), "a plan's digest")
            about = {"kind": "ceremony", "plan": about["plan"]}
        listed = {member["name"]: member for member in manifest["members"]}
    found = [{"name": name, "bytes": len(data), "sha256": sha(data).hex()}
             for name, data in members.items() if name != "manifest.json"]
    for member in found:
        with checking("manifest", member["name"]):
            need(listed.get(member["name"]) == member, "it to be as the manifest lists it")
    for name in [*listed, "checkpoint.txt", "governance.cbor", "summary.html", "summary.md"]:
        with checking("manifest", name):
            need(name in members, "it to be here")
    with checking("manifest", "manifest.json"):
        exact = {"format": "perennial evidence bundle 1", "about": about,
                 "ledger_key": str(manifest["ledger_key"]), "members": found}
        text = json.dumps(exact, indent=2, ensure_ascii=False) + "\n"
        need(text.encode() == members["manifest.json"], "its one form")
    return manifest


def key_id(name, type_byte, key):
    """The id of a key that signs notes (section 9)."""
    return sha(name.encode(), b"\n", bytes([type_byte]), key)[:4]


def check_checkpoint(note, key_line, signers):
    """[5, 6] The note is the ledger's; gives size, root, and who cosigned at what second."""
    name, written_id, key = key_line.split("+", 2)
    key = base64_bytes(key)
    need(len(key) == 33 and key[0] == 1 and key_id(name, 1, key[1:]).hex() == written_id
         and re.fullmatch(r"[^\s+]+", name), "a key line for the ledger")
    need(len(note) <= 1 << 17, "128 KiB at most")
    text, _, signatures = note.decode().partition("\n\n")
    origin, size, root = text.split("\n")
    need(origin == name and re.fullmatch(NUMBER, size) and int(size) < 1 << 63
         and len(base64_bytes(root)) == 32, "the ledger's origin, a size and a root")
    need(signatures.endswith("\n") and signatures.count("\n") <= 64, "1 to 64 signature lines")
    known = {(name, key_id(name, 1, key[1:])): None}
    for signer in signers:
        label = f"{name}/{signer.name}"
        known[label, key_id(label, 4, signer.key.key)] = signer
    seen, times = [], {}
    for line in signatures[:-1].split("\n"):
        dash, label, blob = line.split(" ")
        blob = base64_bytes(blob)
        need(dash == "\u2014" and label and "+" not in label and len(blob) > 4, "signature lines")
        if (label, blob[:4]) not in known:
            continue
        seen.append(label)
        signer, signed = known[label, blob[:4]], (text + "\n").encode()
        if signer:
            need(len(blob) == 76, "a cosignature of 76 bytes")
            times[signer.name] = int.from_bytes(blob[4:12], "big")
            signed = f"cosignature/v1\ntime {times[signer.name]}\n".encode() + signed
        check_ed25519(signer.key.key if signer else key[1:], signed, blob[12 if signer else 4:])
    need(distinct(seen) and name in seen, "one line of the ledger, and one of each signer")
    return int(size), base64_bytes(root), times


def check_inclusion(entry, place, size, proof, root):
    """[7] The entry is at that place of the tree (RFC 9162, 2.1.3.2)."""
    need(place < size, "a place in the ledger")
    f, s, r = place, size - 1, sha(b"\0", entry)
    for step in proof:
        need(s, "a shorter proof")
        if f % 2 or f == s:
            r = sha(b"\1", step, r)
            while f % 2 == 0 and f:
                f, s = f >> 1, s >> 1
        else:
            r = sha(b"\1", r, step)
        f, s = f >> 1, s >> 1
    need(s == 0 and r == root, "the root of the checkpoint")


def wallet_name(item):
    """The wallet of a plan's item, new or held."""
    return item.wallet.id if item.table == "new" else item.id


def check_plan(plan, governance, governance_digest):
    """[8] The plan is sound under the version of governance it names (section 4)."""
    news = [item.wallet for item in plan.wallets if item.table == "new"]
    need(1 <= len(plan.wallets) <= 100_000 and distinct(map(wallet_name, plan.wallets)),
         "1 to 100,000 distinct wallets")
    need(plan.rank and plan.attempts, "a rank and attempts")
    need(plan.not_before < plan.expiry <= plan.deadline, "times in their order")
    need(plan.tenant in governance.tenants, "a tenant in governance")
    need(len(news) == (0 if plan.action else len(plan.wallets)), "wallets as the action wants")
    need(all(w.tenant == plan.tenant and w.tier <= plan.tier for w in news), "tenant and tier")
    need({*plan.committee.names} <= {s.name for s in governance.signers}, "known signers")
    need(plan.waived or len(plan.committee.names) >= 2 * plan.committee.t - 1, "n of 2t-1")
    need(plan.governance == governance_digest, "the version that it names")


def check_certificate(certificate, plan, governance):
    """[9] The certificate holds under the plan and its version of governance (section 7)."""
    inputs, chunk, t = certificate.inputs, certificate.inputs.chunk, plan.committee.t
    need(chunk.end <= len(plan.wallets), "wallets of the plan")
    first = plan.mandate.counts_from if plan.mandate else 1
    need(chunk.epoch[0] == plan.rank and first <= chunk.epoch[1] < first + plan.attempts,
         "its attempts")
    order = [name for name in plan.committee.names if name in inputs.holders]
    need(inputs.holders == order, "holders of the committee by their seats")
    least = len(plan.committee.names) if plan.mandate else t if plan.waived else 2 * t - 1
    need(len(order) >= least, "enough holders")
    need(sorted(vote.signer for vote in certificate.votes) == sorted(order), "a vote of each")
    keys = {signer.name: signer.key.key for signer in governance.signers}
    for vote in certificate.votes:
        said = check_statement(vote, keys[vote.signer], "vote")
        need((said.stage, said.governance, said.chunk.name, said.inputs, said.root) == (
            certificate.stage, plan.governance, chunk.name, digest_of("inputs", inputs.raw),
            certificate.root) and (said.possession is None) == (said.stage == 1),
            f"the vote of {vote.signer} to be for this certificate")


def check_statement(statement, key, kind):
    """A signer said this (section 3); gives what it said."""
    name = statement.signer.encode()
    message = b"perennial statement v1\0" + bytes([len(name)]) + name + statement.document
    check_ed25519(key, message, statement.signature)
    return document(statement.document, kind)


def group_of(chain):
    """The group of a chain's keys."""
    return EDWARDS if chain == 4 else SECP


def check_opens(share_set):
    """[11] As many verification shares as members, and they open to the key (section 7)."""
    group, committee = group_of(share_set.wallet.chain), share_set.committee
    need(len(share_set.shares) == len(committee.members), "a verification share of each member")
    points = [group.point(share) for share in share_set.shares]
    terms, seats = [], [member.seat for member in committee.members[:committee.t]]
    for seat, point in zip(seats, points):
        weight = 1
        for other in seats:
            if other != seat:
                weight = weight * other * pow(other - seat, -1, group.order) % group.order
        terms.append((weight, point))
    need(same(group, combine(group, terms), group.point(share_set.key.public)), "its own key")


def probe_rounds(chain, holders, t):
    """How often a wallet is probed: the groups of t among the holders (section 7)."""
    if chain != 0:
        return -(-holders // t)
    rounds, pairs = 0, [(a, b) for a in range(holders) for b in range(a + 1, holders)]
    while pairs:
        group = set(pairs[0])
        while len(group) < t:
            def closes(holder):
                return sum(holder in pair and bool(group & {*pair}) for pair in pairs)
            group.add(max(set(range(holders)) - group, key=lambda h: (closes(h), -h)))
        pairs = [pair for pair in pairs if not group >= {*pair}]
        rounds += 1
    return rounds


def check_possession(activation, shares):
    """[12] Probes and proofs of possession of a chunk, all of whose share sets are here."""
    certificate, plan, chunk = activation.certificate, activation.plan, activation.chunk
    holders, first = certificate.inputs.holders, {}
    for probe in certificate.probes:
        first.setdefault((probe.task.wallet, probe.task.counter), probe.signature)
    everyone = plan.action == 0 or plan.probe_all
    lot = int.from_bytes(certificate.root[:8], "big") % chunk.count
    for place in range(chunk.count) if everyone else [lot]:
        wallet, number = shares[place].wallet, (n.to_bytes(4, "big") for n in chunk.epoch)
        epoch = list(number)
        for counter in range(probe_rounds(wallet.chain, len(holders), plan.committee.t)):
            need((place, counter) in first, f"probe {counter} of {wallet.id}")
            message = sha(parts("perennial/probe/v1", wallet.id.encode(), *epoch,
                                shares[place].transcript, counter.to_bytes(4, "big")))
            check_probe(wallet.chain, shares[place].key.public, message, first[place, counter])
    group = group_of(shares[0].wallet.chain)
    need(all(group_of(share.wallet.chain) is group for share in shares), "one group in a chunk")
    for vote in certificate.votes:
        proof = document(vote.document, "vote").possession
        seed = sha(parts("perennial/possession/v1", digest_of("inputs", certificate.inputs.raw),
                         certificate.root, vote.signer.encode(), proof.commitment))
        wide = sha(parts("wide-0", seed)) + sha(parts("wide-1", seed))
        c, s = (int.from_bytes(data, group.endian) for data in (wide, proof.response))
        place = plan.committee.names.index(vote.signer)
        total = combine(group, [(1, group.point(proof.commitment)), *(
            (pow(c, k + 1, group.order), group.point(share.shares[place]))
            for k, share in enumerate(shares))])
        need(s < group.order and same(group, combine(group, [(s, BASES[group])]), total),
             f"{vote.signer} to possess its shares")


def maker_of(share_set, activations):
    """[11] The Activation that made the share set, whose plan has to agree with it."""
    leaf = digest_of("leaf", [
        share_set.wallet.id, share_set.parent, share_set.key.public, share_set.committee.raw,
        share_set.shares, share_set.highest_seat])
    for activation in activations:
        transcript = sha(parts("perennial/transcript/v1", activation.certificate.root, leaf))
        if (activation.chunk.epoch != share_set.epoch or leaf not in activation.leaves
                or transcript != share_set.transcript):
            continue
        place, plan = activation.leaves.index(leaf), activation.plan
        item = plan.wallets[activation.chunk.first + place]
        need(wallet_name(item) == share_set.wallet.id and share_set.committee == plan.committee
             and getattr(item, "parent", None) == share_set.parent
             and getattr(item, "wallet", share_set.wallet) == share_set.wallet,
             "wallet, parent and committee of the plan")
        activation.sets[place] = share_set
        return activation
    return None


def check_chain(sets):
    """[11] The share sets of each wallet, by rising epoch, keep its key and have parents."""
    by_digest = {share_set.digest: share_set for share_set in sets.values()}
    before = None
    for _, share_set in sorted(sets.items()):
        with checking("share-set", f"documents/{share_set.digest}"):
            if before and before.wallet.id == share_set.wallet.id:
                need((before.wallet, before.key) == (share_set.wallet, share_set.key)
                     and share_set.parent, "the same wallet and key, and a parent")
            parent = by_digest.get(share_set.parent and share_set.parent.hex())
            need(not parent or parent.wallet.id == share_set.wallet.id
                 and parent.epoch < share_set.epoch
                 and parent.highest_seat <= share_set.highest_seat, "an older parent")
            before = share_set


def lacks(bundle):
    """What has not happened yet (section 10, incomplete is not false)."""
    yield from (f"plan {plan} has no quorum" for plan in bundle.plans.keys() - bundle.approved)
    if bundle.plan in bundle.plans:
        made = {name for name, _ in bundle.sets if bundle.sets[name, _].made}
        yield from (f"{wallet_name(item)} has no epoch by it"
                    for item in bundle.plans[bundle.plan].wallets if wallet_name(item) not in made)
    if bundle.wallet and not bundle.sets:
        yield "no epoch of the wallet"
    yield from (f"{name} has no Retirement"
                for name in bundle.activations.keys() - bundle.retirements)
    receipts = {(share.wallet, share.epoch, signer)
                for _, signer, shares in bundle.receipts for share in shares}
    ended = [(retired[0], name) for retired in bundle.retirements.values()
             for name in retired[0].names]
    windowed, seen = bundle.window != (None, None), set()
    digests = {share_set.digest for share_set in bundle.sets.values()}
    for (wallet, epoch), share_set in sorted(bundle.sets.items()):
        if any(wallet == name and retired.chunk.epoch > epoch for retired, name in ended):
            yield from (f"{signer} has no receipt for {wallet} {epoch[0]}.{epoch[1]}"
                        for signer in share_set.committee.names
                        if signer not in bundle.newest.written_off
                        and (wallet, epoch, signer) not in receipts)
        if (share_set.made and share_set.parent and share_set.parent.hex() not in digests
                and not (windowed and wallet not in seen)):
            yield f"the parent of {wallet} {epoch[0]}.{epoch[1]} is not here"
        seen.add(wallet)
