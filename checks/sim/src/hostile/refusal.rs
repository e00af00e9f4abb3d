//! Refusals by code. The codes are here and nowhere else: each is a fixed part of what a signer says when it refuses.

use perennial_model::mail::Reply;
use perennial_model::session::SessionOutcome;
use perennial_model::witness::Answer;

/// A reason for which signers refuse.
pub struct Reason {
    /// Its code, which never changes.
    pub code: &'static str,
    /// The part of the words by which it is known.
    pub words: &'static str,
    /// Whether it takes a rare accident, so that no number of times is asked for.
    pub seldom: bool,
}

const fn reason(code: &'static str, words: &'static str) -> Reason {
    Reason { code, words, seldom: false }
}

const fn seldom(code: &'static str, words: &'static str) -> Reason {
    Reason { code, words, seldom: true }
}

/// All reasons. Of those that fit the first counts.
pub const REASONS: &[Reason] = &[
    reason("halted", "this signer has halted"),
    reason("unreadable", "not a readable"),
    reason("unreadable: version", "expected a request document"),
    reason("signature: not the signer's", "the signature on this"),
    reason("signature: of nobody known", "governance knows no signer"),
    reason("signature: approval of something else", "'s signature is not over"),
    reason("signature: approval unreadable", "'s approval cannot be read"),
    seldom("signature: approval by another key", "is signed with a key that governance does not give"),
    seldom("signature: approval for another purpose", "'s approval was signed for"),
    seldom("signature: of no approver", "is no approver in this governance"),
    seldom("unreadable: not canonical", "not in canonical form"),
    seldom("unreadable: note", "malformed signed note"),
    seldom("unreadable: key of a note", "malformed note key"),
    seldom("unreadable: proof", "the proof with a checkpoint"),
    seldom("signature: checkpoint by others", "wrong log, or a forgery"),
    reason("signature: checkpoint forged", "the note was changed or forged"),
    reason("plan: unknown", "unknown plan"),
    reason("mandate: unsound", "the mandate is not sound"),
    reason("mandate: another named", "goes beyond its mandate: it names another"),
    reason("mandate: not a refresh", "a mandate is for refresh alone"),
    reason("mandate: another tenant or tier", "another tenant or a higher tier"),
    reason("mandate: wallet not named", "goes beyond its mandate: it does not name"),
    reason("mandate: other terms", "another committee, profile, rule, governance or initiator"),
    reason("mandate: attempts beyond", "goes beyond its mandate: more than"),
    reason("mandate: outside its dates", "outside of the mandate's dates"),
    reason("mandate: takes too long", "it takes longer than a refresh may take"),
    reason("mandate: outside its windows", "outside of the mandate's windows"),
    reason("mandate: and approvals", "or a mandate that it names, not both"),
    reason("mandate: operators missing", "of role operator that it takes to mandate"),
    reason("mandate: compliance missing", "of role compliance that it takes to mandate"),
    reason("mandate: rests", "rests by order"),
    reason("mandate: nothing retired here", "was retired here: it takes a plan"),
    reason("mandate: another beginning", "and this begins at"),
    reason("mandate: another rank", "it keeps the rank of"),
    reason("mandate: numbers used up", "so its numbers go to"),
    seldom("mandate: clock went back", "clock went back behind"),
    reason("mandate: opened too early", "may be renewed again in"),
    reason("mandate: retired too early", "may be retired again in"),
    reason("order: operators to cancel missing", "of role operator that it takes to cancel"),
    reason("order: operators to pause missing", "of role operator that it takes to pause"),
    reason("order: readmits for a tenant", "for all tenants or not at all"),
    reason("order: for all, of a low tier", "what concerns all tenants is of the highest"),
    seldom("order: tenant unknown", "governance knows no tenant"),
    seldom("order: too many", "the next version of governance makes room"),
    reason("plan: called off", "is called off by order"),
    reason("plan: operators missing", "of role operator that it takes to"),
    reason("plan: compliance missing", "of role compliance that it takes to"),
    reason("plan: approved by who asks", "started this and cannot approve it"),
    reason("plan: approved for another tenant", "approves nothing of tenant"),
    reason("plan: unsound", "the plan is not sound"),
    reason("plan: not begun", "the plan begins later"),
    reason("plan: expired", "the plan has expired"),
    reason("order: expired", " has expired"),
    reason("plan: too late to activate", "the date that gates Activation is past"),
    reason("plan: number or wallets outside", "was not approved with this plan"),
    reason("plan: rank out of reach", "is more than 1000000 above"),
    reason("plan: another tenant's wallet", "is another tenant's"),
    reason("plan: wallet of a higher tier", "is of a higher tier than the plan"),
    reason("plan: wallet exists", "exists, and is to be made"),
    reason("plan: wallet is kept", "exists already, and is kept"),
    reason("inputs: none retired yet", "so all members have to take part"),
    reason("deal: number is passed", "has gone on to a higher number here"),
    reason("plan: wallet is served", "exists already"),
    seldom("plan: wallet has another key", "exists under another key"),
    seldom("keep: wallet has another key", "came to another key"),
    reason("plan: another committee", "has another committee"),
    reason("plan: not a member", "is not in the new committee"),
    reason("governance: replaced", "is in force: make a new plan"),
    reason("governance: unknown", "which is not known here"),
    reason("governance: out of order", "that is known here"),
    reason("governance: approved for some tenants", "approves for some tenants alone"),
    reason("number: opened", "which was opened here"),
    reason("number: at or below the floor", "the highest seen here"),
    seldom("number: no part under old governance", "this signer has no part in it"),
    reason("parent: missing", "send the share set that the plan names"),
    reason("parent: does not open", "does not open to its key"),
    reason("parent: another wallet's", "is another wallet's"),
    reason("parent: no longer held", "it is no longer held here"),
    reason("parent: share not held", "does not hold the parent share"),
    reason("inputs: too few holders", "fewer holders than the plan demands"),
    reason("inputs: holders no members", "the holders are not members"),
    reason("inputs: dealers not t", "the dealers are not exactly t"),
    seldom("inputs: dealers not all holders", "when a key is made, every holder deals"),
    reason("inputs: not a dealer", "is not among the dealers"),
    reason("inputs: other openings", "these are not the openings that the inputs name"),
    reason("inputs: opening of another chunk", "an opening of another chunk or without a key"),
    reason("inputs: one-time key is none", "a one-time key that is no key"),
    reason("dealing: dealt for other inputs", "this signer dealt for other inputs"),
    reason("dealing: not one promise each", "not one promise per dealer"),
    reason("dealing: promised for other inputs", "promised for other inputs"),
    reason("dealing: nothing promised", "has promised no dealing"),
    reason("dealing: promised by this signer for others", "this signer promised a dealing for other inputs"),
    reason("dealing: done with", "the dealing is done with"),
    seldom("dealing: another promise shown", "the promise shown is not this signer's"),
    reason("dealing: promised anew", "has promised something else since"),
    reason("dealing: not one each", "not one dealing per dealer"),
    reason("dealing: not as promised", "another dealing than it promised"),
    reason("dealing: dealer refused", "refuses a dealer"),
    reason("verify: not opened", "this signer has not opened it"),
    reason("verify: left", "it was left"),
    seldom("verify: another transcript", "prepared another transcript"),
    seldom("verify: own opening missing", "this signer's opening is not among the inputs"),
    reason("certificate: other promise", "promise something else than it is used for"),
    reason("certificate: a stranger holds", "a holder is no member"),
    reason("certificate: set too small", "its activation set is smaller"),
    reason("certificate: one votes twice", "votes twice or is not in"),
    reason("certificate: vote for something else", "'s vote is for"),
    reason("certificate: votes missing", " votes"),
    reason("certificate: no proof of shares", "without proof that it holds its shares"),
    reason("certificate: probe missing", "is missing or does not verify"),
    reason("certificate: nothing prepared here", "this signer has not prepared it"),
    reason("certificate: a higher epoch is retired", "a higher epoch of"),
    reason("keep: not active", "it is not active at this signer"),
    reason("keep: overlap lasts", "the overlap lasts"),
    reason("probe: not held", "is not held here"),
    reason("probe: not prepared", "is not prepared here under this root"),
    reason("probe: enough", "probe sessions are enough"),
    reason("probe: does not follow", "these probes do not follow from its root"),
    reason("session: only probes", "only probes are signed"),
    reason("session: probes elsewhere", "probes are signed on the ceremony's side"),
    reason("session: other time", "the session was asked for"),
    reason("session: begun before", "this session was begun before"),
    reason("session: without this signer", "a session without this signer"),
    reason("session: order of signers", "listed by rising seat"),
    reason("session: number of signers", "a session of"),
    reason("session: stranger", "holds no share of"),
    reason("session: too large", "a transaction has at most"),
    reason("session: no transaction", "is no readable unsigned"),
    reason("session: path", "its only path is"),
    reason("session: not served", "with this transcript is not served"),
    reason("session: for somebody else", "session mail for somebody else"),
    reason("session: other terms", "signs in another session or under other terms"),
    seldom("session: other round", "sent a message of round"),
    reason("session: number of messages", "sent another number of messages"),
    reason("session: number of items", "was asked for another number of items"),
    reason("session: misbehaved in the engine", "misbehaved: "),
    seldom("session: too long", "it lasted too long"),
    reason("session: epoch gone", "its epoch is no longer served"),
    reason("pairing: for somebody else", "pairing mail for somebody else"),
    reason("pairing: no attempt", "no open attempt"),
    reason("ledger: another head is held", "it holds another checkpoint"),
    reason("ledger: broke its word", "it raises the alarm"),
    reason("ledger: another key", "this checkpoint is by the key"),
];

/// The code of the first refusal among replies; none if there is none. A refusal that is not listed gives its words.
pub fn refusal(reply: &Reply) -> Option<Result<usize, String>> {
    let words = match reply {
        Reply::Declined { reason, .. } => reason.as_str(),
        Reply::Session(report) => match &report.outcome {
            SessionOutcome::Failed { reason, .. } => reason.as_str(),
            SessionOutcome::Signed(_) => return None,
        },
        Reply::Refused(_) => "refuses a dealer",
        Reply::Checkpoint(Answer::Holds(_)) => "it holds another checkpoint",
        Reply::Checkpoint(Answer::Alarm(_)) => "it raises the alarm",
        _ => return None,
    };
    Some(REASONS.iter().position(|known| words.contains(known.words)).ok_or_else(|| shape(words)))
}

/// Whether a reason is that a signature does not verify.
pub fn is_signature(at: usize) -> bool {
    REASONS[at].code.starts_with("signature:")
}

/// The words without what differs from case to case.
fn shape(words: &str) -> String {
    let plain = |word: &str| match word.chars().any(|c| c.is_ascii_digit()) {
        true => "#".to_owned(),
        false => word.to_owned(),
    };
    words.split_whitespace().map(plain).collect::<Vec<_>>().join(" ")
}
