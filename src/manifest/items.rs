use serde_json::Value;

use super::{Document, Node, NodeKind};

/// An object of a document: the document itself, or an item of the List it is.
#[derive(Debug, Clone, Copy)]
pub struct Item<'a> {
    /// Index of the document, from 0.
    pub document: usize,
    /// Index in the List, from 0; for a List in a List that of the outermost.
    pub item: Option<usize>,
    /// The object.
    pub node: &'a Node,
    list: Option<&'a Node>,
}

impl Item<'_> {
    /// The object as a JSON value. An item of a typed List (`PodList`) that has neither apiVersion nor kind gets the
    /// List's, as `kubectl` gives it.
    pub fn to_value(&self) -> Value {
        let mut value = self.node.to_value();
        let Some(list) = self.list else { return value };
        let Value::Object(object) = &mut value else { return value };
        let named = |key: &str| self.node.get(key).and_then(Node::as_str).is_some_and(|text| !text.is_empty());
        if named("apiVersion") || named("kind") {
            return value;
        }
        if let Some(version) = list.get("apiVersion").and_then(Node::as_str) {
            object.insert("apiVersion".into(), version.into());
        }
        if let Some(kind) = list.get("kind").and_then(Node::as_str) {
            object.insert("kind".into(), kind.strip_suffix("List").unwrap_or(kind).into());
        }
        value
    }
}

/// The objects of a document: a List's items, however deep Lists nest, else the document's root. As for `kubectl`, what
/// has a sequence `items` at its top is a List whatever kind it names: a Pod behind `kind: Anything` doesn't go unseen.
pub fn items(document: &Document) -> Vec<Item<'_>> {
    let mut found = Vec::new();
    expand(Item { document: document.index, item: None, node: &document.root, list: None }, &mut found);
    found
}

/// Recurses no deeper than the document nests, which [`Limits::depth`](super::Limits::depth) bounds.
fn expand<'a>(at: Item<'a>, found: &mut Vec<Item<'a>>) {
    let Some(NodeKind::Sequence(items)) = at.node.get("items").map(Node::kind) else {
        found.push(at);
        return;
    };
    for (index, node) in items.iter().enumerate() {
        expand(Item { item: at.item.or(Some(index)), node, list: Some(at.node), ..at }, found);
    }
}
