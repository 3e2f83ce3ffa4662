//! `amanat crds`

use clap::Args;

use super::{Error, Status, output};

/// Arguments of `crds`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  amanat crds | kubectl apply --server-side -f -")]
pub struct CrdsArgs {}

pub(super) fn run(_: &CrdsArgs) -> Result<Status, Error> {
    let files = crate::api::crd_files().map_err(|error| Error::Internal(error.to_string()))?;
    let texts: Vec<String> = files.into_iter().map(|(_, text)| text).collect();
    output::print(&texts.join("---\n"))?;
    Ok(Status::Clean)
}
