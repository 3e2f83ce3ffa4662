//! What a class supplies to the Pods of its namespaces.

use super::Engine;
use super::compile::SupplyEntry;
use crate::api::Effect;
use crate::control::{Context, Draft, Governed, Lookup, Standing, Subject, Supplied, Supplying};

impl Engine {
    /// Fills in what a Pod lacks. A template is filled in as its Pods will be, so that it is judged by what they will be;
    /// nothing of that is written to it. Supply acts only where the control's effect, after caps, is `Deny`.
    ///
    /// The webhook supplies Pods through its mutating entries, when they are made, and never when they are changed; what
    /// reaches the judging entries has been through it.
    pub fn supply(&self, standing: &Standing, context: &dyn Context, subject: &mut Subject) -> Supplied {
        let Some((governed, supplies)) = self.supplies_at(standing) else { return Supplied::default() };
        let declaration = match context.declared(&subject.metadata.namespace) {
            Lookup::Found(spec) => Some(spec),
            Lookup::Absent | Lookup::Unknown => None,
        };
        let supplying = Supplying { regime: &self.regime, governed, declaration, context };
        let Some(mut draft) = Draft::of(subject) else { return Supplied::default() };
        for entry in supplies {
            (entry.supply.fill)(&supplying, &entry.params, &mut draft);
        }
        draft.finish()
    }

    /// True where something is supplied; elsewhere a Pod needs no look.
    pub fn supplies(&self, standing: &Standing) -> bool {
        self.supplies_at(standing).is_some()
    }

    fn supplies_at<'s>(&self, standing: &'s Standing) -> Option<(&'s Governed, &[SupplyEntry])> {
        let governed = standing.governed()?;
        let supplies = self.supplies_of_class(governed.rank);
        let denies = governed.capped(Effect::Deny) == Effect::Deny;
        (denies && !supplies.is_empty()).then_some((governed, supplies))
    }
}
