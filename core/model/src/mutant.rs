//! Planted faults, for the simulator alone: each breaks one rule of the protocol in one place, and the
//! simulator has to notice. Without the feature `simulation`, [`planted!`](crate::planted) is the word `false`.

/// A marker that only a build with planted faults carries; shipped binaries are searched for it.
#[cfg(feature = "simulation")]
pub const MARKER: &str = "perennial-simulation-only";

/// One broken rule.
#[cfg(feature = "simulation")]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs)]
pub enum Mutant {
    DestroyEarly,
    AcknowledgeBeforeSync,
    DealAgainAfterCrash,
    SkipVerification,
    ActivateBelowA,
    CountVotesWithoutTranscript,
    CountOneVoterTwice,
    SinglePendingSlot,
    NoEpochFloor,
    DecisionNotPersisted,
    OverlapNeverClosed,
    SignAfterRetirement,
    NonceReused,
    KeepBeforeActivation,
    SkipErasure,
    BasesUnderSeveralNumbers,
    BasesTakenByAnyRetirement,
    ActUnderOldGovernance,
    MandateWithoutClock,
    DeafToOrders,
    CountOnePersonTwice,
    CountOtherApprovals,
    CountTheInitiator,
    CountAnyRole,
    NumberOutsidePlan,
    DatesUnchecked,
    SubjectUnchecked,
    RankUnbounded,
    GovernanceGoesBack,
    RetireOnPreparedVotes,
    SmallActivationSet,
    OpeningsUnchecked,
    DealForEveryInputs,
    DealUnopened,
    DealBeforeAllPromise,
    ProbesUnbound,
    ProbesWithoutEnd,
    ServeAnyTranscript,
    BeginSessionsAgain,
    SignUnderOtherTerms,
    CosignAnything,
    BlameForOtherTerms,
    MandateUnapproved,
    MandateCoversAnything,
    MandateLeavesOut,
    MandateNeverRests,
    MandateOnPapers,
    MandateFromAnyEpoch,
    MandateOfAnyRank,
    MandateNumbersUnbounded,
    RetireWithoutGap,
    MandatedPlansWithoutEnd,
    OrdersUnapproved,
    OrdersNeverExpire,
    OrdersOfAnyTenant,
    LastOrderCounts,
    ReadmitFromAnyHalt,
    EraseWhileHalted,
    ServeUnprobed,
    ProbeNoPairs,
    KeepSeveralKeys,
    MakeWithoutAll,
    PromisesForgotten,
    DealFromUnretired,
    DealAfterRefusal,
    DealPassed,
}

#[cfg(feature = "simulation")]
impl Mutant {
    /// Those that chance and faults bring out.
    pub const ALL: [Self; 21] = [
        Self::DestroyEarly,
        Self::AcknowledgeBeforeSync,
        Self::DealAgainAfterCrash,
        Self::SkipVerification,
        Self::ActivateBelowA,
        Self::CountVotesWithoutTranscript,
        Self::CountOneVoterTwice,
        Self::SinglePendingSlot,
        Self::NoEpochFloor,
        Self::DecisionNotPersisted,
        Self::OverlapNeverClosed,
        Self::SignAfterRetirement,
        Self::NonceReused,
        Self::KeepBeforeActivation,
        Self::SkipErasure,
        Self::BasesUnderSeveralNumbers,
        Self::BasesTakenByAnyRetirement,
        Self::ActUnderOldGovernance,
        Self::MandateWithoutClock,
        Self::DeafToOrders,
        Self::ProbeNoPairs,
    ];

    /// Those that a hostile coordinator brings out: each breaks a rule that stands between it and harm.
    pub const HOSTILE: [Self; 52] = [
        Self::ActivateBelowA,
        Self::CountVotesWithoutTranscript,
        Self::CountOneVoterTwice,
        Self::NoEpochFloor,
        Self::ActUnderOldGovernance,
        Self::CountOnePersonTwice,
        Self::CountOtherApprovals,
        Self::CountTheInitiator,
        Self::CountAnyRole,
        Self::NumberOutsidePlan,
        Self::DatesUnchecked,
        Self::SubjectUnchecked,
        Self::RankUnbounded,
        Self::GovernanceGoesBack,
        Self::RetireOnPreparedVotes,
        Self::SmallActivationSet,
        Self::OpeningsUnchecked,
        Self::DealForEveryInputs,
        Self::DealUnopened,
        Self::DealBeforeAllPromise,
        Self::ProbesUnbound,
        Self::ProbesWithoutEnd,
        Self::ServeAnyTranscript,
        Self::BeginSessionsAgain,
        Self::SignUnderOtherTerms,
        Self::CosignAnything,
        Self::BlameForOtherTerms,
        Self::MandateWithoutClock,
        Self::DeafToOrders,
        Self::MandateUnapproved,
        Self::MandateCoversAnything,
        Self::MandateLeavesOut,
        Self::MandateNeverRests,
        Self::MandateOnPapers,
        Self::MandateFromAnyEpoch,
        Self::MandateOfAnyRank,
        Self::MandateNumbersUnbounded,
        Self::RetireWithoutGap,
        Self::MandatedPlansWithoutEnd,
        Self::OrdersUnapproved,
        Self::OrdersNeverExpire,
        Self::OrdersOfAnyTenant,
        Self::LastOrderCounts,
        Self::ReadmitFromAnyHalt,
        Self::EraseWhileHalted,
        Self::ServeUnprobed,
        Self::KeepSeveralKeys,
        Self::MakeWithoutAll,
        Self::PromisesForgotten,
        Self::DealFromUnretired,
        Self::DealAfterRefusal,
        Self::DealPassed,
    ];
}

#[cfg(feature = "simulation")]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Mutant>> = const { std::cell::Cell::new(None) };
    static LYING: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// A dealer that deals in this thread from now on lies to one holder, or no longer does.
#[cfg(feature = "simulation")]
pub fn lie(lying: bool) {
    LYING.with(|known| known.set(lying));
}

/// Whether a dealer in this thread lies.
#[cfg(feature = "simulation")]
pub fn is_lying() -> bool {
    LYING.with(std::cell::Cell::get)
}

/// Plants one fault, or none, for this thread.
#[cfg(feature = "simulation")]
pub fn plant(mutant: Option<Mutant>) {
    PLANTED.with(|planted| planted.set(mutant));
}

/// Whether this fault is planted in this thread.
#[cfg(feature = "simulation")]
pub fn is_planted(mutant: Mutant) -> bool {
    PLANTED.with(|planted| planted.get()) == Some(mutant)
}

/// Whether a fault is planted: `planted!(DestroyEarly)`.
#[cfg(feature = "simulation")]
#[macro_export]
macro_rules! planted {
    ($mutant:ident) => {
        $crate::mutant::is_planted($crate::mutant::Mutant::$mutant)
    };
}

/// Whether a fault is planted: never, in this build.
#[cfg(not(feature = "simulation"))]
#[macro_export]
macro_rules! planted {
    ($mutant:ident) => {
        false
    };
}

/// Whether the dealer at work lies to one holder.
#[cfg(feature = "simulation")]
#[macro_export]
macro_rules! lying {
    () => {
        $crate::mutant::is_lying()
    };
}

/// Whether the dealer at work lies to one holder: never, in this build.
#[cfg(not(feature = "simulation"))]
#[macro_export]
macro_rules! lying {
    () => {
        false
    };
}
