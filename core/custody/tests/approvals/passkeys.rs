//! Attacks with passkeys: what the browser says, what the authenticator says, and who has signed it.

use crate::person::{DOMAIN, Gesture, Key, ORIGIN};
use crate::scene::*;
use crate::table::Case;
use base64ct::{Base64UrlUnpadded, Encoding};
use perennial_model::approval::passkey::Assertion;
use perennial_model::approval::{Approval, ApprovalSignature, ApprovedPlan};
use perennial_model::encoding::{Bytes, Digest};

/// All of them.
pub fn cases() -> Vec<Case> {
    [said(), asked(), signed(), changed()].concat()
}

/// A case in which ann's or bob's assertion is this, beside two others' approvals of which one is not enough; in its
/// twin it is that.
fn assertion(names: [&str; 3], why: &str, person: Person, attack: Assertion, twin: Assertion) -> Case {
    let [name, refusal, says] = names;
    let with = |assertion: Assertion| {
        let signature = ApprovalSignature::Passkey(Box::new(assertion));
        let mut approvals = approvals(&plan().digest(), &[CAT]);
        approvals.push(Approval { person: crate::scene::name(person.0), signature });
        vec![submit(ApprovedPlan::by_people(plan(), approvals))]
    };
    case(name, refusal, says, why, with(attack), with(twin))
}

/// A case in which somebody does something else than to approve, with a good signature.
fn gesture(names: [&str; 3], why: &str, person: Person, change: impl Fn(&mut Gesture)) -> Case {
    let good = Gesture::over(&plan().digest());
    let mut attack = good.clone();
    change(&mut attack);
    assertion(names, why, person, person.1.assertion(&attack), person.1.assertion(&good))
}

/// What the browser says that was asked.
fn said() -> Vec<Case> {
    let other = |name: &str, why: &str, person: Person, challenge: String| {
        let names = [name, "other-challenge", "passkey answered another challenge than this digest"];
        gesture(names, why, person, move |gesture| gesture.challenge = challenge.clone())
    };
    let digest = plan().digest();
    let another = Base64UrlUnpadded::encode_string(&Digest([8; 32]).0);
    let twice = format!("{another}\",\"challenge\":\"{}", Base64UrlUnpadded::encode_string(&digest.0));
    vec![
        other(
            "challenge-of-another-plan",
            "An ES256 passkey answers another digest.",
            ANN_PASSKEY,
            another.clone(),
        ),
        other("challenge-of-another-plan-ed25519", "An Ed25519 passkey does.", BOB_PASSKEY, another),
        other(
            "challenge-in-hexadecimal",
            "The digest is written otherwise.",
            ANN_PASSKEY,
            digest.to_string(),
        ),
        other(
            "challenge-cut-short",
            "The challenge is the beginning of the digest.",
            ANN_PASSKEY,
            Base64UrlUnpadded::encode_string(&digest.0[..16]),
        ),
        other("challenge-twice", "Two challenges, of which the second is right.", ANN_PASSKEY, twice),
        gesture(
            ["registration", "other-purpose", "was signed for \"webauthn.create\", not for \"webauthn.get\""],
            "What was signed is the making of a passkey.",
            ANN_PASSKEY,
            |gesture| gesture.kind = "webauthn.create".into(),
        ),
        gesture(
            ["payment", "other-purpose", "was signed for \"payment.get\", not for \"webauthn.get\""],
            "What was signed is the confirmation of a payment.",
            BOB_PASSKEY,
            |gesture| gesture.kind = "payment.get".into(),
        ),
    ]
}

/// Which page has asked, for which domain.
fn asked() -> Vec<Case> {
    let page = |name: &str, why: &str, person: Person, origin: &'static str| {
        let names = [name, "other-purpose", "not for \"https://console.example.com\""];
        gesture(names, why, person, move |gesture| gesture.origin = origin.into())
    };
    let framed = |name: &str, why: &str, rest: &'static str| {
        let names = [name, "unreadable", "crossOrigin"];
        gesture(names, why, ANN_PASSKEY, move |gesture| gesture.rest = rest.into())
    };
    let domain = |name: &str, why: &str, domain: &'static str| {
        let names = [name, "other-purpose", "not for \"console.example.com\""];
        gesture(names, why, ANN_PASSKEY, move |gesture| gesture.domain = domain.into())
    };
    vec![
        page("origin-of-another-page", "Another page has asked.", ANN_PASSKEY, "https://console.example.org"),
        page(
            "origin-continued",
            "The page's name begins as ours.",
            BOB_PASSKEY,
            "https://console.example.com.evil.org",
        ),
        page(
            "origin-without-encryption",
            "The page came without TLS.",
            ANN_PASSKEY,
            "http://console.example.com",
        ),
        page(
            "origin-at-another-port",
            "Another service of the host.",
            ANN_PASSKEY,
            "https://console.example.com:8443",
        ),
        framed("cross-origin", "The page stood inside another's page.", ",\"crossOrigin\":true}"),
        framed("cross-origin-unsaid", "Nothing says whether it did.", "}"),
        framed(
            "cross-origin-later",
            "It is said twice, and not where it belongs.",
            ",\"topOrigin\":\"https://evil.org\",\"crossOrigin\":false}",
        ),
        framed("cross-origin-almost", "The word goes on.", ",\"crossOrigin\":falsehood}"),
        domain("domain-of-another-party", "The passkey was used for another domain.", "console.example.org"),
        domain("domain-above", "The passkey was used for the domain above.", "example.com"),
    ]
}

/// What the authenticator has seen, and whose it is.
fn signed() -> Vec<Case> {
    let flags = |name: &str, why: &str, person: Person, flags: u8| {
        let names = [name, "not-verified", "user presence and verification are required"];
        gesture(names, why, person, move |gesture| gesture.flags = flags)
    };
    let good = Gesture::over(&plan().digest());
    let of_hal = Key::Es256(12).assertion(&good);
    let under_anns = Assertion { credential: ANN_PASSKEY.1.credential(), ..of_hal.clone() };
    let ann = ANN_PASSKEY.1.assertion(&good);
    vec![
        flags("nobody-present", "Nobody touched the authenticator.", ANN_PASSKEY, 0b100),
        flags("nobody-verified", "It did not ask who did.", ANN_PASSKEY, 0b001),
        flags("nobody-verified-ed25519", "It did not ask who did.", BOB_PASSKEY, 0b001),
        flags("no-flags", "Neither was anybody there nor known.", BOB_PASSKEY, 0),
        assertion(
            ["unknown-credential", "other-key", "signed with a key that governance does not give them"],
            "The credential is in nobody's list.",
            ANN_PASSKEY,
            of_hal,
            ann.clone(),
        ),
        assertion(
            [
                "credential-of-a-colleague",
                "other-key",
                "signed with a key that governance does not give them",
            ],
            "Bob's passkey has signed, and it is said that ann approves.",
            ANN_PASSKEY,
            BOB_PASSKEY.1.assertion(&good),
            ann.clone(),
        ),
        assertion(
            ["credential-signed-by-another", "bad-signature", "ann's signature is not over"],
            "The credential is hers, and a stranger's passkey has signed.",
            ANN_PASSKEY,
            under_anns,
            ann,
        ),
    ]
}

/// A good assertion that was changed on its way.
fn changed() -> Vec<Case> {
    let good = |person: Person| person.1.assertion(&Gesture::over(&plan().digest()));
    let bad = |name: &str, why: &str, person: Person, change: &dyn Fn(&mut Assertion)| {
        let mut attack = good(person);
        change(&mut attack);
        let names = [name, "bad-signature", "signature is not over"];
        assertion(names, why, person, attack, good(person))
    };
    let unread = |name: &str, why: &str, change: &dyn Fn(&mut Assertion)| {
        let mut attack = good(ANN_PASSKEY);
        change(&mut attack);
        assertion(
            [name, "unreadable", "ann's approval cannot be read"],
            why,
            ANN_PASSKEY,
            attack,
            good(ANN_PASSKEY),
        )
    };
    let counted = |counter| ANN_PASSKEY.1.assertion(&Gesture { counter, ..Gesture::over(&plan().digest()) });
    let mut counter_changed = counted(9);
    counter_changed.authenticator_data = counted(u32::MAX).authenticator_data;
    let last = |bytes: &mut Bytes| *bytes.0.last_mut().expect("not empty") ^= 1;
    vec![
        bad("es256-signature-flipped", "One bit is another.", ANN_PASSKEY, &|a| last(&mut a.signature)),
        bad("ed25519-signature-flipped", "One bit is another.", BOB_PASSKEY, &|a| a.signature.0[40] ^= 1),
        bad("es256-signature-cut-short", "Its end is missing.", ANN_PASSKEY, &|a| a.signature.0.truncate(60)),
        bad("ed25519-signature-continued", "It goes on.", BOB_PASSKEY, &|a| a.signature.0.push(0)),
        bad("no-signature", "There is none.", BOB_PASSKEY, &|a| a.signature.0.clear()),
        assertion(
            ["counter-changed", "bad-signature", "ann's signature is not over"],
            "The counter was changed after the authenticator signed. How high it is does not matter: in the twin it is as \
             high as can be.",
            ANN_PASSKEY,
            counter_changed,
            counted(u32::MAX),
        ),
        bad("flags-added", "A flag was added after the authenticator signed.", ANN_PASSKEY, &|a| {
            a.authenticator_data.0[32] |= 0b1000;
        }),
        bad("client-data-continued", "The client data says more than what was signed.", ANN_PASSKEY, &|a| {
            a.client_data.0.pop();
            a.client_data.0.extend_from_slice(b",\"more\":1}");
        }),
        unread("authenticator-data-cut-short", "One byte is missing.", &|a| {
            a.authenticator_data.0.truncate(36);
        }),
        unread("no-authenticator-data", "There is none.", &|a| a.authenticator_data.0.clear()),
        unread("no-client-data", "There is none.", &|a| a.client_data.0.clear()),
        unread("client-data-too-long", "It is longer than what is read.", &|a| {
            a.client_data.0.extend_from_slice(&[b' '; 5000]);
        }),
        unread("client-data-no-text", "It is no UTF-8.", &|a| a.client_data.0[30] = 0xff),
        unread("client-data-in-another-order", "The challenge stands first.", &|a| {
            let (domain, origin) = (DOMAIN, ORIGIN);
            a.client_data.0 = format!("{{\"challenge\":\"{domain}\",\"origin\":\"{origin}\"}}").into_bytes();
        }),
    ]
}
