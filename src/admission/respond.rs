//! The answer: an AdmissionReview with the request's uid.

use std::borrow::Cow;
use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use serde::Serialize;

use super::envelope::{API_VERSION, Request};
use crate::api::{Effect, Invalid};
use crate::control::{Regime, Supplied, WARNING_LENGTH};
use crate::engine::Verdict;
use crate::report::{denial, shorten};

/// Bytes of an audit annotation's list of controls.
const CONTROLS_LENGTH: usize = 1_000;
/// Causes of a denial; an object can be made to have a thousand.
const CAUSES: usize = 100;

/// What was decided: a bounded label of metrics, logs and the audit annotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Nothing was found.
    Allowed,
    /// Something was found that warns or is only counted.
    Warned,
    /// Refused.
    Denied,
    /// No control judges this.
    NotJudged,
    /// What the Pod lacked was filled in.
    Supplied,
    /// The cluster's own namespaces are reported, not blocked.
    System,
    /// A static Pod that the kubelet shows: it runs whatever is answered.
    MirrorPod,
    /// The object doesn't decode as its kind.
    Undecodable,
    /// The decision panicked.
    Panicked,
    /// Nobody can say yet.
    Unavailable,
}

impl Decision {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Warned => "warned",
            Self::Denied => "denied",
            Self::NotJudged => "not-judged",
            Self::Supplied => "supplied",
            Self::System => "system",
            Self::MirrorPod => "mirror-pod",
            Self::Undecodable => "undecodable",
            Self::Panicked => "panicked",
            Self::Unavailable => "unavailable",
        }
    }
}

/// An answer, before it is bound to a request.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) decision: Decision,
    refusal: Option<Refusal>,
    patch: Option<ByteString>,
    warnings: Vec<String>,
    class: Option<String>,
    baseline: Option<String>,
    controls: String,
}

#[derive(Debug)]
struct Refusal {
    code: u16,
    reason: &'static str,
    message: String,
    causes: Vec<Cause>,
}

#[derive(Debug, Serialize)]
struct Cause {
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: Cow<'static, str>,
    #[serde(skip_serializing_if = "String::is_empty")]
    field: String,
    message: String,
}

impl Answer {
    /// Admitted without being judged.
    pub(super) fn passed(decision: Decision) -> Self {
        Self {
            decision,
            refusal: None,
            patch: None,
            warnings: Vec::new(),
            class: None,
            baseline: None,
            controls: String::new(),
        }
    }

    /// Admitted as far as supplying goes, with what was filled in.
    pub(super) fn supplied(supplied: &Supplied) -> Self {
        if supplied.edits.is_empty() {
            return Self::passed(Decision::Allowed);
        }
        // A patch of strings, numbers and maps with string keys always serializes.
        let patch = serde_json::to_vec(&supplied.edits).ok().map(ByteString);
        Self { patch, ..Self::passed(Decision::Supplied) }
    }

    /// Admitted, and the author is told something.
    pub(super) fn warned(warnings: Vec<String>) -> Self {
        let decision = if warnings.is_empty() { Decision::Allowed } else { Decision::Warned };
        Self {
            warnings: warnings.iter().map(|warning| shorten(warning, WARNING_LENGTH)).collect(),
            ..Self::passed(decision)
        }
    }

    /// What the engine says.
    pub(super) fn of(verdict: &Verdict, regime: &Regime) -> Self {
        let refusal = verdict.denied().then(|| Refusal::forbidden(denial::message(verdict), causes(verdict)));
        let decision = match &refusal {
            Some(_) => Decision::Denied,
            None if verdict.outcomes.is_empty() && verdict.not_assessed.is_empty() => Decision::Allowed,
            None => Decision::Warned,
        };
        Self {
            decision,
            refusal,
            patch: None,
            warnings: denial::warnings(verdict),
            class: verdict.class.clone(),
            baseline: Some(format!("{}@{}", regime.baseline, regime.version)),
            controls: controls(verdict),
        }
    }

    /// The same, admitted for a reason that the decision names.
    pub(super) fn admitted_as(self, decision: Decision) -> Self {
        Self { decision, refusal: None, ..self }
    }

    /// Refused for what is wrong with the object itself.
    pub(super) fn invalid(message: String, invalid: &[Invalid]) -> Self {
        let cause = |invalid: &Invalid| Cause {
            reason: Cow::Borrowed("FieldValueInvalid"),
            field: invalid.path.clone(),
            message: invalid.message.clone(),
        };
        let causes = invalid.iter().take(CAUSES).map(cause).collect();
        Self { refusal: Some(Refusal::forbidden(message, causes)), ..Self::passed(Decision::Denied) }
    }

    /// Refused without a look at fields.
    pub(super) fn forbidden(message: String) -> Self {
        Self { refusal: Some(Refusal::forbidden(message, Vec::new())), ..Self::passed(Decision::Denied) }
    }

    /// Refused because the object can't be read as what it says it is.
    pub(super) fn undecodable(message: String) -> Self {
        let refusal = Refusal { code: 422, reason: "Invalid", message, causes: Vec::new() };
        Self { refusal: Some(refusal), ..Self::passed(Decision::Undecodable) }
    }

    /// Refused because the decision failed.
    pub(super) fn panicked() -> Self {
        let message = "Amanat failed while it judged this request and refuses it; its log says where";
        let refusal = Refusal { code: 500, reason: "InternalError", message: message.to_owned(), causes: Vec::new() };
        Self { refusal: Some(refusal), ..Self::passed(Decision::Panicked) }
    }

    /// Adds what the author should know.
    pub(super) fn with_warning(mut self, warning: &str) -> Self {
        self.warnings.push(shorten(warning, WARNING_LENGTH));
        self
    }

    /// True when the request is admitted.
    pub(super) fn allowed(&self) -> bool {
        self.refusal.is_none()
    }

    /// The controls that found something, with their effects.
    pub(super) fn controls(&self) -> &str {
        &self.controls
    }

    /// The body of the answer to a request.
    pub(super) fn body(&self, request: &Request<'_>) -> Vec<u8> {
        let status = self.refusal.as_ref().map(|refusal| Status {
            status: "Failure",
            code: refusal.code,
            reason: refusal.reason,
            message: &refusal.message,
            details: Details {
                name: &request.name,
                group: &request.resource.group,
                kind: &request.resource.resource,
                causes: &refusal.causes,
            },
        });
        let review = Review {
            api_version: API_VERSION,
            kind: "AdmissionReview",
            response: Response {
                uid: &request.uid,
                allowed: self.allowed(),
                status,
                patch_type: self.patch.as_ref().map(|_| "JSONPatch"),
                patch: self.patch.as_ref(),
                warnings: &self.warnings,
                audit_annotations: Annotations {
                    decision: self.decision.as_str(),
                    class: self.class.as_deref(),
                    baseline: self.baseline.as_deref(),
                    controls: &self.controls,
                },
            },
        };
        // Most answers fit in, so that the buffer need not grow.
        let mut body = Vec::with_capacity(512);
        match serde_json::to_writer(&mut body, &review) {
            Ok(()) => body,
            Err(_) => Vec::new(),
        }
    }
}

impl Refusal {
    fn forbidden(message: String, causes: Vec<Cause>) -> Self {
        Self { code: 403, reason: "Forbidden", message, causes }
    }
}

fn causes(verdict: &Verdict) -> Vec<Cause> {
    let controls = verdict.with(Effect::Deny).map(|outcome| outcome.finding.control);
    let cause = |(control, cause): (&'static str, denial::Cause)| Cause {
        reason: Cow::Borrowed(control),
        field: cause.field,
        message: cause.message,
    };
    controls.zip(denial::causes(verdict)).take(CAUSES).map(cause).collect()
}

/// `image/digest-pinned=Deny,pod/privileged=Warn`, each control once, with its strictest effect.
fn controls(verdict: &Verdict) -> String {
    let mut strictest: BTreeMap<&str, Effect> = BTreeMap::new();
    for outcome in &verdict.outcomes {
        let effect = strictest.entry(outcome.finding.control).or_default();
        *effect = (*effect).max(outcome.effect);
    }
    let found = strictest.into_iter().map(|(control, effect)| format!("{control}={effect}"));
    let unknown = verdict.not_assessed.iter().map(|unknown| format!("{}=NotAssessable", unknown.control));
    let mut list = String::new();
    for item in found.chain(unknown) {
        if list.len() + item.len() + 2 > CONTROLS_LENGTH {
            list.push_str(",…");
            break;
        }
        if !list.is_empty() {
            list.push(',');
        }
        list.push_str(&item);
    }
    list
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Review<'a> {
    api_version: &'a str,
    kind: &'a str,
    response: Response<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    uid: &'a str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<&'a ByteString>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    warnings: &'a [String],
    audit_annotations: Annotations<'a>,
}

#[derive(Serialize)]
struct Annotations<'a> {
    decision: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    baseline: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    controls: &'a str,
}

#[derive(Serialize)]
struct Status<'a> {
    status: &'a str,
    code: u16,
    reason: &'a str,
    message: &'a str,
    details: Details<'a>,
}

#[derive(Serialize)]
struct Details<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    group: &'a str,
    kind: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    causes: &'a [Cause],
}
