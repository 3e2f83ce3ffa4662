//! How the namespace of a request stands: as the index has it, or, where the index may be behind and that could change
//! the answer, as the API server says.

use std::sync::Arc;

use super::entry::Entry;
use super::state::AdmissionState;
use crate::cluster::lookup::could_change;
use crate::cluster::{Found, LiveContext, LookupFailed};
use crate::control::{Body, Context, Kind, Lookup, Operation, Standing, Subject};

/// Why a request can't be answered now. The entry's failurePolicy decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unavailable {
    /// Not everything has been seen yet.
    #[error("Amanat has not seen the whole cluster yet")]
    NotSynced,
    /// No baseline has compiled yet.
    #[error("no SecurityBaseline is in force: amanat needs a default one that compiles")]
    NoBaseline,
    /// The API server can't be asked.
    #[error("the namespace's declaration could not be looked up")]
    Lookup(&'static str),
    /// The decision panicked, on an entry that fails open.
    #[error("Amanat failed while it judged this request")]
    Panicked,
}

impl Unavailable {
    pub(super) fn category(self) -> &'static str {
        match self {
            Self::NotSynced => "not-synced",
            Self::NoBaseline => "no-baseline",
            Self::Lookup(category) => category,
            Self::Panicked => "panicked",
        }
    }
}

impl From<LookupFailed> for Unavailable {
    fn from(failed: LookupFailed) -> Self {
        Self::Lookup(failed.category())
    }
}

/// Asks the API server for the namespace's declaration, when the index doesn't know the namespace as governed and what
/// is asked could be decided otherwise if it were.
pub(super) async fn look_up(
    state: &AdmissionState,
    entry: Entry,
    standing: &Standing,
    namespace: &str,
    kind: Kind,
    operation: Operation,
) -> Result<Option<Arc<Found>>, Unavailable> {
    // A Namespace is judged by its own labels. A deletion that isn't known to be protected is none of a governed
    // namespace, but for the declaration itself, whose deletion ends what it protects.
    let asked = match kind {
        Kind::Namespace => false,
        Kind::CloudWorkload => true,
        _ => operation != Operation::Delete,
    };
    if !asked || !could_change(namespace, standing) {
        return Ok(None);
    }
    // A label that the index hasn't seen yet is the memory of a class that a new declaration may not lower.
    let labelled = matches!(entry, Entry::Governed | Entry::Supply) || kind == Kind::CloudWorkload;
    Ok(Some(state.lookup.declaration(namespace, labelled).await?))
}

/// Asks the API server for what a declaration names and neither the index nor the look-up knows, so that one whose
/// references exist and forbid it is refused however closely it follows them. Gives all that was found, if it is more.
pub(super) async fn look_up_references(
    state: &AdmissionState,
    context: &LiveContext<'_>,
    found: Option<&Found>,
    subject: &Subject,
    operation: Operation,
) -> Result<Option<Found>, Unavailable> {
    let Body::CloudWorkload(spec) = &subject.body else { return Ok(None) };
    let unknown = matches!(context.provider(&spec.provider), Lookup::Absent)
        || matches!(context.entity(&spec.owner), Lookup::Absent);
    if operation == Operation::Delete || !unknown {
        return Ok(None);
    }
    let named = state.lookup.references(spec).await?;
    let mut found = found.cloned().unwrap_or_default();
    found.providers.extend(named.providers);
    found.entities.extend(named.entities);
    Ok(Some(found))
}
