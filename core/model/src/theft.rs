//! What people who run security say of copies: that those which a signer held may be known to others.
//!
//! A report has no effect on signers: cancelling, rotating and readmitting are orders and plans that people approve. It
//! changes what the exposure register says. Nothing takes it back but another report that names it, and both stay.

use crate::committee::SignerId;
use crate::encoding::{self, Digest, Document};
use crate::error::Error;
use crate::identity::ClientId;
use crate::wallet::{TenantId, WalletId};
use minicbor::{Decode, Encode};

/// The most characters of a report's text.
pub const TEXT_CHARACTERS_MAX: usize = 200;

/// The most wallets that a report names. All of a tenant's are not named.
pub const REPORT_WALLETS_MAX: usize = 1_000;

/// How sure they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(index_only)]
pub enum Certainty {
    /// It may have happened.
    #[n(0)]
    Suspected,
    /// It has happened.
    #[n(1)]
    Known,
}

impl Certainty {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Suspected => "suspected",
            Self::Known => "known",
        }
    }
}

/// What is reported.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub enum Finding {
    /// Others may have the copies that a signer held at any moment of a span.
    #[n(0)]
    Stolen {
        /// Who held them.
        #[n(0)]
        signer: SignerId,
        /// Of which wallets, by name and each once; none named: of all that the report is for.
        #[n(1)]
        wallets: Vec<WalletId>,
        /// From when, in milliseconds since 1970.
        #[n(2)]
        from_ms: u64,
        /// Up to when, in milliseconds since 1970, that moment included.
        #[n(3)]
        to_ms: u64,
        /// How sure they are. The register counts both.
        #[n(4)]
        certainty: Certainty,
    },
    /// An earlier report, by its digest, does not hold.
    #[n(1)]
    Withdrawn(#[n(0)] Digest),
}

/// A canonical document; its digest is its name.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct TheftReport {
    /// What is reported.
    #[n(0)]
    pub finding: Finding,
    /// Whose wallets; none for those of all tenants.
    #[n(1)]
    pub tenant: Option<TenantId>,
    /// The client of the coordinator that reported it.
    #[n(2)]
    pub by: ClientId,
    /// What is known of it, for people.
    #[n(3)]
    pub text: String,
}

impl Document for TheftReport {
    const KIND: &'static str = "theft-report";
}

impl TheftReport {
    /// Its digest.
    pub fn digest(&self) -> Digest {
        encoding::digest(self)
    }

    /// Whether it is about what belongs to this tenant. One for all tenants is about each.
    pub fn is_for(&self, tenant: &TenantId) -> bool {
        self.tenant.as_ref().is_none_or(|own| own == tenant)
    }

    /// Checks what can be checked without knowing signers and wallets.
    ///
    /// # Errors
    /// `Denied` for a span that ends before it begins, wallets that are too many, out of order or named for all tenants,
    /// and a text that is empty, too long or more than a line.
    pub fn check(&self) -> Result<(), Error> {
        let characters = self.text.chars().count();
        if !(1..=TEXT_CHARACTERS_MAX).contains(&characters) || self.text.chars().any(char::is_control) {
            return Err(Error::denied(format!(
                "the text has to be one line of 1 to {TEXT_CHARACTERS_MAX} characters, and this one has {characters}"
            )));
        }
        let Finding::Stolen { wallets, from_ms, to_ms, .. } = &self.finding else { return Ok(()) };
        if to_ms < from_ms {
            return Err(Error::denied(format!("the span ends at {to_ms}, before it begins at {from_ms}")));
        }
        if wallets.len() > REPORT_WALLETS_MAX {
            let named = wallets.len();
            return Err(Error::denied(format!(
                "it names {named} wallets, and may name {REPORT_WALLETS_MAX}: report all of the tenant, or several times"
            )));
        }
        if !wallets.is_sorted_by(|a, b| a < b) {
            return Err(Error::denied("the wallets are not in order, or one is named twice"));
        }
        if self.tenant.is_none() && !wallets.is_empty() {
            return Err(Error::denied("a report that names wallets is for the tenant whose they are"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(change: impl FnOnce(&mut TheftReport, &mut Vec<WalletId>, &mut (u64, u64))) -> TheftReport {
        let name = |text: &str| text.parse().expect("a name");
        let mut report = TheftReport {
            finding: Finding::Withdrawn(Digest([1; 32])),
            tenant: Some("acme".parse().expect("a name")),
            by: "security".parse().expect("a name"),
            text: "a stolen disk".into(),
        };
        let (mut wallets, mut span) = (vec![name("a"), name("b")], (5, 5));
        change(&mut report, &mut wallets, &mut span);
        let certainty = Certainty::Suspected;
        let signer = "s1".parse().expect("a name");
        report.finding = Finding::Stolen { signer, wallets, from_ms: span.0, to_ms: span.1, certainty };
        report
    }

    #[test]
    fn a_report_says_one_thing_in_one_form() {
        assert_eq!(report(|_, _, _| {}).check(), Ok(()), "a span may be one moment");
        let refused = |report: TheftReport, word: &str| {
            let error = report.check().expect_err("refused").to_string();
            assert!(error.contains(word), "{error}");
        };
        refused(report(|_, _, span| *span = (5, 4)), "before it begins");
        refused(report(|_, wallets, _| wallets.reverse()), "order");
        refused(report(|_, wallets, _| wallets[1] = wallets[0].clone()), "twice");
        refused(report(|report, _, _| report.tenant = None), "whose they are");
        refused(report(|report, _, _| report.text = String::new()), "characters");
        refused(report(|report, _, _| report.text = "one\ntwo".into()), "one line");
        refused(report(|report, _, _| report.text = "é".repeat(TEXT_CHARACTERS_MAX + 1)), "201");
        let many = (0..=REPORT_WALLETS_MAX).map(|n| format!("w{n:05}").parse().expect("a name")).collect();
        refused(report(|_, wallets, _| *wallets = many), "several times");
        assert_eq!(report(|report, _, _| report.text = "é".repeat(TEXT_CHARACTERS_MAX)).check(), Ok(()));
    }

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let report = report(|_, _, _| {});
        assert_eq!(encoding::decode(&encoding::encode(&report)), Ok(report.clone()));
        let withdrawn = TheftReport { finding: Finding::Withdrawn(report.digest()), ..report };
        assert_eq!(encoding::decode(&encoding::encode(&withdrawn)), Ok(withdrawn));
    }
}
