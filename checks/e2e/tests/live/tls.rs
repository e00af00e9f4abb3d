//! A caller of the API over TLS, with or without a certificate of its own. It knows the coordinator by its pin.

use crate::people::{LOOK, PATIENCE};
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use perennial_daemon::identity::{CERTIFICATE_FILE, KEY_FILE, Pin};
use perennial_daemon::tls::of_the_server;
use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use tokio::runtime::Runtime;
use tokio_rustls::TlsConnector;

/// A caller.
pub struct Secure {
    configuration: Arc<ClientConfig>,
    address: SocketAddr,
}

/// A connection that stands.
pub struct Connection {
    requests: SendRequest<Empty<bytes::Bytes>>,
    runtime: Runtime,
}

impl Secure {
    /// A caller with the identity in this directory, or with none.
    pub fn new(address: SocketAddr, pin: Pin, identity: Option<&Path>) -> Self {
        let provider = Arc::new(ring::default_provider());
        let verifier = of_the_server(&provider, move |came| {
            assert_eq!(came, pin);
            Ok(())
        });
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let configuration = match identity {
            None => builder.with_no_client_auth(),
            Some(own) => {
                let certificate = CertificateDer::from_pem_file(own.join(CERTIFICATE_FILE)).expect("PEM");
                let key = PrivateKeyDer::from_pem_file(own.join(KEY_FILE)).expect("PEM");
                builder.with_client_auth_cert(vec![certificate], key).expect("a pair")
            }
        };
        Self { configuration: Arc::new(configuration), address }
    }

    pub fn get(&self, path: &str, token: Option<&str>) -> (u16, String) {
        self.connection().get(path, token)
    }

    pub fn connection(&self) -> Connection {
        self.connect().expect("a connection")
    }

    pub fn wait_until_up(&self) {
        let begun = Instant::now();
        while self.connect().is_err() {
            assert!(begun.elapsed() < PATIENCE, "nobody listens at {}", self.address);
            std::thread::sleep(LOOK);
        }
    }

    fn connect(&self) -> std::io::Result<Connection> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let requests = runtime.block_on(async {
            let stream = tokio::net::TcpStream::connect(self.address).await?;
            let name = ServerName::try_from("coordinator").expect("a name");
            let stream = TlsConnector::from(Arc::clone(&self.configuration)).connect(name, stream).await?;
            let opened = http1::handshake(TokioIo::new(stream)).await;
            let (requests, connection) = opened.map_err(std::io::Error::other)?;
            tokio::spawn(connection);
            Ok::<_, std::io::Error>(requests)
        })?;
        Ok(Connection { requests, runtime })
    }
}

impl Connection {
    pub fn get(&mut self, path: &str, token: Option<&str>) -> (u16, String) {
        let mut request = Request::get(path).header("Host", "coordinator");
        if let Some(token) = token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let request = request.body(Empty::new()).expect("a request");
        let requests = &mut self.requests;
        self.runtime.block_on(async {
            let answer = requests.send_request(request).await.expect("an answer");
            let status = answer.status().as_u16();
            let text = answer.into_body().collect().await.expect("a body").to_bytes();
            (status, String::from_utf8_lossy(&text).into_owned())
        })
    }
}
