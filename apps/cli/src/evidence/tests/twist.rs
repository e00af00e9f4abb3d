//! What can be wrong with a history: one thing at a time.

use super::cast::{WALLETS, name};
use perennial_model::encoding::Digest;
use perennial_model::theft::{Certainty, Finding, TheftReport};

/// What is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Twist {
    Nothing,
    /// The ledger has one more entry, so it is another one.
    Fork,
    NobodyApproves,
    InitiatorApproves,
    ApprovedUnderReplacedGovernance,
    ActivatedBeforeApproved,
    VoteMissing,
    VoteForOtherRoot,
    KeepOfOtherRoot,
    ActivationOfOtherRoot,
    RootOfOtherInputs,
    LeafMissing,
    KeyChanges,
    ChainCodeOfNobody,
    ParentChanges,
    ShareOffThePolynomial,
    ProbeIsWrong,
    PossessionIsWrong,
    ReceiptOfOtherTranscript,
    ReceiptOfOtherWallet,
    ReceiptByStranger,
    SignedUnderOtherPlan,
    SignedByStranger,
    ActivatedTooLate,
    SignedAfterTheEnd,
    ErasedTooEarly,
    DatedAfterItsCosignatures,
    MoreWordsInSubject,
    NotSubmitted,
    ApprovalOfNobody,
    PlanOfOthers,
    ParentOfNoApprovedPlan,
    ParentOfNobody,
    PinnedVersionZero,
    PinnedWithOtherApprovals,
    ApprovedTwice,
    RetiredTwice,
    CreatedTwice,
    HoldersOutOfOrder,
    AttemptOfNoPlan,
    ShareOutsideGroup,
    ParentIsLater,
    AnswerLacksTransaction,
    AnswerSaysTwice,
    AnswerInUtf16,
    AnswerWithoutANumber,
    TheftOfOtherWallet,
    TheftOfOtherTenant,
    TheftOfTwoLines,
    TheftUnderOtherDigest,
    TheftUnderMoreWords,
    TheftTwice,
    NothingWithdrawn,
    /// Nothing is wrong: it was overtaken after its Activation.
    LeftAfterActivation,
    /// Nothing is wrong: people have approved a mandate.
    UnderMandate,
}

impl Twist {
    /// What was answered, as it is written if that is not as it should be.
    pub fn written(self, answer: String) -> Vec<u8> {
        let more = |first: &str| answer.replacen('{', &format!("{{{first},"), 1).into_bytes();
        match self {
            Self::AnswerLacksTransaction => answer.replace("transaction_id", "transaction").into_bytes(),
            Self::AnswerSaysTwice => more("\"epoch\":\"9.9\""),
            Self::AnswerWithoutANumber => more("\"tries\":NaN"),
            Self::AnswerInUtf16 => answer.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            _ => answer.into_bytes(),
        }
    }

    /// A report about the first wallet, and one that withdraws it; each with the subject of its entry.
    pub fn reported(self, from_ms: u64) -> Vec<(String, TheftReport)> {
        let wallet = WALLETS[usize::from(self == Self::TheftOfOtherWallet)];
        let tenant = if self == Self::TheftOfOtherTenant { "globex" } else { "acme" };
        let report = TheftReport {
            finding: Finding::Stolen {
                signer: name("a"),
                wallets: vec![name(wallet)],
                from_ms,
                to_ms: from_ms + 1,
                certainty: Certainty::Known,
            },
            tenant: Some(name(tenant)),
            by: name("security"),
            text: if self == Self::TheftOfTwoLines { "a\nb" } else { "a <b>disk</b>" }.into(),
        };
        let other = Digest([2; 32]);
        let named = if self == Self::NothingWithdrawn { other } else { report.digest() };
        let withdrawal = TheftReport { finding: Finding::Withdrawn(named), ..report.clone() };
        let mut reports = vec![report.clone(), withdrawal];
        if self == Self::TheftTwice {
            reports.push(report);
        }
        let subject = |report: &TheftReport| match self {
            Self::TheftUnderOtherDigest => other.to_string(),
            Self::TheftUnderMoreWords => format!("{} again", report.digest()),
            _ => report.digest().to_string(),
        };
        reports.into_iter().map(|report| (subject(&report), report)).collect()
    }
}
