//! With what the API proves who it is, and how it learns who a client is: TLS 1.3, and certificates of clients by
//! their pins, as everywhere in this product.
//!
//! Any certificate passes the handshake if its key is there: whether its pin is a client's is asked anew at each
//! request, so that one who is revoked is refused on a connection that stands. Nobody has to show a certificate.

use crate::config::{ClientCertificates, Tls};
use perennial_daemon::identity::Pin;
use perennial_daemon::tls::{Certificate, of_clients};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why the API cannot prove who it is.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file.
    #[error("[tls] {path} cannot be used: {reason}", path = path.display())]
    Unusable {
        /// Which one.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// Reads certificate and key from where the configuration says, from the coordinator's directory on.
///
/// # Errors
/// [`TlsError`] for files that are missing, open to others, or do not belong together.
pub fn server_config(tls: &Tls, directory: &Path) -> Result<ServerConfig, TlsError> {
    let (certificate_path, key_path) = (directory.join(&tls.certificate), directory.join(&tls.key));
    let certificates = CertificateDer::pem_file_iter(&certificate_path).and_then(Iterator::collect);
    let certificates: Vec<_> = certificates.map_err(|error| unusable(&certificate_path, error))?;
    let mode = std::fs::metadata(&key_path).map_err(|error| unusable(&key_path, error))?.permissions().mode();
    if mode & 0o077 != 0 {
        let path = key_path.display();
        return Err(unusable(&key_path, format!("it is open to others: run `chmod 600 {path}`")));
    }
    let key = PrivateKeyDer::from_pem_file(&key_path).map_err(|error| unusable(&key_path, error))?;
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| unusable(&certificate_path, error))?;
    let builder = match tls.client_certificates {
        // Whatever has a pin passes.
        ClientCertificates::Asked => {
            builder.with_client_cert_verifier(of_clients(&provider, Certificate::Welcome, |_| Ok(())))
        }
        ClientCertificates::NotAsked => builder.with_no_client_auth(),
    };
    let config = builder.with_single_cert(certificates, key);
    let mut config = config.map_err(|error| unusable(&certificate_path, error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// The pin of the certificate that a client has shown, if it has.
pub fn pin_of(connection: &ServerConnection) -> Option<Pin> {
    let certificate = connection.peer_certificates().and_then(|chain| chain.first())?;
    Pin::of_certificate(certificate).ok()
}

fn unusable(path: &Path, reason: impl std::fmt::Display) -> TlsError {
    TlsError::Unusable { path: path.to_owned(), reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use perennial_daemon::identity::{CERTIFICATE_FILE, Identity, KEY_FILE};

    #[test]
    fn files_that_are_missing_or_do_not_belong_together_or_are_open_to_others_are_refused() {
        let place = tempfile::tempdir().expect("a directory");
        let [one, other] = ["one", "other"].map(|name| {
            Identity::load_or_create(&place.path().join(name)).expect("made");
            PathBuf::from(name)
        });
        let tls = |certificate: &Path, key: &Path| Tls {
            certificate: certificate.join(CERTIFICATE_FILE),
            key: key.join(KEY_FILE),
            client_certificates: ClientCertificates::Asked,
        };
        let read = |tls: Tls| server_config(&tls, place.path());
        assert!(read(tls(&one, &one)).is_ok());
        assert!(read(tls(&one, &other)).is_err() && read(tls(Path::new("none"), &one)).is_err());
        let key = place.path().join(&one).join(KEY_FILE);
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).expect("widened");
        let refusal = read(tls(&one, &one)).expect_err("open to others").to_string();
        assert!(refusal.contains("chmod 600"), "{refusal}");
    }
}
