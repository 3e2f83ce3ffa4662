//! From the path of a field to its place in the text.

use crate::control::{FieldPath, Segment};
use crate::manifest::{Node, Place, Step};

/// Where a field stands; of one that is absent, the deepest parent that isn't.
pub fn locate(node: &Node, path: &FieldPath) -> Place {
    let steps: Vec<Step<'_>> = path.segments().iter().map(step).collect();
    node.locate(&steps)
}

fn step(segment: &Segment) -> Step<'_> {
    match segment {
        Segment::Field(name) => Step::Key(name),
        Segment::Key(key) => Step::Key(key),
        Segment::Index(index) => Step::Index(*index),
    }
}

/// The same for a path that is text already: `spec.sites[0].country`, `metadata.labels[amanat.dev/data-class]`.
pub fn locate_text(node: &Node, path: &str) -> Place {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        rest = match rest.strip_prefix('[').and_then(|inside| inside.split_once(']')) {
            Some((key, behind)) => {
                steps.push(key.parse().map_or(Step::Key(key), Step::Index));
                behind
            }
            None => {
                let name = rest.strip_prefix('.').unwrap_or(rest);
                let end = name.find(['.', '[']).unwrap_or(name.len());
                let (name, behind) = name.split_at_checked(end).unwrap_or((name, ""));
                steps.push(Step::Key(name));
                // A bracket that doesn't close is no step, and must not be read for ever.
                if behind.starts_with('[') && !behind.contains(']') { "" } else { behind }
            }
        };
    }
    node.locate(&steps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Limits, read};

    #[test]
    fn an_absent_field_stands_at_its_deepest_parent() {
        let text = "metadata:\n  labels: {a.b/c: d}\nspec:\n  containers:\n  - name: app\n    image: x\n";
        let (documents, _) = read(text, &Limits::default());
        let at = |path: &str| locate_text(&documents[0].root, path).to_string();
        assert_eq!(at("spec.containers[0].image"), "6:5");
        assert_eq!(at("spec.containers[0].securityContext.runAsNonRoot"), "5:5");
        assert_eq!(at("spec.containers[7]"), "4:3");
        assert_eq!(at("metadata.labels[a.b/c]"), "2:12");
        assert_eq!(at(""), "1:1");
        for path in ["[", "a[", "]", "..", "[]", "spec..[0", "spec.[0]"] {
            at(path);
        }
        let path = FieldPath::of(&["metadata", "labels"]).key("a.b/c");
        assert_eq!(locate(&documents[0].root, &path).to_string(), "2:12");
    }
}
