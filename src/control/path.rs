//! The path of a field, as Kubernetes' `field.Path` prints it.

use std::borrow::Cow;
use std::fmt;

/// One step of a [`FieldPath`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// A named field.
    Field(Cow<'static, str>),
    /// An element of a list.
    Index(usize),
    /// A key of a map whose keys are data, such as a label: `metadata.labels[amanat.dev/data-class]`.
    Key(String),
}

/// Where in an object a finding points. The empty path is the object itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldPath(Vec<Segment>);

impl FieldPath {
    /// A path of plain fields from the root.
    pub fn of(fields: &'static [&'static str]) -> Self {
        Self(fields.iter().map(|field| Segment::Field(Cow::Borrowed(field))).collect())
    }

    /// This path, one named field deeper.
    #[must_use]
    pub fn field(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.0.push(Segment::Field(name.into()));
        self
    }

    /// This path, several named fields deeper.
    #[must_use]
    pub fn fields(mut self, names: &[&'static str]) -> Self {
        self.0.extend(names.iter().map(|name| Segment::Field(Cow::Borrowed(*name))));
        self
    }

    /// This path, one list element deeper.
    #[must_use]
    pub fn index(mut self, index: usize) -> Self {
        self.0.push(Segment::Index(index));
        self
    }

    /// This path, one map entry deeper.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.0.push(Segment::Key(key.into()));
        self
    }

    /// The steps from the root.
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// True for the path of the object itself.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Field(name) if position == 0 => write!(f, "{name}")?,
                Segment::Field(name) => write!(f, ".{name}")?,
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Key(key) => write!(f, "[{key}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_kubernetes_does() {
        let path = FieldPath::of(&["spec", "template"]).field("spec").field("containers").index(2).field("image");
        assert_eq!(path.to_string(), "spec.template.spec.containers[2].image");
        assert_eq!(
            FieldPath::of(&["metadata", "labels"]).key("amanat.dev/data-class").to_string(),
            "metadata.labels[amanat.dev/data-class]"
        );
        assert!(FieldPath::default().is_empty());
    }
}
