use serde_json::{Map, Number, Value};

use super::Place;
use super::mapping::Mapping;

/// A value of a manifest and where it stands. What an alias or a merge key brings stands where it was written first.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub(super) place: Place,
    pub(super) kind: NodeKind,
}

/// What a [`Node`] holds.
#[derive(Debug, Clone, PartialEq)]
pub enum NodeKind {
    /// `null`, `~` or nothing.
    Null,
    /// A boolean.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A string.
    String(String),
    /// A sequence.
    Sequence(Vec<Node>),
    /// A mapping.
    Mapping(Mapping),
}

/// One step from a node to one below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// The value under a key.
    Key(&'a str),
    /// An item of a sequence, from 0.
    Index(usize),
}

impl Node {
    /// Where the node begins.
    pub fn place(&self) -> Place {
        self.place
    }

    /// What the node holds.
    pub fn kind(&self) -> &NodeKind {
        &self.kind
    }

    /// The value under `key`, if the node is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.kind {
            NodeKind::Mapping(mapping) => mapping.entry(key).map(|entry| &entry.value),
            _ => None,
        }
    }

    /// The item at `index`, if the node is a sequence that has it.
    pub fn index(&self, index: usize) -> Option<&Node> {
        self.as_sequence()?.get(index)
    }

    /// The text, if the node is a string.
    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            NodeKind::String(text) => Some(text),
            _ => None,
        }
    }

    /// The items, if the node is a sequence.
    pub fn as_sequence(&self) -> Option<&[Node]> {
        match &self.kind {
            NodeKind::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// Keys, their places and values in the order written; nothing if the node is no mapping.
    pub fn entries(&self) -> impl Iterator<Item = (&str, Place, &Node)> {
        let entries = match &self.kind {
            NodeKind::Mapping(mapping) => mapping.entries(),
            _ => &[],
        };
        entries.iter().map(|entry| (entry.key.as_str(), entry.place, &entry.value))
    }

    /// Whether the node is a mapping.
    pub fn is_mapping(&self) -> bool {
        matches!(self.kind, NodeKind::Mapping(_))
    }

    /// Whether the node is null.
    pub fn is_null(&self) -> bool {
        matches!(self.kind, NodeKind::Null)
    }

    /// The node as a JSON value.
    pub fn to_value(&self) -> Value {
        match &self.kind {
            NodeKind::Null => Value::Null,
            NodeKind::Bool(value) => Value::Bool(*value),
            NodeKind::Number(number) => Value::Number(number.clone()),
            NodeKind::String(text) => Value::String(text.clone()),
            NodeKind::Sequence(items) => items.iter().map(Node::to_value).collect(),
            NodeKind::Mapping(mapping) => {
                let pairs = mapping.entries().iter().map(|entry| (entry.key.clone(), entry.value.to_value()));
                Value::Object(pairs.collect::<Map<_, _>>())
            }
        }
    }

    /// Where `path` leads: the key of a mapping's entry, the item of a sequence; where the path stops existing, the
    /// place of the deepest step that does.
    pub fn locate(&self, path: &[Step<'_>]) -> Place {
        let mut node = self;
        let mut place = self.place;
        for step in path {
            match (step, &node.kind) {
                (Step::Key(key), NodeKind::Mapping(mapping)) => {
                    let Some(entry) = mapping.entry(key) else { return place };
                    place = entry.place;
                    node = &entry.value;
                }
                (Step::Index(index), NodeKind::Sequence(items)) => {
                    let Some(item) = items.get(*index) else { return place };
                    place = item.place;
                    node = item;
                }
                _ => return place,
            }
        }
        place
    }
}
