//! Listening: the webhook's certificate, its TLS accept loop, and the plain port for health and metrics.

pub mod certificate;
mod connections;
pub mod health;
pub mod metrics;
pub mod tls;

pub use certificate::{Certificate, CertificateError, Known, ServedCertificate};
pub use health::Readiness;
