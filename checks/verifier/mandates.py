"""Mandates: a standing approval in place of a plan's own (docs/formats.md, section 5)."""
from encoding import digest_of, distinct, need
from governance import check_quorum
from statements import wallet_name

MANDATE = 3
MINUTE, DAY = 60_000, 86_400_000


def covers(window, begin, end):
    """Whether one opening of the window holds both times and all between."""
    today = begin // DAY
    for day in range(max(today - 7, 0), today + 1):
        opens = day * DAY + window.from_minute * MINUTE
        if window.days >> (day + 3) % 7 & 1 and opens <= begin <= end <= opens + window.minutes * MINUTE:
            return True
    return False


def check_mandate(mandate, governance, governance_digest):
    """[8] The mandate is sound under the version of governance that it names."""
    need(mandate.governance == governance_digest, "the version that the mandate names")
    need(mandate.tenant in governance.tenants, "a tenant in governance")
    need({*mandate.committee.names} <= {s.name for s in governance.signers}, "known signers")
    need(mandate.waived or len(mandate.committee.names) >= 2 * mandate.committee.t - 1, "n of 2t-1")
    need(mandate.not_before < mandate.until and mandate.least_gap >= MINUTE
         and 0 < mandate.run <= mandate.least_gap, "times of a mandate in their order")
    need(1 <= mandate.attempts <= 100 and mandate.failures, "attempts and failures of a mandate")
    if mandate.wallets.table == "named":
        names = mandate.wallets.wallets
        need(1 <= len(names) <= 10_000 and distinct(names), "1 to 10,000 distinct wallets")
    need(len(mandate.windows) <= 64 and all(
        1 <= window.days < 128 and window.from_minute < 1440 and 1 <= window.minutes <= 10_080
        for window in mandate.windows), "windows of a week")
    need(distinct([cadence.from_tier for cadence in mandate.cadence])
         and all(cadence.every >= mandate.least_gap for cadence in mandate.cadence), "a cadence")


def check_authority(approved, digest, governance):
    """[8] A quorum over the plan, or over a mandate that it keeps to (section 4)."""
    plan = approved.plan
    need((plan.mandate is None) == (approved.mandate is None), "approvals or a mandate")
    if plan.mandate is None:
        question = (plan.action, plan.tier, plan.tenant, plan.initiator)
        check_quorum(governance, question, digest, approved.approvals)
    else:
        need(not approved.approvals, "no approvals beside a mandate")
        check_under_mandate(plan, approved.mandate, governance)


def check_under_mandate(plan, approved, governance):
    """[8] The plan does what the mandate lets it do, and a quorum gave the mandate."""
    names = [wallet_name(item) for item in plan.wallets]
    mandate, digest = approved.mandate, digest_of("mandate", approved.mandate.raw)
    check_mandate(mandate, governance, plan.governance)
    question = (MANDATE, mandate.tier, mandate.tenant, mandate.initiator)
    check_quorum(governance, question, digest, approved.approvals)
    need(plan.mandate.mandate == digest and plan.mandate.counts_from, "the mandate that it names")
    need(plan.action == 1 and plan.tenant == mandate.tenant and plan.tier <= mandate.tier,
         "a refresh of the mandate's tenant and tier")
    if mandate.wallets.table == "named":
        need({*names} <= {*mandate.wallets.wallets}, "wallets that the mandate names")
    same = ("committee", "waived", "profile", "probe_all", "backup", "policy", "governance",
            "initiator")
    need(all(getattr(plan, field) == getattr(mandate, field) for field in same),
         "what the mandate says word for word")
    need(plan.attempts <= mandate.attempts, "no more attempts than the mandate's")
    need(mandate.not_before <= plan.not_before and plan.deadline <= mandate.until
         and plan.deadline - plan.not_before <= mandate.run, "the mandate's dates")
    need(not mandate.windows or any(covers(window, plan.not_before, plan.expiry)
                                    for window in mandate.windows), "a window of the mandate")
