#!/usr/bin/env python3
"""Checks an evidence bundle of Perennial offline; written from docs/formats.md alone. Sections
and [numbers] of checks are those of that page. Check 16, the summary, is not made."""
import argparse
import json
import pathlib
import re
import sys
from types import SimpleNamespace

from encoding import (Refused, checking, decode, digest_of, document, need, open_archive, parts,
                      read, sha)
from governance import check_history, check_quorum, trusted
from mandates import check_authority
from statements import (CHUNK, SUBJECTS, check_certificate, check_chain, check_checkpoint,
                        check_inclusion, check_manifest, check_opens, check_plan,
                        check_possession, check_statement, lacks, maker_of, wallet_name)

TOLERANCE = 300_000


def after(entry, earlier):
    """[15] The entry is not dated before the earlier one."""
    need(entry.time >= earlier.time - TOLERANCE, f"no earlier time than {earlier.member} has")


class Bundle:
    """A bundle that holds; to make one is to check it."""

    def __init__(self, data, known, witnesses=None):
        """Checks the bytes; known are the digests of governance from the first version on."""
        self.members = open_archive(data)
        manifest = check_manifest(self.members)
        about = manifest["about"]
        self.wallet, self.plan = about.get("wallet"), about.get("plan")
        self.window = (about.get("from_ms"), about.get("to_ms"))
        with checking("governance", "governance.cbor"):
            self.history = document(self.members["governance.cbor"], "governance-history")
            self.digests = check_history(self.history)
            need(all(a == b for a, b in zip(self.digests, known)), "the trusted versions")
        self.newest = self.history[-1].governance
        with checking("checkpoint", "checkpoint.txt"):
            key = self.newest.ledger_key or manifest["ledger_key"]
            need(manifest["ledger_key"] == key, "the ledger key of the newest governance")
            self.size, self.root, self.cosigned = check_checkpoint(
                self.members["checkpoint.txt"], key, self.newest.signers)
            wanted = len(self.newest.signers) // 2 + 1 if witnesses is None else witnesses
            need(len(self.cosigned) >= wanted, f"{wanted} cosignatures")
        self.documents = {name[10:]: data for name, data in self.members.items()
                          if name.startswith("documents/")}
        for name, data in self.documents.items():
            with checking("document", f"documents/{name}"):
                need(sha(data).hex() == name, "the SHA-256 in its name")
        self.used, self.pinned, self.plans, self.submitted, self.approved = set(), 0, {}, {}, {}
        self.activations, self.retirements, self.receipts = {}, {}, []
        self.created, self.signatures, self.sets, self.last = [], [], {}, 0
        for name in self.members:
            if name.startswith("entries/"):
                self.take(name)
        self.check_share_sets()
        self.check_rest()

    def take(self, name):
        """[7, 15] An entry is in the ledger and of its form; then what its kind demands."""
        with checking("entry", name):
            proved = document(self.members[name], "proved-entry")
            need(f"entries/{proved.place:012}" == name, "its place as name")
            need(len(proved.entry) <= 1024, "1024 bytes at most")
            check_inclusion(proved.entry, proved.place, self.size, proved.proof, self.root)
            label, form, kind, time, subject, body, signature = decode(proved.entry)
            need((label, form) == ("perennial/ledger-entry", 1) and kind in SUBJECTS, "its kinds")
            need(re.fullmatch(SUBJECTS[kind], subject), f"a subject of {kind}")
            need((signature is None) == (kind != "signature"), "a signature in that kind only")
            entry = SimpleNamespace(
                member=name, place=proved.place, kind=kind, time=read(time, "uint"),
                subject=subject, plan=subject[:64], digest=read(body, "digest").hex(),
                signature=signature)
            need(entry.digest in self.documents, "its body here")
            entry.body = self.documents[entry.digest]
            self.used.add(entry.digest)
        if kind == "governance-pinned":
            with checking("governance", name):
                self.take_pinned(entry)
        elif kind == "signature":
            with checking("signature", name):
                need(subject == self.wallet, "the bundle's wallet")
                self.signatures.append(entry)
        else:
            self.take_of_plan(entry)
        with checking("times", name):
            need(time <= (max(self.cosigned.values(), default=1 << 54) + 1) * 1000 + TOLERANCE,
                 "no later time than the last cosignature's")

    def take_pinned(self, entry):
        """[4] A version of governance is the one in the history, and none was pinned later."""
        number = int(entry.subject[8:])
        pinned = document(entry.body, "approved-governance")
        version = pinned.governance
        need(self.pinned < number <= len(self.history) and version.version == number
             and digest_of("governance", version.raw) == self.digests[number - 1],
             "that version, in its turn")
        judge = self.history[max(number - 2, 0)].governance
        check_quorum(judge, (2, 2, None, version.initiator), self.digests[number - 1],
                     pinned.approvals)
        self.pinned = number

    def take_of_plan(self, entry):
        """[7, 8] An entry about a plan, or about a chunk of one that was approved before."""
        with checking("entry", entry.member):
            need(self.plan in (None, entry.plan), "the bundle's ceremony")
        with checking("plan", entry.member):
            if entry.kind in ("plan-submitted", "plan-approval"):
                need(entry.digest == entry.plan, "the plan of its subject")
                self.plans[entry.plan] = document(entry.body, "plan")
                if entry.kind == "plan-submitted":
                    self.submitted.setdefault(entry.plan, entry)
            elif entry.kind == "plan-approved":
                self.take_approved(entry)
            need(entry.plan in self.plans, "its plan before it")
            plan = self.plans[entry.plan]
            names = [wallet_name(item) for item in plan.wallets]
            if SUBJECTS[entry.kind] == CHUNK:
                need(entry.plan in self.approved, "its plan approved before it")
                epoch, run = entry.subject.split(" ")[1:]
                first, end = map(int, run.split(".."))
                rank, count = map(int, epoch.split("."))
                entry.chunk = read([bytes.fromhex(entry.plan), [rank, count], first, end - first],
                                   "chunk")
                need(end <= len(names), "wallets of the plan")
                names = entry.names = names[first:end]
        with checking("entry", entry.member):
            need(self.wallet is None or self.wallet in names, "the bundle's wallet")
        check, take = {"activation": ("certificate", self.take_certificate),
                       "retirement": ("certificate", self.take_certificate),
                       "receipt": ("receipt", self.take_receipt),
                       "wallets-created": ("share-set", self.take_created),
                       }.get(entry.kind, ("entry", lambda _: None))
        with checking(check, entry.member):
            take(entry)

    def take_created(self, entry):
        """[11] The wallets that a chunk created, after its Activation."""
        need(entry.subject in self.activations, "the Activation before it")
        created = document(entry.body, "created-wallets")
        need(created.chunk.name == entry.subject, "its own chunk")
        self.created.append((entry, {w.wallet: w.digest.hex() for w in created.wallets}))

    def take_approved(self, entry):
        """[8, 15] A sound plan has its quorum under the version that was last pinned."""
        approved = document(entry.body, "approved-plan")
        plan, digest = approved.plan, digest_of("plan", approved.plan.raw)
        need(digest.hex() == entry.plan, "the plan of its subject")
        need(self.pinned and self.digests[self.pinned - 1] == plan.governance,
             "the version of governance that was pinned last")
        governance = self.history[self.pinned - 1].governance
        check_plan(plan, governance, self.digests[self.pinned - 1])
        check_authority(approved, digest, governance)
        need(entry.plan in self.submitted, "the plan submitted before it")
        after(entry, self.submitted[entry.plan])
        self.approved.setdefault(entry.plan, (entry, governance))

    def take_certificate(self, entry):
        """[9, 10, 15] An Activation with its root, or a Retirement of an Activation before it."""
        certificate, plan = document(entry.body, "certificate"), self.plans[entry.plan]
        approved, governance = self.approved[entry.plan]
        need(certificate.stage == (entry.kind == "retirement"), f"one of {entry.kind}")
        need(certificate.inputs.chunk.name == entry.subject, "the chunk of its subject")
        check_certificate(certificate, plan, governance)
        made = self.activations.get(entry.subject)
        if certificate.stage:
            need(made, "the Activation before it")
            need((certificate.inputs, certificate.root) == (
                made.certificate.inputs, made.certificate.root), "the Activation's root")
            after(entry, made.entry)
            self.retirements.setdefault(entry.subject, []).append(entry)
            return
        need(not made, "one Activation of a chunk")
        after(entry, approved)
        need(plan.not_before - TOLERANCE <= entry.time <= plan.deadline + TOLERANCE,
             "a time that the plan allows")
        name = certificate.root.hex()
        with checking("root", f"documents/{name}"):
            root = document(self.documents[name], "chunk-root")
            need(root.inputs == digest_of("inputs", certificate.inputs.raw), "its inputs")
        with checking("root", f"documents/{root.leaves.hex()}"):
            data, count = self.documents[root.leaves.hex()], entry.chunk.count
            leaves = [data[at:at + 32] for at in range(22, len(data), 40)]
            need(data == parts("leaves", *leaves) and len(leaves) == count
                 and all(len(leaf) == 32 for leaf in leaves), f"{count} leaves")
        self.used |= {name, root.leaves.hex()}
        self.activations[entry.subject] = SimpleNamespace(
            entry=entry, certificate=certificate, plan=plan, chunk=entry.chunk, leaves=leaves,
            sets={})

    def take_receipt(self, entry):
        """[13, 15] A signer's receipt for a chunk that was retired before."""
        statement = read(decode(entry.body), "statement")
        keys = [signer.key.key for step in self.history for signer in step.governance.signers
                if signer.name == statement.signer]
        need(keys, "a signer in governance")
        receipt = check_statement(statement, keys[-1], "receipt")
        need(receipt.chunk.name == entry.subject, "the chunk of its subject")
        need(entry.subject in self.retirements, "a Retirement before it")
        retired = self.retirements[entry.subject][0]
        after(entry, retired)
        need(receipt.erased >= retired.time - TOLERANCE, "nothing erased before the Retirement")
        for share in receipt.shares:
            need(share.wallet in entry.names and share.epoch < receipt.chunk.epoch,
                 "older shares of wallets in the chunk")
        self.receipts.append((entry, statement.signer, receipt.shares))

    def check_share_sets(self):
        """[3, 11, 12] Every other document is a share set; those of a wallet form a chain."""
        parents = {item.parent.hex() for plan in self.plans.values() for item in plan.wallets
                   if item.table == "held"}
        for name in self.documents.keys() - self.used:
            with checking("share-set", f"documents/{name}"):
                share_set = document(self.documents[name], "share-set")
                share_set.digest, key = name, (share_set.wallet.id, share_set.epoch)
                share_set.made = maker_of(share_set, self.activations.values())
                need(share_set.made or name in parents, "a maker, or a plan that names it")
                check_opens(share_set)
                need(key not in self.sets, "one share set of a wallet and epoch")
                self.sets[key] = share_set
        for activation in self.activations.values():
            names = activation.entry.names
            with checking("share-set", activation.entry.member):
                need({*range(len(names))} <= activation.sets.keys() if self.plan else
                     names.index(self.wallet) in activation.sets, "the share sets made there")
            if len(activation.sets) == len(names):
                with checking("possession", activation.entry.member):
                    check_possession(activation, [s for _, s in sorted(
                        activation.sets.items())])
        for entry, created in self.created:
            with checking("share-set", entry.member):
                for share_set in self.activations[entry.subject].sets.values():
                    need(created.get(share_set.wallet.id) == share_set.digest, "its share sets")
        check_chain(self.sets)

    def check_rest(self):
        """[13, 14, 15] What receipts and signatures say of share sets."""
        for entry, _, shares in self.receipts:
            with checking("receipt", entry.member):
                for share in shares:
                    here = self.sets.get((share.wallet, share.epoch))
                    need(not here or here.transcript == share.transcript, "T of the share set")
        for entry in self.signatures:
            with checking("signature", entry.member):
                self.check_signature(entry)

    def check_signature(self, entry):
        """[14, 15] A signature by an epoch that is here, while that epoch could sign."""
        wallet, epoch, transcript, plan, policy, decision, custody = entry.signature
        start, end = self.window
        need((start is None or start <= entry.time) and (end is None or entry.time <= end),
             "a time in the window")
        read(policy, "digest?"), read(decision, "text?"), read(custody, "text?")
        epoch, said = read(epoch, "epoch"), json.loads(entry.body)
        need(wallet == said["wallet"] == self.wallet and said["epoch"] == "%d.%d" % epoch
             and said["transcript"] == transcript.hex(), "the wallet, epoch and T of its body")
        need(isinstance(said["transaction_id"], str | None), "a transaction's id or null")
        here = self.sets.get((wallet, epoch))
        need(here and here.made and here.transcript == transcript, "an epoch that is here")
        need(plan == here.made.chunk.plan, "the plan of that epoch")
        need(isinstance(said["signers"], list)
             and {*said["signers"]} <= {*here.committee.names}, "signers of that committee")
        after(entry, here.made.entry)
        for retired in (retired[0] for retired in self.retirements.values()):
            if self.wallet in retired.names and retired.chunk.epoch > epoch:
                need(entry.time <= retired.time + TOLERANCE, "a time before the epoch's end")


def main():
    """Status 0 and a report if the bundle holds, else 1 and a line."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("bundle", type=pathlib.Path)
    options.add_argument("--governance", required=True, help="a file, or 64 digits")
    options.add_argument("--witnesses", type=int, help="default: more than half of the signers")
    given = options.parse_args()
    try:
        with checking("what is trusted", given.governance):
            known = trusted(given.governance)
        with checking("archive", given.bundle):
            bundle = Bundle(given.bundle.read_bytes(), known, given.witnesses)
    except Refused as refused:
        print("refused:", ascii(" ".join(str(refused).split()))[1:-1])
        return 1
    print(f"holds: {bundle.wallet or bundle.plan}, {len(bundle.members)} members, ledger of "
          f"{bundle.size} entries, cosigned by {', '.join(bundle.cosigned)}")
    print(f"{len(bundle.approved)} plans, {len(bundle.activations)} activations, "
          f"{len(bundle.receipts)} receipts, {len(bundle.signatures)} signatures")
    print("not looked at: whether summary.md and summary.html follow from the rest")
    for line in lacks(bundle):
        print("incomplete:", line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
