//! A client of the mailbox's protocol that does what no signer does. It checks no server identity.

use crate::cluster::Places;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, SizeHint};
use hyper::client::conn::http2::{self, SendRequest};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use perennial_daemon::identity::{CERTIFICATE_FILE, KEY_FILE};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A body in pieces; a piece may be a failure, which breaks the request off.
#[derive(Default)]
pub struct Pieces(pub VecDeque<Result<Bytes, std::io::Error>>);

impl Pieces {
    pub fn of(bytes: impl Into<Bytes>) -> Self {
        Self([Ok(bytes.into())].into())
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        Poll::Ready(self.0.pop_front().map(|piece| piece.map(Frame::data)))
    }

    /// Unknown, so that no request announces its length unless a test says so.
    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }
}

/// The TLS configuration of a client with this signer's identity; without a name, with none.
pub fn configuration(places: &Places, signer: Option<&str>, protocol: &str) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(TrustAnybody));
    let mut configuration = match signer {
        None => builder.with_no_client_auth(),
        Some(name) => {
            places.signer(name);
            let directory = places.directory(name);
            let certificate = CertificateDer::from_pem_file(directory.join(CERTIFICATE_FILE)).expect("PEM");
            let key = PrivateKeyDer::from_pem_file(directory.join(KEY_FILE)).expect("PEM");
            builder.with_client_auth_cert(vec![certificate], key).expect("a pair")
        }
    };
    configuration.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    configuration
}

pub async fn dial(configuration: ClientConfig, address: SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("signing").expect("a name");
    TlsConnector::from(Arc::new(configuration)).connect(name, stream).await
}

/// An HTTP/2 connection with this signer's identity.
pub struct Raw(SendRequest<Pieces>);

impl Raw {
    pub async fn connect(places: &Places, signer: &str, address: SocketAddr) -> Self {
        let stream = dial(configuration(places, Some(signer), "h2"), address).await.expect("a connection");
        let opened = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
        let (requests, connection) = opened.expect("HTTP/2");
        tokio::spawn(connection);
        Self(requests)
    }

    /// The status and the body of the answer.
    pub async fn ask(
        &mut self,
        method: Method,
        path: &str,
        announced: Option<u64>,
        body: Pieces,
    ) -> Result<(StatusCode, Bytes), hyper::Error> {
        let mut request = Request::builder().method(method).uri(format!("https://coordinator{path}"));
        if let Some(announced) = announced {
            request = request.header("content-length", announced);
        }
        let answer = self.0.send_request(request.body(body).expect("a request")).await?;
        let status = answer.status();
        Ok((status, answer.into_body().collect().await?.to_bytes()))
    }

    pub async fn get(&mut self, path: &str) -> (StatusCode, Bytes) {
        self.ask(Method::GET, path, None, Pieces::default()).await.expect("an answer")
    }

    pub async fn post(&mut self, body: impl Into<Bytes>) -> (StatusCode, String) {
        let answer = self.ask(Method::POST, "/mail/signing", None, Pieces::of(body)).await;
        let (status, text) = answer.expect("an answer");
        (status, String::from_utf8_lossy(&text).into_owned())
    }
}

/// A parcel, written by other code than the product's.
pub fn parcel(items: &[&[u8]]) -> Vec<u8> {
    let mut encoder = minicbor::Encoder::new(Vec::new());
    encoder.array(4).expect("memory").str("perennial").expect("memory");
    encoder.str("parcel").expect("memory").u8(1).expect("memory");
    encoder.array(items.len() as u64).expect("memory");
    for item in items {
        encoder.bytes(item).expect("memory");
    }
    encoder.into_writer()
}

/// The first number and the items of a delivery, read by other code than the product's.
pub fn delivery(body: &[u8]) -> (u64, Vec<Vec<u8>>) {
    let mut decoder = minicbor::Decoder::new(body);
    assert_eq!(decoder.array().expect("an array"), Some(4));
    assert_eq!(decoder.str().expect("a domain"), "perennial");
    assert_eq!(decoder.str().expect("a kind"), "delivery");
    assert_eq!(decoder.u8().expect("a version"), 1);
    assert_eq!(decoder.array().expect("an array"), Some(3));
    assert_eq!(decoder.bytes().expect("an incarnation").len(), 16);
    let first = decoder.u64().expect("a number");
    let count = decoder.array().expect("an array").expect("a length");
    (first, (0..count).map(|_| decoder.bytes().expect("an item").to_vec()).collect())
}

#[derive(Debug)]
struct TrustAnybody;

impl ServerCertVerifier for TrustAnybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
