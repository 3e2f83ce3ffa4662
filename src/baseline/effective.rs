//! A baseline that was looked through: every name known, every parameter parsed, every class decided.

use std::fmt;

use super::resolve::{Reader, classes, sound};
use crate::api::{Effect, SecurityBaselineSpec};
use crate::control::{Control, ParamSpec, Params, Regime};

/// What is done with a baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A cluster's: a required parameter without a value is a problem.
    Cluster,
    /// Of the command line: such a control is not assessed.
    Offline,
}

/// One thing that is wrong with a baseline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The field, from `spec` on.
    pub path: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// Why a baseline doesn't compile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problems {
    /// It was written for a newer release than this, and names what this one doesn't know.
    #[error("the baseline was written for catalogue {catalogue}, newer than this release: {}", list(.problems))]
    NewerCatalogue {
        /// The release that it was written for.
        catalogue: String,
        /// What isn't known.
        problems: Vec<Problem>,
    },
    /// It is wrong.
    #[error("{}", list(.0))]
    Invalid(Vec<Problem>),
}

impl Problems {
    /// A bounded label, also the reason of the condition `Ready`.
    pub fn category(&self) -> &'static str {
        match self {
            Self::NewerCatalogue { .. } => "NewerCatalogue",
            Self::Invalid(_) => "Invalid",
        }
    }
}

fn list(problems: &[Problem]) -> String {
    problems.iter().take(20).map(Problem::to_string).collect::<Vec<_>>().join("; ")
}

/// A baseline with every name resolved.
#[derive(Clone, Debug)]
pub struct Effective {
    /// What it fixes beside its controls.
    pub regime: Regime,
    /// The controls that it names, by id.
    pub controls: Vec<ControlTerms>,
    /// Controls that aren't evaluated because others are looked at alone, and whose effects those may ask for.
    pub beside: Vec<ControlTerms>,
}

/// A control's terms in every class.
#[derive(Clone)]
pub struct ControlTerms {
    /// The control.
    pub control: &'static Control,
    /// Whether it supplies to Pods what it demands of them.
    pub supply: bool,
    /// By rank of the class.
    pub by_class: Vec<Terms>,
}

impl fmt::Debug for ControlTerms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.control.id, self.by_class)
    }
}

/// A control's terms in one class.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Terms {
    /// What a finding does.
    pub effect: Effect,
    /// The parameters.
    pub params: Params,
}

impl Effective {
    /// Looks through a default baseline.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn resolve(name: &str, spec: &SecurityBaselineSpec, mode: Mode) -> Result<Self, Problems> {
        sound(spec)?;
        let mut reader = Reader::default();
        let classes = classes(spec);
        let controls = reader.controls(spec, &classes, false, mode);
        let regime = reader.regime(name, spec, classes);
        reader.finish(spec, Self { regime, controls, beside: Vec::new() })
    }

    /// Looks through an overlay on this baseline, whose classes it uses.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn resolve_overlay(&self, name: &str, spec: &SecurityBaselineSpec, mode: Mode) -> Result<Self, Problems> {
        sound(spec)?;
        let mut reader = Reader::default();
        let classes = self.regime.classes.clone();
        // What an overlay leaves to the base may be required there.
        let mode = if mode == Mode::Cluster { Mode::Offline } else { mode };
        let mut controls = reader.controls(spec, &classes, true, mode);
        self.complete(&mut controls);
        let mut regime = reader.regime(name, spec, classes);
        if spec.grace_on_suspension.is_none() {
            regime.grace_on_suspension = self.regime.grace_on_suspension;
        }
        if spec.grace_on_raise.is_none() {
            regime.grace_on_raise = self.regime.grace_on_raise;
        }
        reader.finish(spec, Self { regime, controls, beside: Vec::new() })
    }

    /// Gives the controls of an overlay the parameters that it leaves out, from this baseline: whoever changes an effect
    /// alone means no other value. For some parameters none is the strictest, so that joining would shut everything.
    fn complete(&self, controls: &mut [ControlTerms]) {
        for terms in controls {
            let Some(base) = self.controls.iter().find(|known| known.control.id == terms.control.id) else { continue };
            for (theirs, mine) in terms.by_class.iter_mut().zip(&base.by_class) {
                for name in terms.control.params.iter().map(|spec| spec.name) {
                    let left_out = theirs.params.get(name).is_none();
                    if let Some(value) = mine.params.get(name).filter(|_| left_out) {
                        theirs.params.set(name, value.clone());
                    }
                }
            }
        }
    }

    /// This baseline with the named controls alone, each at `Deny` in every class, with the parameters that it has in the
    /// class of `rank`. Nothing caps or softens them, and nothing is supplied.
    #[must_use]
    pub fn only(&self, controls: &[&'static Control], rank: usize) -> Self {
        let terms = |control: &'static Control| {
            let named = self.controls.iter().find(|terms| terms.control.id == control.id);
            let params = named.and_then(|terms| terms.by_class.get(rank)).map(|terms| terms.params.clone());
            let terms = Terms { effect: Effect::Deny, params: params.unwrap_or_default() };
            ControlTerms { control, supply: false, by_class: vec![terms; self.regime.classes.len()] }
        };
        let mut controls: Vec<ControlTerms> = controls.iter().map(|control| terms(control)).collect();
        let named = |terms: &&ControlTerms| controls.iter().any(|named| named.control.id == terms.control.id);
        let beside = self.controls.iter().filter(|terms| !named(terms)).cloned().collect();
        controls.sort_by_key(|terms| terms.control.id);
        controls.dedup_by_key(|terms| terms.control.id);
        let regime = Regime { undeclared: Effect::Deny, rollout: Vec::new(), builds: false, ..self.regime.clone() };
        Self { regime, controls, beside }
    }

    /// Joins an overlay to this baseline: per control the stricter effect, per parameter the stricter value, and of
    /// placement what both permit. Nothing is loosened.
    #[must_use]
    pub fn join(&self, overlay: &Self) -> Self {
        let mut joined = self.clone();
        joined.regime.overlays.push(overlay.regime.baseline.clone());
        if overlay.regime.placement.iter().any(|rows| !rows.is_empty()) {
            joined.regime.placement.extend(overlay.regime.placement.iter().cloned());
        }
        joined.regime.grace_on_raise = joined.regime.grace_on_raise.min(overlay.regime.grace_on_raise);
        joined.regime.grace_on_suspension = joined.regime.grace_on_suspension.min(overlay.regime.grace_on_suspension);
        for terms in &overlay.controls {
            match joined.controls.iter_mut().find(|known| known.control.id == terms.control.id) {
                Some(known) => {
                    // What isn't supplied has to be there.
                    known.supply &= terms.supply;
                    for (mine, theirs) in known.by_class.iter_mut().zip(&terms.by_class) {
                        *mine = join_terms(known.control.params, mine, theirs);
                    }
                }
                None => joined.controls.push(terms.clone()),
            }
        }
        joined.controls.sort_by_key(|terms| terms.control.id);
        joined
    }
}

fn join_terms(specs: &[ParamSpec], mine: &Terms, theirs: &Terms) -> Terms {
    let mut params = Params::default();
    for spec in specs {
        let value = match (mine.params.get(spec.name), theirs.params.get(spec.name)) {
            (Some(mine), Some(theirs)) => spec.stricter(mine, theirs),
            (Some(only), None) | (None, Some(only)) if !spec.absent_is_strictest() => only.clone(),
            _ => continue,
        };
        params.set(spec.name, value);
    }
    Terms { effect: mine.effect.max(theirs.effect), params }
}
