//! The labels that a governed namespace carries: its class, and what the built-in Pod Security admission does there.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;

use crate::api::{DATA_CLASS_LABEL, Effect, FIELD_MANAGER};
use crate::catalogue::pod::SECURITY_ADMISSION_LABELS;
use crate::control::{Governed, Level, POD_SECURITY_MODES, POD_SECURITY_PREFIX, PodSecurity};
use crate::engine::Engine;

/// The label by which the built-in admission refuses Pods.
pub const ENFORCE: &str = "pod-security.kubernetes.io/enforce";

/// What the labels are derived from.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// The engine that decides for the namespace.
    pub engine: &'a Engine,
    /// The terms on which its class holds.
    pub governed: &'a Governed,
    /// Minor version of the API server.
    pub server_minor: u32,
    /// The labels as they are.
    pub labels: &'a BTreeMap<String, String>,
    /// Keys of labels that Amanat owns and nobody else does.
    pub ours: &'a BTreeSet<String>,
}

impl Facts<'_> {
    /// The start of the grace that keeps `enforce` from rising, if a controller older than that exists; none when there
    /// is no such grace, or `enforce` is as high as it gets.
    pub fn grace_that_matters(&self) -> Option<Timestamp> {
        let grace = self.governed.raise?;
        (self.current(ENFORCE) < Some(self.demanded().enforce)).then_some(grace.from)
    }

    /// The labels to apply. What is left out belongs to someone else, who asked for more. `older_controllers`: one
    /// older than [`Self::grace_that_matters`] exists.
    pub fn wanted(&self, older_controllers: bool) -> BTreeMap<String, String> {
        let mut wanted = BTreeMap::new();
        if let Some(class) = self.class() {
            wanted.insert(DATA_CLASS_LABEL.to_owned(), class);
        }
        if self.engine.effect(self.governed.rank, SECURITY_ADMISSION_LABELS.id) < Effect::Deny {
            // Nothing is built; and what an apply leaves out that Amanat alone had written would go.
            let kept = self.ours.iter().filter(|key| key.starts_with(POD_SECURITY_PREFIX));
            wanted.extend(kept.filter_map(|key| Some((key.clone(), self.labels.get(key)?.clone()))));
            return wanted;
        }
        let demanded = self.demanded();
        let version = format!("v1.{}", demanded.minor);
        for mode in POD_SECURITY_MODES {
            let level = match demanded.of_mode(mode) {
                // What holds already is kept: the Pods that are re-created came in under it.
                level if older_controllers && mode == "enforce" => self.current(ENFORCE).unwrap_or_default().min(level),
                level => level,
            };
            let key = format!("{POD_SECURITY_PREFIX}{mode}");
            let version_key = format!("{key}-version");
            let theirs = !self.ours.contains(&key) && self.current(&key).is_some_and(|current| current > level);
            if !theirs {
                wanted.insert(key, level.as_str().to_owned());
            }
            let version_is_theirs = self.labels.contains_key(&version_key) && !self.ours.contains(&version_key);
            if !(theirs && version_is_theirs) {
                wanted.insert(version_key, version.clone());
            }
        }
        wanted
    }

    /// A class label that no class of the baseline has: the strictest class holds, and the label stays as it is.
    pub fn unknown_class(&self) -> Option<&str> {
        let label = self.labels.get(DATA_CLASS_LABEL)?;
        self.engine.regime.rank(label).is_none().then_some(label)
    }

    /// The class label: written once the declaration is accepted, then only raised. Never left out when it is there,
    /// since leaving out would remove it.
    fn class(&self) -> Option<String> {
        let regime = &self.engine.regime;
        let label = self.labels.get(DATA_CLASS_LABEL);
        let declared = regime.class_name(self.governed.rank);
        let raise = self.governed.acceptance.accepted() && !declared.is_empty();
        match label {
            None => raise.then(|| declared.to_owned()),
            Some(label) => match regime.rank(label) {
                Some(rank) if raise && rank <= self.governed.rank => Some(declared.to_owned()),
                _ => Some(label.clone()),
            },
        }
    }

    fn current(&self, key: &str) -> Option<Level> {
        self.labels.get(key).and_then(|word| Level::parse(word))
    }

    fn demanded(&self) -> PodSecurity {
        self.engine.pod_security(self.governed, self.engine.regime.pod_security_minor.min(self.server_minor))
    }
}

/// The label keys that Amanat owns alone, from an object's `managedFields`.
pub fn owned_alone(managed: &[ManagedFieldsEntry]) -> BTreeSet<String> {
    let ours = |entry: &&ManagedFieldsEntry| entry.manager.as_deref() == Some(FIELD_MANAGER);
    let keys = |entry: &ManagedFieldsEntry| -> Vec<String> {
        let labels = entry.fields_v1.as_ref().and_then(|fields| fields.0.pointer("/f:metadata/f:labels")?.as_object());
        let keys = labels.into_iter().flatten().filter_map(|(key, _)| key.strip_prefix("f:"));
        keys.map(str::to_owned).collect()
    };
    let others: BTreeSet<String> = managed.iter().filter(|entry| !ours(entry)).flat_map(keys).collect();
    managed.iter().filter(ours).flat_map(keys).filter(|key| !others.contains(key)).collect()
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use serde_json::json;

    use super::*;
    use crate::baseline::{self, Effective, Mode};
    use crate::control::{Acceptance, Cap, FieldPath, Finding, Grace};

    fn engine() -> Engine {
        let shipped = baseline::shipped().unwrap();
        Engine::compile(&Effective::resolve("b", &shipped.spec, Mode::Offline).unwrap())
    }

    fn governed(engine: &Engine, class: &str) -> Governed {
        Governed {
            rank: engine.regime.rank(class).unwrap(),
            acceptance: Acceptance::default(),
            raise: None,
            suspension: None,
            cap: None,
        }
    }

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn cap(effect: Effect) -> Option<Cap> {
        Some(Cap { effect, until: Timestamp::MAX })
    }

    fn grace() -> Option<Grace> {
        let from = Timestamp::UNIX_EPOCH;
        Some(Grace { from, until: from + SignedDuration::from_hours(1) })
    }

    fn keys(keys: &[&str]) -> BTreeSet<String> {
        keys.iter().map(|key| (*key).to_owned()).collect()
    }

    /// enforce, audit and warn, `-` for what is left to someone else.
    fn levels(wanted: &BTreeMap<String, String>) -> String {
        let level = |mode| wanted.get(&format!("{POD_SECURITY_PREFIX}{mode}")).map_or("-", String::as_str);
        ["enforce", "audit", "warn"].map(level).join(" ")
    }

    struct Row {
        what: &'static str,
        class: &'static str,
        cap: Option<Cap>,
        raise: Option<Grace>,
        older: bool,
        labels: &'static [(&'static str, &'static str)],
        ours: &'static [&'static str],
        expected: &'static str,
    }

    #[test]
    fn levels_by_class_cap_grace_and_what_is_there() {
        let plain = || Row {
            what: "a new namespace",
            class: "Restricted",
            cap: None,
            raise: None,
            older: false,
            labels: &[],
            ours: &[],
            expected: "restricted restricted restricted",
        };
        let table = [
            plain(),
            Row { what: "grace, nothing older", raise: grace(), ..plain() },
            Row {
                what: "grace, older controllers",
                raise: grace(),
                older: true,
                expected: "privileged restricted restricted",
                ..plain()
            },
            Row {
                what: "a raise keeps what was enforced",
                raise: grace(),
                older: true,
                labels: &[(ENFORCE, "baseline")],
                ours: &[ENFORCE],
                expected: "baseline restricted restricted",
                ..plain()
            },
            Row { what: "capped", cap: cap(Effect::Warn), expected: "privileged restricted restricted", ..plain() },
            Row { what: "a cap that caps nothing", cap: cap(Effect::Deny), ..plain() },
            Row {
                what: "capped where someone asked for more",
                cap: cap(Effect::Audit),
                labels: &[(ENFORCE, "baseline")],
                expected: "- restricted restricted",
                ..plain()
            },
            Row {
                what: "capped after Amanat had raised it",
                cap: cap(Effect::Audit),
                labels: &[(ENFORCE, "restricted")],
                ours: &[ENFORCE],
                expected: "privileged restricted restricted",
                ..plain()
            },
            Row {
                what: "someone asked for less",
                labels: &[(ENFORCE, "privileged"), ("pod-security.kubernetes.io/warn", "baseline")],
                ..plain()
            },
            Row { what: "nonsense there", labels: &[(ENFORCE, "tight")], ..plain() },
        ];
        let engine = engine();
        for row in &table {
            let governed = Governed { cap: row.cap.clone(), raise: row.raise, ..governed(&engine, row.class) };
            let labels = labels(row.labels);
            let ours = keys(row.ours);
            let facts = Facts { engine: &engine, governed: &governed, server_minor: 37, labels: &labels, ours: &ours };
            assert_eq!(levels(&facts.wanted(row.older)), row.expected, "{}", row.what);
        }
    }

    #[test]
    fn version_is_the_lower_one_and_someone_elses_stays_with_their_level() {
        let engine = engine();
        let governed = Governed { cap: cap(Effect::Warn), ..governed(&engine, "Restricted") };
        let version = "pod-security.kubernetes.io/enforce-version";
        for (server_minor, there, expected) in [
            (40, vec![], Some("v1.37")),
            (34, vec![], Some("v1.34")),
            (34, vec![(ENFORCE, "baseline")], Some("v1.34")),
            (34, vec![(ENFORCE, "baseline"), (version, "v1.30")], None),
            (34, vec![(ENFORCE, "privileged"), (version, "v1.30")], Some("v1.34")),
        ] {
            let (labels, ours) = (labels(&there), BTreeSet::new());
            let facts = Facts { engine: &engine, governed: &governed, server_minor, labels: &labels, ours: &ours };
            assert_eq!(facts.wanted(false).get(version).map(String::as_str), expected, "{there:?}");
        }
    }

    #[test]
    fn class_is_written_when_accepted_and_never_lowered_or_left_out() {
        let engine = engine();
        let refused =
            Acceptance { reasons: vec![Finding::new(FieldPath::of(&["spec"]), "no", "none")], ..Acceptance::default() };
        for (there, rank, accepted, expected) in [
            (None, "Restricted", true, Some("Restricted")),
            (None, "Restricted", false, None),
            (Some("Public"), "Restricted", true, Some("Restricted")),
            (Some("Public"), "Restricted", false, Some("Public")),
            (Some("Confidential"), "Confidential", false, Some("Confidential")),
            (Some("Sensitive"), "Confidential", true, Some("Confidential")),
            (Some("Secret"), "Restricted", true, Some("Secret")),
            (Some("Sekret"), "Secret", true, Some("Sekret")),
        ] {
            let labels = labels(&there.map(|class| (DATA_CLASS_LABEL, class)).into_iter().collect::<Vec<_>>());
            let acceptance = if accepted { Acceptance::default() } else { refused.clone() };
            let governed = Governed { acceptance, ..governed(&engine, rank) };
            let ours = BTreeSet::new();
            let facts = Facts { engine: &engine, governed: &governed, server_minor: 37, labels: &labels, ours: &ours };
            let class = facts.wanted(false).get(DATA_CLASS_LABEL).cloned();
            assert_eq!(class.as_deref(), expected, "{there:?} {rank} {accepted}");
            assert_eq!(facts.unknown_class(), there.filter(|class| *class == "Sekret"));
        }
    }

    #[test]
    fn controllers_are_listed_only_when_enforce_would_rise() {
        let engine = engine();
        let table = [(grace(), None, true), (None, None, false), (grace(), Some("restricted"), false)];
        for (raise, there, expected) in table {
            let governed = Governed { raise, ..governed(&engine, "Restricted") };
            let labels = labels(&there.map(|level| (ENFORCE, level)).into_iter().collect::<Vec<_>>());
            let ours = BTreeSet::new();
            let facts = Facts { engine: &engine, governed: &governed, server_minor: 37, labels: &labels, ours: &ours };
            assert_eq!(facts.grace_that_matters().is_some(), expected, "{raise:?} {there:?}");
        }
    }

    #[test]
    fn where_the_control_does_not_deny_nothing_is_built_and_nothing_taken_away() {
        let mut spec = baseline::shipped().unwrap().spec;
        let control = spec.controls.iter_mut().find(|control| control.id == SECURITY_ADMISSION_LABELS.id).unwrap();
        control.effects.values_mut().for_each(|effect| *effect = Effect::Warn);
        let engine = Engine::compile(&Effective::resolve("b", &spec, Mode::Offline).unwrap());
        let governed = governed(&engine, "Restricted");
        let audit = "pod-security.kubernetes.io/audit";
        let there = labels(&[(ENFORCE, "baseline"), (audit, "baseline")]);
        let ours = keys(&[ENFORCE]);
        let facts = Facts { engine: &engine, governed: &governed, server_minor: 37, labels: &there, ours: &ours };
        assert_eq!(facts.wanted(false), labels(&[(DATA_CLASS_LABEL, "Restricted"), (ENFORCE, "baseline")]));
    }

    #[test]
    fn owned_alone_by_managed_fields() {
        let entry = |manager: &str, labels: &[&str]| -> ManagedFieldsEntry {
            let labels: serde_json::Map<_, _> = labels.iter().map(|key| (format!("f:{key}"), json!({}))).collect();
            serde_json::from_value(json!({
                "manager": manager, "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1",
                "fieldsV1": {"f:metadata": {"f:labels": labels}},
            }))
            .unwrap()
        };
        let managed = [entry(FIELD_MANAGER, &["a", "b"]), entry("kubectl", &["b", "c"])];
        assert_eq!(owned_alone(&managed), keys(&["a"]));
        assert_eq!(owned_alone(&[]), BTreeSet::new());
    }
}
