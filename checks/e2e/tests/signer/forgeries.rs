//! What signers say to one another is changed on its way, or signed with another signer's key: it is refused, and
//! what it was about goes on.

use crate::governance::name;
use crate::office::{Office, now_ms};
use crate::plans::{create, refresh};
use crate::signing::sign;
use crate::wallets::present;
use perennial_model::committee::SignerId;
use perennial_model::encoding::Document;
use perennial_model::identity::Signed;
use perennial_model::mail::{Reply, Request};
use perennial_model::session::Blame;
use perennial_model::wallet::{Chain, WalletId};
use perennial_signer::keys::Keys;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

const SIGNERS: [&str; 3] = ["a", "b", "c"];

/// What can be made of a statement without its author's key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Forgery {
    BodyChanged,
    SignatureChanged,
    SignedByAnother,
}

const FORGERIES: [Forgery; 3] = [Forgery::BodyChanged, Forgery::SignatureChanged, Forgery::SignedByAnother];

/// Somebody between the signers, and what the receivers have to say of each forgery.
#[derive(Clone)]
struct Forger {
    directories: BTreeMap<SignerId, PathBuf>,
    expected: Rc<RefCell<Vec<String>>>,
}

impl Forger {
    fn of(office: &Office) -> Self {
        let directories = SIGNERS.iter().map(|signer| (name(signer), office.places.directory(signer)));
        Self { directories: directories.collect(), expected: Rc::default() }
    }

    fn forge<D: Document>(&self, signed: &Signed<D>, forgery: Forgery) -> Signed<D> {
        self.expected.borrow_mut().push(format!(
            "denied: the signature on this {} is not {}'s",
            D::KIND,
            signed.signer
        ));
        if forgery == Forgery::SignedByAnother {
            let (_, directory) = self.directories.iter().find(|(id, _)| **id != signed.signer).expect("two");
            let (statements, _) = Keys::load(directory).expect("its keys").into_use(signed.signer.clone());
            return Signed::new(&statements, &signed.read_unchecked().expect("a signer's own words"));
        }
        let mut bytes = minicbor::to_vec(signed).expect("memory");
        // The signature comes last: a head of two bytes and 64 of its own. Before it stands the body.
        let back = if forgery == Forgery::BodyChanged { 64 + 2 + 1 } else { 1 };
        let at = bytes.len() - back;
        bytes[at] ^= 1;
        minicbor::decode(&bytes).expect("the form is as it was")
    }

    /// The request with its last statement of another signer forged; none if it brings no such statement.
    fn forge_in(&self, request: &Request, forgery: Forgery) -> Option<Request> {
        let mut request = request.clone();
        match &mut request {
            Request::SessionMail(mail) => *mail = self.forge(mail, forgery),
            Request::PairingMail(mail) => *mail = self.forge(mail, forgery),
            Request::Verify { dealings, .. } => {
                let last = dealings.last_mut()?;
                *last = self.forge(last, forgery);
            }
            Request::Activate(certificate) | Request::Retire(certificate) => {
                let last = certificate.votes.last_mut()?;
                *last = self.forge(last, forgery);
            }
            _ => return None,
        }
        Some(request)
    }

    /// The request after a forgery of each kind.
    fn forge_before(&self, request: &Request) -> Option<Vec<Request>> {
        let mut items: Vec<Request> =
            FORGERIES.iter().filter_map(|forgery| self.forge_in(request, *forgery)).collect();
        items.push(request.clone());
        (items.len() > 1).then_some(items)
    }
}

/// Waits until each forgery was refused, and nothing else. Says how many there were.
fn all_refused(office: &mut Office, forger: &Forger) -> usize {
    let mut expected = forger.expected.take();
    let mut refused = Vec::new();
    office.until("all forgeries are refused", |office| {
        let declined = office.declined.drain(..).filter_map(|(_, reply)| match reply {
            Reply::Declined { blame: Blame::Denied, reason, .. } => Some(reason),
            _ => None,
        });
        refused.extend(declined);
        (refused.len() >= expected.len()).then_some(())
    });
    expected.sort();
    refused.sort();
    assert_eq!(refused, expected);
    refused.len()
}

/// Stops every signer: it was up all the time, its log says who is to blame, and it holds what it should.
fn stopped(office: &mut Office, kinds: &[&str], slots: u64) {
    for signer in SIGNERS {
        assert_eq!(office.stop(signer), Some(0), "{}", office.log(signer));
        let log = office.log(signer);
        assert_eq!(log.matches("INFO  ready").count(), 1, "{log}");
        for kind in kinds {
            let words = format!("the signature on this {kind} is not ");
            let line = log.lines().find(|line| line.contains(&words));
            assert!(line.is_some_and(|line| line.contains("blame=whoever asked")), "{kind}: {log}");
        }
        assert!(!log.contains("a signer misbehaved"), "{log}");
        let shown = office.show(signer);
        assert_eq!(shown["slots"]["used"], slots, "{shown}");
        assert_eq!(shown["banned"], serde_json::json!([]));
    }
}

fn solana(office: &Office) -> (WalletId, perennial_model::plan::Plan) {
    let wallet: WalletId = name("target");
    let plan = create(&office.governance, 2, &[(wallet.clone(), Chain::Solana)], now_ms());
    (wallet, plan)
}

#[test]
fn mail_between_signers_with_a_wrong_signature_is_refused_and_sessions_and_ceremonies_go_on() {
    let mut office = Office::running(&SIGNERS);
    let forger = Forger::of(&office);
    let meddler = forger.clone();
    office.driver.world_mut().meddler = Some(Box::new(move |request| match request {
        Request::SessionMail(_) | Request::PairingMail(_) => meddler.forge_before(request),
        _ => None,
    }));
    let wallets = [(name("treasury"), Chain::Ethereum), (name("payroll"), Chain::Solana)];
    office.complete(&create(&office.governance, 2, &wallets, now_ms()));
    assert!(all_refused(&mut office, &forger) > 0);
    let parents = present(&office);
    office.complete(&refresh(&office.governance, 2, &parents, 2, now_ms()));
    assert!(all_refused(&mut office, &forger) > 0);
    for (wallet, _) in &wallets {
        let signed = sign(&mut office, wallet, 1);
        assert_eq!((signed.epoch.rank, signed.epoch.count, signed.tries), (2, 1, 1), "{wallet}");
        assert!(all_refused(&mut office, &forger) > 0);
    }
    // Two shares, and one pair base with each of the two others.
    stopped(&mut office, &["session-message", "pairing-message"], 4);
}

#[test]
fn a_dealing_with_a_wrong_signature_is_refused_and_the_next_attempt_goes_on() {
    let mut office = Office::running(&SIGNERS);
    let forger = Forger::of(&office);
    let meddler = forger.clone();
    // Each of the first attempts meets another forgery, and nothing else; the one after them is left alone.
    office.driver.world_mut().meddler = Some(Box::new(move |request| match request {
        Request::Verify { inputs, .. } => {
            let forgery = FORGERIES.get(inputs.chunk.epoch.count as usize - 1)?;
            meddler.forge_in(request, *forgery).map(|forged| vec![forged])
        }
        _ => None,
    }));
    let (wallet, plan) = solana(&office);
    office.complete(&plan);
    assert!(all_refused(&mut office, &forger) >= FORGERIES.len() * SIGNERS.len());
    let signed = sign(&mut office, &wallet, 1);
    assert_eq!((signed.epoch.count as usize, signed.tries), (FORGERIES.len() + 1, 1));
    stopped(&mut office, &["dealing"], 1);
}

#[test]
fn a_certificate_with_a_vote_of_a_wrong_signature_is_refused_and_the_true_one_is_taken() {
    let mut office = Office::running(&SIGNERS);
    let forger = Forger::of(&office);
    let meddler = forger.clone();
    office.driver.world_mut().meddler = Some(Box::new(move |request| match request {
        Request::Activate(_) | Request::Retire(_) => meddler.forge_before(request),
        _ => None,
    }));
    let (wallet, plan) = solana(&office);
    office.complete(&plan);
    let parents = present(&office);
    office.complete(&refresh(&office.governance, 2, &parents, 2, now_ms()));
    // Two certificates for each of two epochs.
    assert!(all_refused(&mut office, &forger) >= 4 * FORGERIES.len() * SIGNERS.len());
    let signed = sign(&mut office, &wallet, 1);
    assert_eq!((signed.epoch.rank, signed.epoch.count, signed.tries), (2, 1, 1));
    stopped(&mut office, &["vote"], 1);
}
