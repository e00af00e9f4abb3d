//! TLS 1.3 with pinned identities, the server's half. A client is exactly the signer whose pin its key has,
//! or nobody: certificate authorities, names and dates are not looked at, and sessions are not resumed,
//! because a resumed session would not be checked again.

use perennial_daemon::identity::{Identity, Pin};
use perennial_daemon::tls::{self, Certificate, HTTP_2};
use rustls::crypto::ring;
use rustls::sign::SingleCertAndKey;
use rustls::{AlertDescription, CertificateError, Error, OtherError, ServerConfig, ServerConnection};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};

/// What the server proves itself with and whom it lets in.
#[derive(Clone)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    signers: Expected,
    own_pin: Pin,
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").field("signers", &self.signers).finish_non_exhaustive()
    }
}

/// Two signers cannot share an identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("signers `{first}` and `{second}` have the same pin {pin}: give each signer its own identity")]
pub struct SharedPin {
    /// One of them.
    pub first: String,
    /// The other.
    pub second: String,
    /// Their pin.
    pub pin: Pin,
}

impl ServerTls {
    /// A server with this identity, for these signers (name and pin).
    ///
    /// # Errors
    /// [`SharedPin`] when two names have one pin.
    pub fn new(identity: &Identity, signers_named: &BTreeMap<String, Pin>) -> Result<Self, SharedPin> {
        let signers = Expected::default();
        signers.replace(SignersByPin::new(signers_named)?.0);
        let provider = Arc::new(ring::default_provider());
        let expected = signers.clone();
        let judge = move |came| name_of(&expected.get(), came).map(drop);
        let verifier = tls::of_clients(&provider, Certificate::Demanded, judge);
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("ring speaks TLS 1.3")
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(identity.certified_key())));
        config.alpn_protocols = vec![HTTP_2.to_vec()];
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self { config: Arc::new(config), signers, own_pin: identity.pin() })
    }

    /// From here on these signers are expected, and no others. Connections that stand are not touched.
    pub fn expect(&self, signers: SignersByPin) {
        self.signers.replace(signers.0);
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// Who is at the other end of a finished handshake.
    pub(super) fn peer(&self, connection: &ServerConnection) -> Result<Arc<str>, Error> {
        if connection.alpn_protocol() != Some(HTTP_2) {
            return Err(Error::General("the client did not ask for HTTP/2 (ALPN `h2`)".into()));
        }
        let certificate = connection
            .peer_certificates()
            .and_then(|chain| chain.first())
            .ok_or(Error::NoCertificatesPresented)?;
        name_of(&self.signers.get(), Pin::of_certificate(certificate)?).cloned()
    }

    /// Why a handshake failed, whose fault it is, and what to do.
    pub(super) fn explain(&self, error: &io::Error) -> String {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(Error::InvalidCertificate(CertificateError::Other(refusal))) => refusal.to_string(),
            Some(Error::NoCertificatesPresented) => "a client showed no identity".into(),
            Some(Error::AlertReceived(
                AlertDescription::CertificateUnknown | AlertDescription::BadCertificate,
            )) => format!(
                "a client expected another coordinator; if it is one of the signers, put this coordinator's pin \
                 {} into its configuration",
                self.own_pin
            ),
            _ => format!("the TLS handshake of a client failed: {error}"),
        }
    }
}

type ByPin = BTreeMap<Pin, Arc<str>>;

/// The signers that are expected, by their pins. Clones share them.
#[derive(Debug, Clone, Default)]
struct Expected(Arc<RwLock<Arc<ByPin>>>);

impl Expected {
    fn get(&self) -> Arc<ByPin> {
        // Whoever holds the lock does nothing that could panic.
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn replace(&self, signers: ByPin) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(signers);
    }
}

/// Signers of whom no two have one pin.
#[derive(Debug)]
pub struct SignersByPin(ByPin);

impl SignersByPin {
    /// Names with their pins.
    ///
    /// # Errors
    /// [`SharedPin`] when two names have one pin.
    pub fn new(signers: &BTreeMap<String, Pin>) -> Result<Self, SharedPin> {
        let mut names: ByPin = BTreeMap::new();
        for (name, pin) in signers {
            if let Some(first) = names.insert(*pin, name.as_str().into()) {
                return Err(SharedPin { first: first.to_string(), second: name.clone(), pin: *pin });
            }
        }
        Ok(Self(names))
    }
}

/// A client whose pin no signer has.
#[derive(Debug, thiserror::Error)]
#[error(
    "a client showed the pin {came}, but only these signers are expected here: {expected}. If it is one of \
     them with a new identity, or a new signer, register its pin under its name; otherwise somebody unknown is \
     knocking"
)]
struct UnknownPin {
    came: Pin,
    expected: String,
}

fn name_of(signers: &ByPin, came: Pin) -> Result<&Arc<str>, Error> {
    signers.get(&came).ok_or_else(|| {
        let expected: Vec<String> = signers.iter().map(|(pin, name)| format!("{name} ({pin})")).collect();
        let refusal = UnknownPin { came, expected: expected.join(", ") };
        Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(refusal))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_pin_is_refused_with_the_expected_pins_and_what_to_do() {
        let place = tempfile::tempdir().expect("a temporary directory");
        let identity = |name| Identity::load_or_create(&place.path().join(name)).expect("an identity");
        let (known, stranger) = (identity("known"), identity("stranger"));
        let signers = BTreeMap::from([("alice".to_owned(), known.pin())]);
        let tls = ServerTls::new(&identity("coordinator"), &signers).expect("distinct pins");
        assert_eq!(name_of(&tls.signers.get(), known.pin()).expect("known").as_ref(), "alice");
        let refusal = name_of(&tls.signers.get(), stranger.pin()).expect_err("refused");
        let refusal = tls.explain(&io::Error::other(refusal));
        assert!(refusal.contains(&format!("showed the pin {}", stranger.pin())), "{refusal}");
        assert!(refusal.contains(&format!("alice ({})", known.pin())), "{refusal}");
        assert!(refusal.contains("register its pin under its name"), "{refusal}");
    }
}
