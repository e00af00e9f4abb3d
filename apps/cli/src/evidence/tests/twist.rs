//! What can be wrong with a history: one thing at a time.

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
}
