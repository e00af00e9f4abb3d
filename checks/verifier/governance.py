"""Who may decide what (docs/formats.md, sections 5 and 6)."""
import base64
import pathlib
import re
import struct
from collections import Counter

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from curves import check_ed25519, check_key
from encoding import DIGEST, base64_bytes, decode, digest_of, distinct, document, need, sha

GOVERN = 2


def string(data):
    """Bytes with their length in front, as SSH writes them."""
    return struct.pack(">I", len(data)) + data


SSH_KEY = string(b"ssh-ed25519") + struct.pack(">I", 32)


def key_bytes(key):
    """The public key of a person, apart from how it is written."""
    if key.table == "passkey":
        public = key.held.key
        if public.table == "p256":
            need(len(public.key) == 33 and public.key[0] in (2, 3), "a compressed P-256 point")
            ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public.key)
            return public.key
        check_key(public.key)
        return public.key
    words = key.line.strip().split(" ", 2)
    blob = base64_bytes(words[1])
    need(words[0] == "ssh-ed25519" and "\n" not in key.line and len(blob) == 51
         and blob.startswith(SSH_KEY), "one line of an ssh-ed25519 key")
    check_key(blob[19:])
    return blob[19:]


def check_ssh(text, keys, digest):
    """An armoured SSHSIG over the digest by one of the keys (section 5)."""
    text = text.replace("\r\n", "\n") if text.count("\r\n") == text.count("\n") else text
    lines = text.removesuffix("\n").split("\n")
    blob = base64_bytes("".join(lines[1:-1]))
    armour = re.findall(".{1,70}", base64.b64encode(blob).decode())
    need(lines == ["-----BEGIN SSH SIGNATURE-----", *armour, "-----END SSH SIGNATURE-----"],
         "the armour of ssh-keygen")
    message = digest.hex().encode() + b"\n"
    for key in keys:
        for name in ("sha256", "sha512"):
            about = string(b"perennial") + string(b"") + string(name.encode())
            front = b"SSHSIG\0\0\0\1" + string(SSH_KEY + key) + about + struct.pack(">I", 83) \
                + string(b"ssh-ed25519") + struct.pack(">I", 64)
            if blob.startswith(front) and len(blob) == len(front) + 64:
                hashed = sha(message) if name == "sha256" else sha(message, name="sha512")
                return check_ed25519(key, b"SSHSIG" + about + string(hashed), blob[-64:])
    return need(False, "an SSH signature by a key of that person")


def check_passkey(assertion, person, party, digest):
    """A WebAuthn assertion of the digest by one of the person's credentials (section 5)."""
    held = [key.held for key in person.keys
            if key.table == "passkey" and key.held.id == assertion.credential]
    need(held and party, "a credential of that person")
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    fronts = [f'{{"type":"webauthn.get","challenge":"{challenge}","origin":"{origin}",'
              '"crossOrigin":false'.encode() for origin in party.origins]
    client, data = assertion.client, assertion.authenticator
    client.decode()
    need(len(client) <= 4096 and client.endswith(b"}") and any(
        client == front + b"}" or client.startswith(front + b",") for front in fronts),
        "client data of section 5")
    need(len(data) >= 37 and data[:32] == sha(party.id.encode()) and data[32] & 5 == 5,
         "authenticator data of section 5")
    signed, key = data + sha(client), held[0].key
    if key.table == "ed25519":
        return check_ed25519(key.key, signed, assertion.signature)
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), key.key)
    return public.verify(assertion.signature, signed, ec.ECDSA(SHA256()))


def check_quorum(governance, question, digest, approvals):
    """[4, 8] Every approval is good, and together they are what the rule demands."""
    matter, tier, tenant, initiator = question
    rules = [rule for rule in governance.rules if rule.matter == matter and rule.tier <= tier]
    need(rules and len(approvals) <= 64, "a rule for the matter, and 64 approvals at most")
    need(tenant is None or tenant in governance.tenants, "a tenant in governance")
    people = {approver.person: approver for approver in governance.approvers}
    for approval in approvals:
        person = people.get(approval.person)
        need(person and approval.person != initiator
             and (not person.tenants or tenant in person.tenants),
             f"an approver of this, not {approval.person}")
        if approval.by.table == "sshsig":
            keys = [key_bytes(key) for key in person.keys if key.table == "ssh"]
            check_ssh(approval.by.text, keys, digest)
        else:
            check_passkey(approval.by.assertion, person, governance.party, digest)
    roles = Counter(people[name].role for name in {approval.person for approval in approvals})
    for demand in max(rules, key=lambda rule: rule.tier).demands:
        need(roles[demand.role] >= demand.number, f"{demand.number} of role {demand.role}")


def check_version(version):
    """[4] One version of governance is sound."""
    need(version.version and (version.version == 1) == (version.predecessor is None), "a chain")
    need(1 <= len(version.approvers) <= 64 and 1 <= len(version.tenants) <= 10_000, "its limits")
    keys = [key for approver in version.approvers for key in approver.keys]
    passkeys = [key.held.id for key in keys if key.table == "passkey"]
    names = [signer.name for signer in version.signers]
    need(all(map(distinct, (
        [approver.person for approver in version.approvers], names, version.tenants,
        version.written_off, [*names, *version.written_off], passkeys,
        [*map(key_bytes, keys), *(signer.key.key for signer in version.signers)]))),
        "nothing listed twice")
    need(all(approver.keys and set(approver.tenants) <= set(version.tenants)
             for approver in version.approvers), "approvers with keys and listed tenants")
    need(not passkeys or version.party and version.party.origins, "a relying party")
    need(distinct([(rule.matter, rule.tier) for rule in version.rules]), "no rule twice")
    for rule in version.rules:
        demands = {demand.role: demand.number for demand in rule.demands}
        able = Counter(approver.role for approver in version.approvers
                       if rule.matter != GOVERN or not approver.tenants)
        need(demands and len(demands) == len(rule.demands)
             and all(0 < number <= able[role] for role, number in demands.items()),
             "rules that can be met")
        for lower in version.rules:
            if lower.matter == rule.matter and lower.tier < rule.tier:
                need(all(demands.get(demand.role, 0) >= demand.number
                         for demand in lower.demands), "rules that rise with the tier")
    need(any(rule.matter == GOVERN for rule in version.rules), "a rule for govern")


def check_history(history):
    """[4] The history holds; gives the digest of each version in turn."""
    need(1 <= len(history) <= 10_000, "1 to 10,000 versions")
    before, digests, keys, dropped = None, [], {}, set()
    for number, step in enumerate(history, 1):
        version = step.governance
        check_version(version)
        need(version.version == number and version.predecessor == (digests or [None])[-1],
             f"version {number} after its predecessor")
        digests.append(digest_of("governance", version.raw))
        question = (GOVERN, 2, None, version.initiator)
        check_quorum(before or version, question, digests[-1], step.approvals)
        signers = {signer.name: signer.key.key for signer in version.signers}
        need(all(keys.get(name, key) == key for name, key in signers.items())
             and not dropped & set(signers), "signers that keep their key and stay away")
        need(set(version.written_off) <= set(keys), "only former signers written off")
        dropped |= set(keys) - set(signers)
        keys |= signers
        before = version
    return digests


def trusted(text):
    """The digests that the reader knows: 64 digits, or a file with governance (section 6)."""
    if re.fullmatch(DIGEST, text):
        return [bytes.fromhex(text)]
    data = pathlib.Path(text).read_bytes()
    kind = decode(data)[1]
    body = document(data, kind)
    steps = {"governance-history": body, "approved-governance": [body]}.get(kind)
    versions = [step.governance for step in steps] if steps else [body]
    need(versions[0].version == 1, "a first version")
    return [digest_of("governance", version.raw) for version in versions]
