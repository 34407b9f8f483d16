//! Encrypted connections.

use std::{fmt, io, sync::Arc};

use rustls::{
    AlertDescription, CertificateError, ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::store::StoreError;

use super::{stream::Stream, url::Address};

/// Whom to trust, and who we are.
#[derive(Clone, Default)]
pub(super) struct TlsSettings {
    pub(super) ca: Option<Vec<u8>>,
    pub(super) client: Option<(Vec<u8>, Vec<u8>)>,
}

/// The same, checked.
#[derive(Clone)]
pub(super) struct Tls(TlsConnector);

impl TlsSettings {
    pub(super) fn is_set(&self) -> bool {
        self.ca.is_some() || self.client.is_some()
    }

    /// # Errors
    /// A certificate or key cannot be used.
    pub(super) fn check(&self) -> Result<Tls, StoreError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| StoreError::Tls {
                problem: error.to_string(),
            })?
            .with_root_certificates(self.roots()?);
        let config = match &self.client {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = certificates(certificate)
                    .ok_or_else(|| bad("client_certificate", "the certificate is no PEM"))?;
                let key = PrivateKeyDer::from_pem_slice(key)
                    .map_err(|_| bad("client_certificate", "the key is no PEM of a private key"))?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|_| bad("client_certificate", "the key is not the certificate's"))?
            }
        };
        Ok(Tls(TlsConnector::from(Arc::new(config))))
    }

    fn roots(&self) -> Result<RootCertStore, StoreError> {
        let mut roots = RootCertStore::empty();
        match &self.ca {
            Some(pem) => {
                let certificates = certificates(pem)
                    .ok_or_else(|| bad("ca_certificate", "it is no PEM of a certificate"))?;
                for certificate in certificates {
                    roots.add(certificate).map_err(|_| {
                        bad("ca_certificate", "it is no certificate of an authority")
                    })?;
                }
            }
            None => {
                let found = rustls_native_certs::load_native_certs();
                roots.add_parsable_certificates(found.certs);
            }
        }
        Ok(roots)
    }
}

/// All of a PEM; `None` where there is none, or one that is broken.
fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    all.ok().filter(|all| !all.is_empty())
}

fn bad(setting: &'static str, problem: &str) -> StoreError {
    StoreError::BadSetting {
        setting,
        problem: problem.to_owned(),
    }
}

impl Tls {
    pub(super) async fn secure(
        &self,
        stream: TcpStream,
        server: &Address,
    ) -> Result<Stream, StoreError> {
        let name = ServerName::try_from(server.host.clone()).map_err(|_| StoreError::Tls {
            problem: "the host's name can stand in no certificate".to_owned(),
        })?;
        match self.0.connect(name, stream).await {
            Ok(stream) => Ok(Stream::Secure(Box::new(stream))),
            Err(error) => Err(problem(&error).unwrap_or_else(|| StoreError::Tls {
                problem: format!("the handshake was cut short: {error}"),
            })),
        }
    }
}

/// What was wrong with the encryption, if that was it.
pub(super) fn problem(error: &io::Error) -> Option<StoreError> {
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    let problem = match error {
        rustls::Error::InvalidCertificate(certificate) => match certificate {
            CertificateError::UnknownIssuer => {
                "the server's certificate is of an unknown authority: give it with `ca_certificate`"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the server's certificate has expired"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the server's certificate is not valid yet"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "the server's certificate is for another name than the URL's"
            }
            CertificateError::Revoked => "the server's certificate was revoked",
            _ => "the server's certificate is not valid",
        },
        rustls::Error::AlertReceived(alert) => match alert {
            AlertDescription::CertificateRequired
            | AlertDescription::HandshakeFailure
            | AlertDescription::NoCertificate => {
                "the server wants a certificate: give one with `client_certificate`"
            }
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::DecryptError => "the server does not accept our certificate",
            _ => "the server broke the handshake off",
        },
        rustls::Error::InvalidMessage(_) => {
            "the server does not speak TLS: is it a `redis://` one?"
        }
        _ => "the handshake failed",
    };
    Some(StoreError::Tls {
        problem: problem.to_owned(),
    })
}

/// Certificates are nobody's business, and keys even less.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls(..)")
    }
}
