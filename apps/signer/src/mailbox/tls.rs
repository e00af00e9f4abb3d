//! TLS 1.3 with pinned identities, the client's half. The server is the coordinator whose pin was given, or
//! nobody: certificate authorities, names and dates are not looked at, and sessions are not resumed, because a
//! resumed session would not be checked again.

use super::Lane;
use perennial_daemon::identity::{Identity, Pin};
use perennial_daemon::tls::{HTTP_2, of_the_server};
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use rustls::{AlertDescription, CertificateError, ClientConfig, Error, OtherError};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncBufReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const DIAL_PATIENCE: Duration = Duration::from_secs(5);

/// How to reach the coordinator, and how to know it.
pub(super) struct Dialer {
    address: SocketAddr,
    own_pin: Pin,
    connector: TlsConnector,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    #[error("nobody answers at {address}: {source}; is the coordinator running?")]
    Unreachable { address: SocketAddr, source: io::Error },
    #[error("no complete TLS handshake with {address} within {} s", DIAL_PATIENCE.as_secs())]
    TooSlow { address: SocketAddr },
    #[error("{0}")]
    WrongCoordinator(String),
    #[error(
        "the coordinator at {address} refuses this signer's identity: register the pin {own_pin} under this \
         signer's name in the coordinator's configuration"
    )]
    Refused { address: SocketAddr, own_pin: Pin },
    #[error("TLS with {address} failed: {source}")]
    Tls { address: SocketAddr, source: io::Error },
}

impl Dialer {
    pub fn new(address: SocketAddr, identity: &Identity, coordinator: Pin) -> Self {
        let provider = Arc::new(ring::default_provider());
        let judge = move |came| {
            if came == coordinator {
                return Ok(());
            }
            let refusal = Arc::new(WrongPin { address, came, expected: coordinator });
            Err(Error::InvalidCertificate(CertificateError::Other(OtherError(refusal))))
        };
        let verifier = of_the_server(&provider, judge);
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("ring speaks TLS 1.3")
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity.certified_key())));
        config.alpn_protocols = vec![HTTP_2.to_vec()];
        config.resumption = Resumption::disabled();
        Self { address, own_pin: identity.pin(), connector: TlsConnector::from(Arc::new(config)) }
    }

    /// A connection on which both sides have accepted each other. The lane goes out as the server name, where it
    /// lets the coordinator choose the thread that serves it.
    pub async fn dial(&self, lane: Lane) -> Result<TlsStream<TcpStream>, DialError> {
        let address = self.address;
        tokio::time::timeout(DIAL_PATIENCE, self.dial_patiently(lane))
            .await
            .map_err(|_| DialError::TooSlow { address })?
    }

    async fn dial_patiently(&self, lane: Lane) -> Result<TlsStream<TcpStream>, DialError> {
        let address = self.address;
        let unreachable = |source| DialError::Unreachable { address, source };
        let stream = TcpStream::connect(address).await.map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        let name = ServerName::try_from(lane.name()).expect("a lane's name is a word");
        let mut stream = self.connector.connect(name, stream).await.map_err(|e| self.explain(e))?;
        // In TLS 1.3 the client is done before the server has judged its certificate. The server's first bytes
        // (its HTTP/2 settings, or an alert) are the verdict; they are looked at here and stay unread.
        let first_bytes = stream.fill_buf().await.map_err(|e| self.explain(e))?;
        if first_bytes.is_empty() {
            let source = io::Error::from(io::ErrorKind::UnexpectedEof);
            return Err(DialError::Tls { address, source });
        }
        Ok(stream)
    }

    fn explain(&self, error: io::Error) -> DialError {
        let address = self.address;
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(Error::InvalidCertificate(CertificateError::Other(other))) if other.0.is::<WrongPin>() => {
                DialError::WrongCoordinator(other.0.to_string())
            }
            Some(Error::AlertReceived(
                AlertDescription::CertificateUnknown
                | AlertDescription::AccessDenied
                | AlertDescription::BadCertificate
                | AlertDescription::CertificateRequired,
            )) => DialError::Refused { address, own_pin: self.own_pin },
            _ => DialError::Tls { address, source: error },
        }
    }
}

/// Somebody else answered.
#[derive(Debug, thiserror::Error)]
#[error(
    "{address} showed the pin {came}, but the coordinator's pin is {expected}. If the coordinator has a new \
     identity on purpose, put its new pin into this signer's configuration; otherwise somebody else answers at \
     that address"
)]
struct WrongPin {
    address: SocketAddr,
    came: Pin,
    expected: Pin,
}
