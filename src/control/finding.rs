//! What a control says about an object.

use serde_json::Value;

use super::FieldPath;

/// A value longer than this many bytes (as JSON) is left out of answers.
const VALUE_LIMIT: usize = 256;

/// Characters of one warning: what the API server and kubectl show without cutting.
pub const WARNING_LENGTH: usize = 120;

/// One thing that a control demands and an object doesn't give.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Id of the control.
    pub control: &'static str,
    /// The field that is wrong or missing.
    pub path: FieldPath,
    /// The container that the path is in, by name; a comparison of two versions of a Pod goes by it, never by index.
    pub container: Option<String>,
    /// What was found there; absent fields are `null`. Of any length: see [`Finding::shown_value`].
    pub value: Value,
    /// What is wrong, without the path.
    pub message: String,
    /// What to do about it.
    pub fix: String,
}

impl Finding {
    /// A finding without container and value; the control is filled in by the [`Sink`].
    pub fn new(path: FieldPath, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { control: "", path, container: None, value: Value::Null, message: message.into(), fix: fix.into() }
    }

    /// Names the container that the path is in.
    #[must_use]
    pub fn container(mut self, name: &str) -> Self {
        self.container = Some(name.to_owned());
        self
    }

    /// Gives the value found, whole: two findings are compared by it.
    #[must_use]
    pub fn value(mut self, value: impl Into<Value>) -> Self {
        self.value = value.into();
        self
    }

    /// The value for answers and reports. What is too long to print is left out, since its path names it.
    pub fn shown_value(&self) -> Value {
        if self.value.to_string().len() > VALUE_LIMIT { Value::from("(long value)") } else { self.value.clone() }
    }
}

/// A control that could not be decided, and why. Never a pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAssessed {
    /// Id of the control.
    pub control: &'static str,
    /// What was missing.
    pub reason: String,
}

/// Where checks put what they find.
#[derive(Debug, Default)]
pub struct Sink {
    control: &'static str,
    findings: Vec<Finding>,
    not_assessed: Vec<NotAssessed>,
    notices: Vec<String>,
}

impl Sink {
    /// More findings of one object than this are dropped: one is enough to refuse it, and an object can be made to
    /// have a hundred thousand.
    const LIMIT: usize = 1_000;

    /// An empty sink.
    pub fn new() -> Self {
        Self::default()
    }

    /// Findings pushed from now on are this control's.
    pub fn begin(&mut self, control: &'static str) {
        self.control = control;
    }

    /// Reports a finding of the control that is being evaluated.
    pub fn push(&mut self, mut finding: Finding) {
        if self.findings.len() < Self::LIMIT {
            finding.control = self.control;
            self.findings.push(finding);
        }
    }

    /// Says that the control that is being evaluated can't be decided.
    pub fn not_assessed(&mut self, reason: impl Into<String>) {
        self.not_assessed.push(NotAssessed { control: self.control, reason: reason.into() });
    }

    /// Tells the author something that refuses nothing.
    pub fn notice(&mut self, text: impl Into<String>) {
        self.notices.push(text.into());
    }

    /// How many findings there are.
    pub fn len(&self) -> usize {
        self.findings.len()
    }

    /// True when nothing was found.
    pub fn is_empty(&self) -> bool {
        self.findings.is_empty()
    }

    /// Everything found, in the order in which it was found; what can't be decided; what the author is told.
    pub fn into_parts(self) -> (Vec<Finding>, Vec<NotAssessed>, Vec<String>) {
        (self.findings, self.not_assessed, self.notices)
    }
}
