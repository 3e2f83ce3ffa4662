//! What the condition `Schedulable` says: pure, from the nodes and what the class demands of them.

use super::outcome::Outcome;
use crate::api::Effect;
use crate::api::condition::{State, reason};
use crate::catalogue::residency::IN_COUNTRY_SCHEDULING;
use crate::catalogue::residency::in_country_scheduling::{fits, how_to_label};
use crate::control::{Context, Governed, Lookup};
use crate::engine::Engine;

/// Whether some node takes the Pods of a class. Which Pods fit on it beside others is the scheduler's business.
pub(super) fn schedulable(engine: &Engine, governed: &Governed, context: &dyn Context) -> Outcome {
    let (id, class) = (IN_COUNTRY_SCHEDULING.id, engine.regime.class_name(governed.rank));
    let effect = governed.capped(engine.effect(governed.rank, id));
    let params = engine.params(governed.rank, id).filter(|_| effect == Effect::Deny);
    let Some(params) = params else {
        return Outcome::new(true, reason::NOT_DEMANDED, format!("{id} is {effect} here, so any node will do"));
    };
    match context.nodes() {
        Lookup::Found(nodes) if nodes.values().any(|node| fits(node, class, params)) => {
            Outcome::new(true, reason::NODE_FITS, format!("a node takes class {class}"))
        }
        Lookup::Found(_) => {
            let message = format!(
                "no Ready node is labelled to take class {class} and not kept for another class, so Pods stay Pending; \
                 label one that may: {}",
                how_to_label(params)
            );
            Outcome::new(false, reason::NO_NODE_FITS, message)
        }
        Lookup::Absent | Lookup::Unknown => {
            Outcome::new(State::Unknown, reason::NOT_ASSESSED, "the nodes are not known")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;

    use super::*;
    use crate::api::JURISDICTION_LABEL;
    use crate::baseline::{self, Effective, Mode};
    use crate::control::{Acceptance, Cap, Node, Nothing};

    struct Nodes(BTreeMap<String, Arc<Node>>);

    impl Context for Nodes {
        fn nodes(&self) -> Lookup<&BTreeMap<String, Arc<Node>>> {
            Lookup::Found(&self.0)
        }
    }

    #[test]
    fn by_what_is_demanded_and_by_the_nodes() {
        let shipped = baseline::shipped().unwrap();
        let engine = Engine::compile(&Effective::resolve("b", &shipped.spec, Mode::Offline).unwrap());
        let governed = |class: &str, cap: Option<Effect>| Governed {
            rank: engine.regime.rank(class).unwrap(),
            acceptance: Acceptance::default(),
            raise: None,
            suspension: None,
            cap: cap.map(|effect| Cap { effect, until: "2027-01-01T00:00:00Z".parse().unwrap() }),
        };
        let node = |country: &str, pools: &[&str]| Node {
            labels: BTreeMap::from([(JURISDICTION_LABEL.to_owned(), country.to_owned())]),
            pools: pools.iter().map(|&pool| pool.to_owned()).collect::<BTreeSet<_>>(),
            takes_pods: true,
        };
        let nodes = |nodes: Vec<Node>| {
            Nodes(nodes.into_iter().enumerate().map(|(at, node)| (at.to_string(), Arc::new(node))).collect())
        };
        let (none, home) = (nodes(Vec::new()), nodes(vec![node("AE", &[]), node("PK", &["Secret"]), node("PK", &[])]));
        let kept = nodes(vec![node("AE", &[]), node("PK", &["Secret"])]);
        let table = [
            ("a node fits", &home as &dyn Context, "Restricted", None, State::True, reason::NODE_FITS),
            ("no node", &none, "Restricted", None, State::False, reason::NO_NODE_FITS),
            ("kept for another", &kept, "Restricted", None, State::False, reason::NO_NODE_FITS),
            ("kept for it", &kept, "Secret", None, State::True, reason::NODE_FITS),
            ("capped", &none, "Restricted", Some(Effect::Warn), State::True, reason::NOT_DEMANDED),
            ("capped at no less", &none, "Restricted", Some(Effect::Deny), State::False, reason::NO_NODE_FITS),
            ("a warning only", &none, "Public", None, State::True, reason::NOT_DEMANDED),
            ("switched off", &none, "Open", None, State::True, reason::NOT_DEMANDED),
            ("not known", &Nothing, "Secret", None, State::Unknown, reason::NOT_ASSESSED),
        ];
        for (what, context, class, cap, state, reason) in table {
            let outcome = schedulable(&engine, &governed(class, cap), context);
            assert_eq!((outcome.state, outcome.reason), (state, reason), "{what}");
        }
        let message = schedulable(&engine, &governed("Secret", None), &none).message;
        let command = "kubectl label node NAME node-restriction.kubernetes.io/amanat-jurisdiction=PK";
        assert!(message.contains("class Secret") && message.ends_with(command), "{message}");
    }
}
