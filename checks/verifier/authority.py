"""Who may decide what (docs/formats.md, sections 4 to 6): approvals, governance, plans and mandates."""
import base64, hashlib, itertools, pathlib, re
from collections import Counter

import cbor2
import ecdsa

from encoding import (DIGEST, SOUND, canonical, check_ed25519, distinct, document, framed, need, point, sha,
                      signers, unbase64)

GOVERN, MANDATE, SSH, MINUTE, DAY = 2, 3, b"ssh-ed25519", 60_000, 86_400_000

def check_window(window):
    """[8] A window of a mandate lies in a week (section 4)."""
    need(1 <= window.days < 128 and window.from_minute < 1440 and 1 <= window.minutes <= 10_080, "a window")

def check_mandate(mandate):
    """[8] A mandate is sound by itself (section 4)."""
    need(mandate.not_before < mandate.until and mandate.least_gap >= MINUTE
         and 0 < mandate.run <= mandate.least_gap, "a mandate's times in their order")
    need(1 <= mandate.attempts <= 100 and mandate.failures and len(mandate.windows) <= 64,
         "1 to 100 attempts, a failure, and 64 windows at most")
    need(mandate.wallets.table == "all" or 1 <= len(mandate.wallets.wallets) <= 10_000
         and distinct(mandate.wallets.wallets), "all or 1 to 10,000 distinct wallets")
    need(distinct(cadence.from_tier for cadence in mandate.cadence)
         and all(cadence.every >= mandate.least_gap for cadence in mandate.cadence), "a cadence")

def check_version(version):
    """[4] A version of governance is sound by itself (section 6)."""
    people, tenants, rules = version.approvers, version.tenants, version.rules
    need(version.version and (version.version == 1) == (version.predecessor is None), "a predecessor or none")
    need(1 <= len(people) <= 64 and 1 <= len(tenants) <= 10_000, "1 to 64 approvers, 1 to 10,000 tenants")
    keys = [key for person in people for key in person.keys]
    passkeys = [key.held.id for key in keys if key.table == "passkey"]
    names = [*(signer.name for signer in version.signers), *version.written_off]
    public, own = [*map(public_key, keys)], [signer.key.bytes for signer in version.signers]
    need(all(map(distinct, ([person.person for person in people], tenants, names, passkeys, public, own))),
         "nothing listed twice")
    need(all(person.keys and {*person.tenants} <= {*tenants} for person in people), "keys, listed tenants")
    need(not passkeys or version.party and version.party.origins, "a relying party for passkeys")
    need(distinct((rule.matter, rule.tier) for rule in rules), "no rule twice")
    need(any(rule.matter == GOVERN for rule in rules), "a rule for govern")
    for rule in rules:
        demands = {demand.role: demand.number for demand in rule.demands}
        able = Counter(person.role for person in people if rule.matter != GOVERN or not person.tenants)
        need(demands and len(demands) == len(rule.demands)
             and all(0 < number <= able[role] for role, number in demands.items()), "rules that can be met")
        lower = [other for other in rules if other.matter == rule.matter and other.tier < rule.tier]
        need(all(demands.get(demand.role, 0) >= demand.number for other in lower for demand in other.demands),
             "rules that rise with the tier")

def public_key(key):
    """The public key of a person, apart from how it is written (section 6)."""
    if key.table == "passkey":
        public = key.held.key
        if public.table == "ed25519":
            return canonical(public.bytes)
        return point(public.bytes, ecdsa.NIST256p).to_string("compressed")
    kind, text = key.line.strip().split(" ", 2)[:2]
    blob = unbase64(text)
    need(kind == "ssh-ed25519" and "\n" not in key.line and blob == framed(4, SSH, blob[19:]), "an SSH key")
    return canonical(blob[19:])

def check_ssh(text, keys, digest):
    """An armoured SSHSIG over the digest by one of the keys (section 5)."""
    text = text.replace("\r\n", "\n") if text.count("\r\n") == text.count("\n") else text
    first, *body, last = text.removesuffix("\n").split("\n")
    blob = unbase64("".join(body))
    need((first, last) == ("-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----")
         and body == re.findall(".{1,70}", "".join(body)), "the armour of ssh-keygen")
    for key, name in itertools.product(keys, ("sha256", "sha512")):
        about = b"perennial", b"", name.encode()
        if blob == b"SSHSIG\0\0\0\1" + framed(4, framed(4, SSH, key), *about, framed(4, SSH, blob[-64:])):
            hashed = hashlib.new(name, digest.hex().encode() + b"\n").digest()
            return check_ed25519(key, b"SSHSIG" + framed(4, *about, hashed), blob[-64:])
    return need(False, "an SSH signature by a key of that person")

def check_passkey(said, person, party, digest):
    """A WebAuthn assertion of the digest by one of the person's credentials (section 5)."""
    held = [key.held.key for key in person.keys if key.table == "passkey" and key.held.id == said.credential]
    need(held and party, "a credential of that person")
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    fronts = [f'{{"type":"webauthn.get","challenge":"{challenge}","origin":"{origin}","crossOrigin":false'
              for origin in party.origins]
    need(len(said.client) <= 4096 and any(re.fullmatch(
        re.escape(front) + "(?s:,.*)?}", said.client.decode()) for front in fronts), "its client data")
    need(len(said.authenticator) >= 37 and said.authenticator[:32] == sha(party.id.encode())
         and said.authenticator[32] & 5 == 5, "authenticator data of section 5")
    signed, key = said.authenticator + sha(said.client), held[0].bytes
    if held[0].table == "ed25519":
        return check_ed25519(key, signed, said.signature)
    return point(key, ecdsa.NIST256p).verify(said.signature, signed, hashlib.sha256, ecdsa.util.sigdecode_der)

def check_quorum(governance, matter, asked, approvals):
    """[4, 8] Every approval is good, and together they are what the rule demands (section 5)."""
    tier, tenant = getattr(asked, "tier", 2), getattr(asked, "tenant", None)
    rules = [rule for rule in governance.rules if rule.matter == matter and rule.tier <= tier]
    need(rules and tenant in (None, *governance.tenants) and len(approvals) <= 64,
         "a rule for the matter, a listed tenant, and 64 approvals at most")
    people, roles = {person.person: person for person in governance.approvers}, {}
    for approval in approvals:
        person, by = people.get(approval.person), approval.by
        need(person and approval.person != asked.initiator
             and (not person.tenants or tenant in person.tenants), f"an approver, not {approval.person}")
        if by.table == "sshsig":
            check_ssh(by.text, [public_key(key) for key in person.keys if key.table == "ssh"], asked.digest)
        else:
            check_passkey(by.assertion, person, governance.party, asked.digest)
        roles[person.person] = person.role
    for demand in max(rules, key=lambda rule: rule.tier).demands:
        need([*roles.values()].count(demand.role) >= demand.number, f"{demand.number} of role {demand.role}")

def check_history(history):
    """[4] Each version is approved by the one before, and signers keep their keys."""
    need(1 <= len(history) <= 10_000, "1 to 10,000 versions")
    before, keys, dropped = None, {}, set()
    for number, step in enumerate(history, 1):
        version = step.governance
        need((version.version, version.predecessor) == (number, before and before.digest),
             f"version {number} after its predecessor")
        check_quorum(before or version, GOVERN, version, step.approvals)
        here = {signer.name: signer.key.bytes for signer in version.signers}
        need(not dropped & {*here} and all(keys.get(name, key) == key for name, key in here.items()),
             "signers that keep their key, and none that was dropped")
        need({*version.written_off} <= {*keys}, "only former signers written off")
        dropped |= keys.keys() - here
        keys, before = keys | here, version

def versions(text):
    """The versions in a file with governance, from the first on (section 6)."""
    data = pathlib.Path(text).read_bytes()
    body = document(data, cbor2.loads(data)[1])
    if isinstance(body, list):
        check_history(body)
    found = [getattr(step, "governance", step) for step in (body if isinstance(body, list) else [body])]
    need(found[0].table == "governance" and found[0].version == 1, "a first version of governance")
    return found

def trusted(text):
    """The digests that the reader knows: 64 digits, or those of a file."""
    return [bytes.fromhex(text)] if re.fullmatch(DIGEST, text) else [step.digest for step in versions(text)]

def wallet_name(item):
    """The wallet of a plan's item, new or held."""
    return item.wallet.id if item.table == "new" else item.id

def check_sound(asked, governance):
    """[8] What plans and mandates have in common is sound under the version they name (section 4)."""
    names = signers(asked.committee)
    need(asked.governance == governance.digest, "the version of governance that was pinned last")
    need(asked.tenant in governance.tenants, "a tenant in governance")
    need({*names} <= {signer.name for signer in governance.signers}, "known signers")
    need(asked.waived or len(names) >= 2 * asked.committee.t - 1, "n of 2t-1")

def opens(window, plan):
    """Whether one opening of the window holds the plan's not before and expiry (section 4)."""
    days = range(max(plan.not_before // DAY - 7, 0), plan.not_before // DAY + 1)
    begins = [day * DAY + window.from_minute * MINUTE for day in days if window.days >> (day + 3) % 7 & 1]
    return any(at <= plan.not_before and plan.expiry <= at + window.minutes * MINUTE for at in begins)

def check_plan(approved, governance):
    """[8] A sound plan has its quorum, or keeps to a mandate that has one (section 4)."""
    plan, names = approved.plan, [wallet_name(item) for item in approved.plan.wallets]
    check_sound(plan, governance)
    need(1 <= len(names) <= 100_000 and distinct(names), "1 to 100,000 distinct wallets")
    need(plan.rank and plan.attempts and plan.not_before < plan.expiry <= plan.deadline,
         "a rank, attempts, and times in their order")
    need(all(item.table == "held" if plan.action else
             item.table == "new" and item.wallet.tenant == plan.tenant and item.wallet.tier <= plan.tier
             for item in plan.wallets), "wallets as action, tenant and tier want")
    need((plan.mandate is None) == (approved.mandate is None), "approvals or a mandate")
    if plan.mandate is None:
        return check_quorum(governance, plan.action, plan, approved.approvals)
    mandate = approved.mandate.mandate
    check_sound(mandate, governance)
    check_quorum(governance, MANDATE, mandate, approved.mandate.approvals)
    need(plan.mandate.mandate == mandate.digest and plan.mandate.counts_from, "the mandate that it names")
    need(not approved.approvals, "no approvals beside a mandate")
    need(plan.action == 1 and plan.tier <= mandate.tier, "a refresh of the mandate's tier")
    need({*names} <= {*getattr(mandate.wallets, "wallets", names)}, "wallets that the mandate names")
    for field in "tenant committee waived profile probe_all backup policy governance initiator".split():
        need(getattr(plan, field) == getattr(mandate, field), f"the {field} of the mandate")
    need(plan.attempts <= mandate.attempts and mandate.not_before <= plan.not_before
         and plan.deadline <= min(mandate.until, plan.not_before + mandate.run), "its attempts and dates")
    return need(not mandate.windows or any(opens(window, plan) for window in mandate.windows), "a window")

SOUND |= {"window": check_window, "mandate": check_mandate, "governance": check_version}
