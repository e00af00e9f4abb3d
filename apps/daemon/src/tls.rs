//! Pinned identities in TLS 1.3: whoever shows a certificate has to prove that it has the key, and is then judged by
//! the pin alone. Certificate authorities, names and dates are not looked at.

use crate::identity::Pin;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use std::fmt;
use std::sync::Arc;

/// The only application protocol of the mailbox (RFC 9113, section 3.2).
pub const HTTP_2: &[u8] = b"h2";

/// Says whether the key of this pin may be at the other end, or why not.
pub trait Judge: Fn(Pin) -> Result<(), Error> + Send + Sync {}

impl<F: Fn(Pin) -> Result<(), Error> + Send + Sync> Judge for F {}

/// Whether a client has to show a certificate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Certificate {
    /// Without one there is no connection.
    Demanded,
    /// One that is shown has to pass.
    Welcome,
}

/// What a server asks of its clients.
pub fn of_clients(
    provider: &Arc<CryptoProvider>,
    certificate: Certificate,
    judge: impl Judge + 'static,
) -> Arc<dyn ClientCertVerifier> {
    Arc::new(ByPin { provider: Arc::clone(provider), certificate, judge })
}

/// What a client asks of its server.
pub fn of_the_server(
    provider: &Arc<CryptoProvider>,
    judge: impl Judge + 'static,
) -> Arc<dyn ServerCertVerifier> {
    Arc::new(ByPin { provider: Arc::clone(provider), certificate: Certificate::Demanded, judge })
}

struct ByPin<J> {
    provider: Arc<CryptoProvider>,
    certificate: Certificate,
    judge: J,
}

impl<J> fmt::Debug for ByPin<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByPin").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

/// What both ends ask of whoever shows a certificate, in each of the two traits: that they have its key, and TLS 1.3.
macro_rules! proves_key_by_tls13 {
    () => {
        fn verify_tls12_signature(
            &self,
            _message: &[u8],
            _certificate: &CertificateDer<'_>,
            _signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Err(Error::General("only TLS 1.3 is spoken here".into()))
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let algorithms = &self.provider.signature_verification_algorithms;
            verify_tls13_signature(message, certificate, signature, algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.provider.signature_verification_algorithms.supported_schemes()
        }
    };
}

impl<J: Judge> ClientCertVerifier for ByPin<J> {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        self.certificate == Certificate::Demanded
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        (self.judge)(Pin::of_certificate(end_entity)?).map(|()| ClientCertVerified::assertion())
    }

    proves_key_by_tls13!();
}

impl<J: Judge> ServerCertVerifier for ByPin<J> {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        (self.judge)(Pin::of_certificate(end_entity)?).map(|()| ServerCertVerified::assertion())
    }

    proves_key_by_tls13!();
}
