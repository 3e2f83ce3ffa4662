//! What the effects of a class amount to in levels of the Pod Security Standards.

use super::Engine;
use crate::api::Effect;
use crate::catalogue::pod::{BASELINE, RESTRICTED};
use crate::control::{Control, Governed, Level, PodSecurity};

impl Engine {
    /// The levels of a namespace on these terms, by the checks of one minor version. A check that this version doesn't
    /// have yet doesn't count.
    pub fn pod_security(&self, governed: &Governed, minor: u32) -> PodSecurity {
        let all_denied = |controls: &[&Control]| {
            let mut existing = controls.iter().filter(|control| control.pod_check_at(minor).is_some());
            existing.all(|control| self.effect_even_beside(governed.rank, control.id) == Effect::Deny)
        };
        let declared = match (all_denied(BASELINE), all_denied(RESTRICTED)) {
            (true, true) => Level::Restricted,
            (true, false) => Level::Baseline,
            (false, _) => Level::Privileged,
        };
        let enforce = if governed.capped(Effect::Deny) == Effect::Deny { declared } else { Level::Privileged };
        PodSecurity { enforce, declared, minor }
    }
}
