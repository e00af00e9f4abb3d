//! The attacker's moves: what each is called, how it is made, and what may come of it.
//!
//! A new sort of move is a function in `craft` and a row here.

use super::craft::{
    Blows, approvals, ceremony, certificates, corrupt, early, ledger, mail, mandates, orders, plans,
    sessions, transactions, unattended,
};
use super::stage::Stage;

/// Whether what a move carries was signed by those whose names it bears.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Seals {
    /// Everything that is signed in it verifies; where nothing is signed, nothing fails.
    Sound,
    /// Something in it does not.
    Broken,
}

/// What comes of a message.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Outcome {
    /// The signer did something durable, which harmed nobody.
    Taken,
    /// It answered, and changed nothing: as a rule the bytes that it answered before.
    Answered,
    /// It said why not, and changed nothing.
    Refused,
    /// It said nothing and changed nothing.
    Ignored,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Taken, Self::Answered, Self::Refused, Self::Ignored];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Answered => "answered",
            Self::Refused => "refused",
            Self::Ignored => "ignored",
        }
    }
}

/// One sort of move.
pub struct Sort {
    /// Its name.
    pub name: &'static str,
    /// How it is made from what the attacker has; nothing where it has too little.
    pub craft: fn(&mut Stage) -> Blows,
    /// Whether its signatures hold.
    pub seals: Seals,
    /// How often it is chosen, compared with others.
    pub weight: u32,
    /// Whether it keeps an honest driver from getting on, so that it is left out where rich state is to grow.
    pub disturbs: bool,
    /// The outcomes that have to occur.
    pub must: &'static [Outcome],
    /// Those that must not.
    pub never: &'static [Outcome],
}

use Outcome::{Answered, Ignored, Refused, Taken};
use Seals::{Broken, Sound};

const fn sort(
    name: &'static str,
    craft: fn(&mut Stage) -> Blows,
    seals: Seals,
    must: &'static [Outcome],
    never: &'static [Outcome],
) -> Sort {
    Sort { name, craft, seals, weight: 4, disturbs: false, must, never }
}

impl Sort {
    const fn often(self, weight: u32) -> Self {
        Self { weight, ..self }
    }

    const fn disturbing(self) -> Self {
        Self { disturbs: true, ..self }
    }
}

/// All sorts of moves.
pub const SORTS: &[Sort] = &[
    sort("mail again", mail::replayed, Sound, &[Taken, Answered, Refused, Ignored], &[]).often(16),
    sort("mail for another", mail::misdirected, Sound, &[Taken, Answered, Refused, Ignored], &[]).often(12),
    sort("mail overtakes", mail::reordered, Sound, &[Taken, Answered, Refused], &[]).often(12).disturbing(),
    sort("mail tampered with", mail::tampered, Sound, &[Taken, Refused], &[]).often(48),
    sort("mail damaged", mail::damaged, Broken, &[Refused], &[]).often(8),
    sort("statement renamed", mail::renamed, Broken, &[Refused], &[]),
    sort("an approval too few", approvals::fewer, Sound, &[Refused], &[Taken]).often(1),
    sort("one approval twice", approvals::repeated, Sound, &[Refused], &[Taken]).often(1),
    sort("approval of another", approvals::of_something_else, Broken, &[Refused], &[]).often(1),
    sort("the asker's approval", approvals::own, Sound, &[Refused], &[Taken]).often(1),
    sort("other people's approval", approvals::of_others, Sound, &[Refused], &[Taken]).often(1),
    sort("plan altered", approvals::altered, Broken, &[Refused], &[Taken]).often(2),
    sort("governance unapproved", approvals::governance, Sound, &[Refused], &[Taken]).often(1),
    sort("governance of old", approvals::governance_of_old, Sound, &[Answered], &[]).often(1),
    sort("plan for others' wallets", plans::of_foreign_wallets, Sound, &[Taken, Refused], &[]).often(1),
    sort("plan of made-up parents", plans::of_made_up_parents, Sound, &[Taken, Refused], &[]).often(2),
    sort("plan of a far rank", plans::of_far_rank, Sound, &[Taken, Refused], &[]).often(1),
    sort("plan before its time", plans::too_early, Sound, &[Taken, Refused], &[]).often(1),
    sort("plan after its time", plans::too_late, Sound, &[Refused], &[]).often(2),
    sort("plan of old governance", plans::of_old_governance, Sound, &[Refused], &[]).often(3),
    sort("plan withheld", plans::withheld, Sound, &[Refused], &[Taken]).often(2),
    sort("next number, again", ceremony::next_number, Sound, &[Taken, Answered, Refused], &[]).disturbing(),
    sort("number outside the plan", ceremony::outside, Sound, &[Refused], &[Taken]),
    sort("other cut of a number", ceremony::other_cut, Sound, &[Refused], &[]).disturbing(),
    sort("wallet made again", ceremony::made_again, Sound, &[Taken, Answered, Refused], &[]).often(12),
    sort("wallet renewed early", early::renewed, Sound, &[Taken, Answered, Refused], &[])
        .often(14)
        .disturbing(),
    sort("older number", ceremony::older_number, Sound, &[Answered, Refused], &[]).often(6),
    sort("split inputs", ceremony::split_inputs, Sound, &[Taken, Answered, Refused], &[])
        .often(3)
        .disturbing(),
    sort("inputs after a refusal", ceremony::after_refusal, Sound, &[Refused], &[Taken]).often(8),
    sort("unsound inputs", ceremony::unsound_inputs, Sound, &[Refused], &[Taken]),
    sort("openings of another", ceremony::other_openings, Sound, &[Refused], &[]).often(6).disturbing(),
    sort("dealing too early", ceremony::early_deal, Sound, &[Answered, Refused], &[]).often(3),
    sort("split dealings", ceremony::split_dealings, Sound, &[Answered, Refused], &[]).often(14),
    sort("other parents", ceremony::other_parents, Sound, &[Refused], &[]).often(3).disturbing(),
    sort("run by the attacker", ceremony::by_hand, Sound, &[Taken, Answered, Refused], &[])
        .often(14)
        .disturbing(),
    sort("activation too early", certificates::premature_activation, Sound, &[Refused], &[]).often(8),
    sort("retirement too early", certificates::premature_retirement, Sound, &[Refused], &[]).often(8),
    sort("votes mislabelled", certificates::mislabelled, Sound, &[Refused], &[]).often(6),
    sort("votes of another", certificates::of_other_votes, Sound, &[Refused], &[]).often(8),
    sort("one vote for all", certificates::of_one_voter, Sound, &[Refused], &[]).often(6),
    sort("probes of another", certificates::of_other_probes, Sound, &[Refused], &[]).often(4),
    sort("certificate of old", certificates::of_old, Sound, &[Answered, Refused], &[]).often(6),
    sort("rival activation", certificates::rival, Sound, &[Refused], &[]).often(4),
    sort("certificate of strangers", certificates::of_strangers, Sound, &[Refused], &[]).often(4),
    sort("keep too early", certificates::early_keep, Sound, &[Refused], &[]).often(3),
    sort("probes that are due", sessions::due_probes, Sound, &[Taken, Refused], &[]).often(4),
    sort("probes of another", sessions::foreign_probes, Sound, &[Refused], &[]).often(4),
    sort("probes without end", sessions::endless_probes, Sound, &[Taken, Refused], &[]).often(2).disturbing(),
    sort("probes told apart", sessions::split_probes, Sound, &[Taken, Refused], &[]).often(32),
    sort("session mail astray", sessions::mail_astray, Sound, &[Refused, Ignored], &[]).often(12),
    sort("session again", sessions::begun_again, Sound, &[Refused], &[]).often(6),
    sort("signing request", transactions::wanted, Sound, &[Taken, Refused], &[]).often(6),
    sort("request of another epoch", transactions::of_other_epoch, Sound, &[Refused], &[]).often(6),
    sort("request told apart", transactions::split, Sound, &[Taken, Refused], &[]).often(6),
    sort("request unsound", transactions::unsound, Sound, &[Refused], &[]).often(4),
    sort("request of another time", transactions::of_other_time, Sound, &[Refused], &[Taken]).often(3),
    sort("request with certificate", transactions::with_certificate, Sound, &[Answered, Refused], &[])
        .often(4),
    sort("corrupt: vote", corrupt::vote, Sound, &[Refused], &[]).often(8),
    sort("corrupt: opening", corrupt::opening, Sound, &[Refused], &[]).often(30).disturbing(),
    sort("corrupt: dealing", corrupt::dealing, Sound, &[Answered, Refused], &[]).often(72).disturbing(),
    sort("corrupt dealing, chosen last", corrupt::dealing_chosen_last, Sound, &[Refused], &[]).often(6),
    sort("corrupt: session words", sessions::false_words, Sound, &[Refused, Ignored], &[]).often(12),
    sort("corrupt: pairing mail", corrupt::pairing, Sound, &[Refused], &[]).often(3),
    sort("ledger grows", ledger::growth, Sound, &[Taken, Refused], &[]).often(4),
    sort("ledger forked", ledger::fork, Sound, &[Taken, Refused], &[]).often(4).disturbing(),
    sort("ledger truncated", ledger::truncated, Sound, &[Taken, Refused], &[]).often(2).disturbing(),
    sort("ledger rewritten", ledger::rewritten, Sound, &[Taken, Refused], &[]).often(3).disturbing(),
    sort("ledger unproved", ledger::unproved, Sound, &[Refused], &[Taken]).often(2),
    sort("mandate: plan", unattended::begun, Sound, &[Taken, Refused], &[]).often(2).disturbing(),
    sort("mandate: pushed on", unattended::pushed, Sound, &[Taken, Answered, Refused], &[])
        .often(4)
        .disturbing(),
    sort("mandate: retired at once", unattended::retired, Sound, &[Taken, Answered, Refused], &[]).often(6),
    sort("mandate: too early", mandates::too_early, Sound, &[Taken, Refused], &[]).often(2),
    sort("mandate: other rank", mandates::of_other_rank, Sound, &[Taken, Refused], &[]).often(1),
    sort("mandate: other numbers", mandates::of_other_numbers, Sound, &[Taken, Refused], &[]).often(1),
    sort("mandate: other beginning", mandates::from_elsewhere, Sound, &[Taken, Refused], &[]).often(2),
    sort("mandate: papers alone", mandates::on_papers, Sound, &[Taken, Refused], &[]).often(2),
    sort("mandate: others' wallets", mandates::of_foreign_wallets, Sound, &[Taken, Refused], &[]).often(2),
    sort("mandate: exceeded", mandates::exceeded, Sound, &[Refused], &[Taken]).often(6),
    sort("mandate: unapproved", mandates::unapproved, Sound, &[Refused], &[Taken]).often(2),
    sort("mandate: altered", mandates::altered, Broken, &[Refused], &[Taken]).often(1),
    sort("mandate: unsound", mandates::unsound, Sound, &[Refused], &[Taken]).often(1),
    sort("mandate: old governance", mandates::of_old_governance, Sound, &[Taken, Refused], &[]).often(1),
    sort("mandate: flood of plans", mandates::flood, Sound, &[Taken, Refused], &[]).often(1).disturbing(),
    sort("order: unapproved", orders::unapproved, Sound, &[Refused], &[Taken]).often(1),
    sort("order: forged", orders::forged, Broken, &[Refused], &[Taken]).often(1),
    sort("order: another tenant's", orders::of_another_tenant, Sound, &[Taken], &[]).often(1),
    sort("order: unsound", orders::unsound, Sound, &[Refused], &[Taken]).often(1),
    sort("order: expired", orders::expired, Sound, &[Refused], &[Taken]).often(1),
    sort("order: old governance", orders::of_old_governance, Sound, &[Answered, Refused], &[]).often(1),
    sort("order: again", orders::again, Sound, &[Taken, Answered, Refused], &[]).often(4),
    sort("order: told to some", orders::told_to_some, Sound, &[Taken], &[]).often(1).disturbing(),
    sort("order: plan called off", orders::called_off, Sound, &[Taken, Answered, Refused], &[])
        .often(1)
        .disturbing(),
    sort("order: to the halted", orders::to_the_halted, Sound, &[Taken], &[]).often(8),
    sort("order: other halt", orders::readmitted_from_another_halt, Sound, &[Taken], &[]).often(2),
    sort("driver on an old journal", super::campaign::rewind, Sound, &[Taken, Answered, Refused], &[])
        .often(0),
];
