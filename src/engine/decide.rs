//! From a request to a verdict.

use jiff::Timestamp;

use super::compare::{Change, Forgiven, change};
use super::compile::{Engine, Entry, Ready};
use super::verdict::{Outcome, Softened, Verdict, Want};
use crate::api::{Effect, inert_fields_of_cloud_workload};
use crate::catalogue::network::DEFAULT_DENY;
use crate::catalogue::placement::{self, is_of_standing};
use crate::catalogue::pod::{RESOURCE_BOUNDS, SECURITY_ADMISSION_LABELS, resource_bounds};
use crate::control::{
    Acceptance, Actor, Body, Case, Context, Control, Finding, Governed, Grace, Kind, Lookup, NotAssessed, Operation,
    PodSecurity, Regime, Sink, Standing, Subject,
};

/// What a front asks.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// What is done; what is judged offline and in a scan is judged as if it were made.
    pub operation: Operation,
    /// The object; at a deletion, the one that goes. What its class supplies is supplied already, to the old one too.
    pub subject: &'a Subject,
    /// The object as it was, at an update.
    pub old: Option<&'a Subject>,
    /// Who asks; nobody offline and in a scan.
    pub actor: Option<&'a Actor>,
    /// How the object's namespace stands.
    pub standing: &'a Standing,
    /// What else exists.
    pub context: &'a dyn Context,
    /// The instant.
    pub now: Timestamp,
}

impl Engine {
    /// Judges one request. Total: it answers for every request, and reads nothing but its arguments.
    pub fn decide(&self, request: &Request<'_>) -> Verdict {
        let declared = match &request.subject.body {
            Body::CloudWorkload(spec) if request.operation != Operation::Delete => {
                Some(placement::acceptance(spec, &self.regime, request.context, request.now))
            }
            _ => None,
        };
        let Some(rank) = self.judging_rank(request) else { return Verdict::default() };
        let entries: Vec<&Entry> = self
            .entries(rank, request.subject.kind, request.operation)
            .filter(|entry| self.applies(entry, request))
            .collect();
        let class = self.shown_class(request, rank);
        let notices = self.notices(request, declared.as_ref(), rank);
        let verdict = Verdict { class, notices, ..Verdict::default() };
        let change = match request.old.filter(|_| request.operation == Operation::Update) {
            Some(old) => {
                let controls: Vec<&'static Control> = entries.iter().map(|entry| entry.control).collect();
                change(old, request.subject, &controls)
            }
            None => Change::Whole,
        };
        if change == Change::Nothing {
            return Verdict { notices: Vec::new(), ..verdict };
        }
        let (mut findings, mut not_assessed, notices) =
            run(&entries, &self.case(request, request.subject, request.old, declared.as_ref()));
        let mut verdict = verdict;
        verdict.notices.extend(notices);
        match change {
            Change::ScaledUp => {
                findings.retain(|finding| is_of_standing(finding.control));
                not_assessed.retain(|unknown| is_of_standing(unknown.control));
            }
            Change::ByFinding if !findings.is_empty() => {
                if let Some(old) = request.old {
                    let mut forgiven = Forgiven::new(&self.findings_of_old(request, old, &entries));
                    findings.retain(|finding| !forgiven.take(finding));
                }
            }
            Change::ByFinding | Change::Whole | Change::Nothing => {}
        }
        self.weigh(request, &entries, findings, Verdict { not_assessed, ..verdict })
    }

    /// The class whose checks apply: the namespace's; of a declaration, the one that it names when that is higher; of a
    /// Namespace, that of its label. None where nothing is judged.
    fn judging_rank(&self, request: &Request<'_>) -> Option<usize> {
        let strictest = self.regime.classes.len().checked_sub(1)?;
        let of_standing = request.standing.governed().map(|governed| governed.rank);
        match &request.subject.body {
            Body::Namespace => Some(strictest),
            Body::CloudWorkload(spec) => Some(self.regime.rank(&spec.data_class).max(of_standing).unwrap_or(strictest)),
            _ => match request.standing {
                Standing::System => None,
                Standing::Undeclared | Standing::Pending(_) => Some(strictest),
                Standing::Governed(governed) => Some(governed.rank),
            },
        }
    }

    /// Before a class holds, only what speaks of the namespace applies.
    fn applies(&self, entry: &Entry, request: &Request<'_>) -> bool {
        match &request.subject.body {
            Body::Namespace | Body::CloudWorkload(_) => true,
            _ => request.standing.governed().is_some() || is_of_standing(entry.control.id),
        }
    }

    fn shown_class(&self, request: &Request<'_>, rank: usize) -> Option<String> {
        let has_class = match &request.subject.body {
            Body::CloudWorkload(spec) => self.regime.rank(&spec.data_class).is_some(),
            Body::Namespace => false,
            _ => request.standing.governed().is_some(),
        };
        has_class.then(|| self.regime.class_name(rank).to_owned())
    }

    fn case<'a>(
        &'a self,
        request: &Request<'a>,
        subject: &'a Subject,
        old: Option<&'a Subject>,
        declared: Option<&'a Acceptance>,
    ) -> Case<'a> {
        Case {
            operation: request.operation,
            subject,
            old,
            actor: request.actor,
            standing: request.standing,
            declared,
            pod_security: self.demanded_of_namespace(request, subject),
            regime: &self.regime,
            builds: false,
            context: request.context,
            now: request.now,
        }
    }

    fn demanded_of_namespace(&self, request: &Request<'_>, subject: &Subject) -> Option<PodSecurity> {
        let governed = request.standing.governed().filter(|_| matches!(subject.body, Body::Namespace))?;
        Some(self.pod_security(governed, self.regime.pod_security_minor))
    }

    /// What a change that changes nothing would bring.
    fn findings_of_old(&self, request: &Request<'_>, old: &Subject, entries: &[&Entry]) -> Vec<Finding> {
        let declared = match &old.body {
            Body::CloudWorkload(spec) => Some(placement::acceptance(spec, &self.regime, request.context, request.now)),
            _ => None,
        };
        run(entries, &self.case(request, old, Some(old), declared.as_ref())).0
    }

    /// Gives each finding its effect.
    fn weigh(&self, request: &Request<'_>, entries: &[&Entry], findings: Vec<Finding>, verdict: Verdict) -> Verdict {
        let mut verdict = verdict;
        for finding in findings {
            let Some(entry) = entries.iter().find(|entry| entry.control.id == finding.control) else { continue };
            let (effect, softened) = self.effect_of(request, entry, &finding, &mut verdict.wants);
            if effect != Effect::Disabled {
                verdict.outcomes.push(Outcome { finding, effect, softened });
            }
        }
        let deletion_denied = request.operation == Operation::Delete && verdict.denied();
        let namespace = &request.subject.metadata.namespace;
        if deletion_denied && request.context.namespace_going(namespace) == Lookup::Unknown {
            verdict.wants = Some(Want::NamespaceGoing);
        }
        verdict
    }

    fn effect_of(
        &self,
        request: &Request<'_>,
        entry: &Entry,
        finding: &Finding,
        wants: &mut Option<Want>,
    ) -> (Effect, Option<Softened>) {
        // Its levels have caps and grace in them already.
        if let (Body::Namespace, Some(governed)) = (&request.subject.body, request.standing.governed())
            && entry.control.id == SECURITY_ADMISSION_LABELS.id
        {
            return (self.effect(governed.rank, entry.control.id), None);
        }
        // Declarations and labels are what caps and grace rest on: nothing softens them.
        if matches!(request.subject.body, Body::CloudWorkload(_) | Body::Namespace) {
            return (entry.effect, None);
        }
        let governed = match request.standing {
            Standing::Undeclared => return (self.regime.undeclared, None),
            Standing::Governed(governed) => governed,
            Standing::System | Standing::Pending(_) => return (entry.effect, None),
        };
        let (effect, softened) = match &governed.cap {
            Some(cap) if cap.effect < entry.effect => (cap.effect, Some(Softened::Cap(cap.until))),
            _ => (entry.effect, None),
        };
        if effect < Effect::Deny {
            return (effect, softened);
        }
        match self.graced(request, governed, finding, wants) {
            Some(grace) => (Effect::Warn, Some(Softened::Grace(grace.until))),
            None => (effect, softened),
        }
    }

    /// The grace that covers a finding: of a Pod that a controller of the control plane makes for an owner that is
    /// older than what the finding rests on.
    fn graced(
        &self,
        request: &Request<'_>,
        governed: &Governed,
        finding: &Finding,
        wants: &mut Option<Want>,
    ) -> Option<Grace> {
        let recreated = request.subject.kind == Kind::Pod
            && request.operation == Operation::Create
            && request.actor.is_some_and(|actor| actor.control_plane);
        let owner = request.subject.metadata.controller().filter(|_| recreated)?;
        let grace = if is_of_standing(finding.control) { governed.suspension } else { governed.raise }?;
        match request.context.owner_created(&request.subject.metadata.namespace, owner) {
            Lookup::Found(created) => (created < grace.from).then_some(grace),
            Lookup::Absent => None,
            Lookup::Unknown => {
                *wants = Some(Want::OwnerCreated(owner.clone()));
                None
            }
        }
    }

    /// What the author of a declaration should know.
    fn notices(&self, request: &Request<'_>, declared: Option<&Acceptance>, rank: usize) -> Vec<String> {
        let Body::CloudWorkload(spec) = &request.subject.body else { return Vec::new() };
        if request.operation == Operation::Delete {
            return Vec::new();
        }
        let missing = declared.into_iter().flat_map(|acceptance| &acceptance.missing);
        let mut notices: Vec<String> = missing
            .map(|finding| format!("{}: {}; workloads are refused until then", finding.path, finding.message))
            .collect();
        let inert = inert_fields_of_cloud_workload(spec);
        notices.extend(inert.iter().map(|field| format!("{field} is not acted upon yet")));
        let namespace = &request.subject.metadata.namespace;
        let capped = super::governance::cap(&self.regime, namespace, request.now);
        let denies = |control: &Control| {
            let uncapped = capped.as_ref().is_none_or(|cap| cap.effect == Effect::Deny);
            uncapped && self.effect(rank, control.id) == Effect::Deny
        };
        if denies(&RESOURCE_BOUNDS)
            && let Some(params) = self.params(rank, RESOURCE_BOUNDS.id)
        {
            notices.extend(resource_bounds::build::beyond(params, spec.size.as_ref(), self.regime.class_name(rank)));
        }
        if request.operation == Operation::Create && denies(&DEFAULT_DENY) {
            notices.push(
                "running Pods lose every flow that spec.network doesn't name; a rollout cap delays that".to_owned(),
            );
        }
        notices
    }
}

fn run(entries: &[&Entry], case: &Case<'_>) -> (Vec<Finding>, Vec<NotAssessed>, Vec<String>) {
    let mut sink = Sink::new();
    let pod = case.subject.pod();
    for entry in entries {
        sink.begin(entry.control.id);
        match (entry.check, &pod) {
            (Ready::Pod(check), Some(pod)) => check(pod, &entry.params, &mut sink),
            (Ready::Pod(_), None) => {}
            (Ready::Case(check), _) => {
                check(
                    &Case { builds: builds(entry.effect, case.regime, case.standing), ..*case },
                    &entry.params,
                    &mut sink,
                );
            }
        }
    }
    sink.into_parts()
}

/// What a control builds is there only where it denies after caps.
fn builds(effect: Effect, regime: &Regime, standing: &Standing) -> bool {
    regime.builds && standing.governed().is_some_and(|governed| governed.capped(effect) == Effect::Deny)
}
