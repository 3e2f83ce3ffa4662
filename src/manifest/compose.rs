use std::borrow::Cow;
use std::collections::BTreeMap;

use granit_parser::{Event, ScalarStyle, Span, StructureStyle, Tag};

use super::error::{Fault, ReadErrorKind};
use super::mapping::Mapping;
use super::{Limits, Node, NodeKind, Place, scalar};

/// What a text has cost so far, all its documents together.
#[derive(Debug, Default)]
pub(super) struct Spent {
    nodes: usize,
    copied_bytes: usize,
}

impl Spent {
    /// Whether a bound for the whole text is passed: reading on is futile.
    pub(super) fn exhausts(&self, limits: &Limits) -> bool {
        self.nodes > limits.nodes || self.copied_bytes > limits.bytes
    }

    fn nodes(&mut self, count: usize, limits: &Limits, place: Place) -> Result<(), Fault> {
        self.nodes = self.nodes.saturating_add(count);
        if self.nodes > limits.nodes {
            return Err(limit(place, format!("more than {} values in one text: split it", limits.nodes)));
        }
        Ok(())
    }
}

/// Builds one document's nodes from the parser's events, with the open collections on a stack of its own: nothing here
/// recurses into text.
pub(super) struct Composer<'l> {
    text: &'l str,
    limits: &'l Limits,
    spent: &'l mut Spent,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Anchored>,
    copied: usize,
    root: Option<Node>,
}

struct Open {
    place: Place,
    anchor: usize,
    style: StructureStyle,
    collection: Collection,
}

enum Collection {
    Sequence(Vec<Node>),
    Mapping(Mapping, Pending),
}

/// What the next node in a mapping is.
enum Pending {
    Key,
    ValueOf(String, Place),
    Merged,
}

struct Anchored {
    node: Node,
    weight: Weight,
}

#[derive(Clone, Copy, Default)]
struct Weight {
    nodes: usize,
    bytes: usize,
    depth: usize,
}

impl<'l> Composer<'l> {
    pub(super) fn new(text: &'l str, limits: &'l Limits, spent: &'l mut Spent) -> Self {
        Self { text, limits, spent, open: Vec::new(), anchors: BTreeMap::new(), copied: 0, root: None }
    }

    pub(super) fn finish(self) -> Option<Node> {
        self.root
    }

    pub(super) fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Fault> {
        let place = Place::of(span.start);
        self.admit_tag(span)?;
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                if style == ScalarStyle::Plain {
                    self.admit_plain(&text, span)?;
                }
                self.scalar(text, style, anchor, tag.as_deref(), place)
            }
            Event::SequenceStart(style, anchor, _) => {
                let collection = Collection::Sequence(Vec::new());
                self.start(Open { place, anchor, style, collection })
            }
            Event::MappingStart(style, anchor, _) => {
                let collection = Collection::Mapping(Mapping::default(), Pending::Key);
                self.start(Open { place, anchor, style, collection })
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => self.alias(anchor, place),
            _ => Ok(()),
        }
    }

    fn scalar(
        &mut self,
        text: Cow<'_, str>,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        place: Place,
    ) -> Result<(), Fault> {
        let resolved = scalar::resolve(&text, style, tag, place)?;
        if !self.awaits_key() {
            self.spent.nodes(1, self.limits, place)?;
            let node = Node { place, kind: scalar::value(resolved, text.into_owned(), place)? };
            self.remember(anchor, &node)?;
            return self.attach(node);
        }
        if anchor != 0 {
            let kind = scalar::value(resolved, text.clone().into_owned(), place)?;
            self.remember(anchor, &Node { place, kind })?;
        }
        if scalar::is_merge(&text, style, tag) {
            self.expect_value(Pending::Merged);
            return Ok(());
        }
        let key = scalar::key(resolved, text.into_owned(), place)?;
        self.key(key, place)
    }

    /// Refuses what YAML 1.1 and 1.2 read differently between braces and brackets: `?x` is the key `x` to `kubectl` and
    /// the text `?x` to others, `x:}` the other way around.
    fn admit_plain(&self, text: &str, span: Span) -> Result<(), Fault> {
        if !matches!(self.open.last(), Some(Open { style: StructureStyle::Flow, .. })) {
            return Ok(());
        }
        let message = if text.starts_with('?') {
            "a '?' before text has two meanings here: quote the text, or put a space behind the '?'"
        } else if let [b':', b',' | b'[' | b']' | b'{' | b'}', ..] = self.behind(span) {
            "a ':' with no space behind it has two meanings here: put a space behind it, or quote the text"
        } else {
            return Ok(());
        };
        Err(Fault::new(ReadErrorKind::Syntax, Place::of(span.start), message))
    }

    /// Refuses a tag that ends at a comma, brace or bracket, which belong to it for YAML 1.1: in `{a: !x, b: 1}` other
    /// keys have values.
    fn admit_tag(&self, span: Span) -> Result<(), Fault> {
        let Some(tag) = span.tag_span() else { return Ok(()) };
        if let [b',' | b'[' | b']' | b'{' | b'}', ..] = self.behind(tag) {
            let message = "a tag with no space behind it has two meanings here: put a space behind it";
            return Err(Fault::new(ReadErrorKind::Syntax, Place::of(tag.start), message));
        }
        Ok(())
    }

    fn behind(&self, span: Span) -> &[u8] {
        span.end.byte_offset().and_then(|end| self.text.as_bytes().get(end..)).unwrap_or_default()
    }

    fn start(&mut self, open: Open) -> Result<(), Fault> {
        let place = open.place;
        if self.awaits_key() {
            return Err(no_key(place));
        }
        self.spent.nodes(1, self.limits, place)?;
        if self.open.len() >= self.limits.depth {
            return Err(too_deep(place, self.limits));
        }
        self.open.push(open);
        Ok(())
    }

    fn end(&mut self) -> Result<(), Fault> {
        let Some(Open { place, anchor, collection, .. }) = self.open.pop() else { return Ok(()) };
        let kind = match collection {
            Collection::Sequence(items) => NodeKind::Sequence(items),
            Collection::Mapping(mapping, _) => NodeKind::Mapping(mapping),
        };
        let node = Node { place, kind };
        self.remember(anchor, &node)?;
        self.attach(node)
    }

    fn alias(&mut self, anchor: usize, place: Place) -> Result<(), Fault> {
        // The parser knows an anchor from where it is written, this map from where its node ends.
        let Some(Anchored { node, weight }) = self.anchors.get(&anchor) else {
            return Err(Fault::new(ReadErrorKind::Value, place, "an anchor's value contains itself"));
        };
        if self.open.len().saturating_add(weight.depth) > self.limits.depth {
            return Err(too_deep(place, self.limits));
        }
        let (weight, awaits_key) = (*weight, self.awaits_key());
        let key = if awaits_key { scalar::key_of(&node.kind) } else { None };
        self.copy(weight, place)?;
        match (awaits_key, key) {
            (true, Some(key)) => self.key(key, place),
            (true, None) => Err(no_key(place)),
            (false, _) => {
                // Copied only now that the copy is accounted for.
                let Some(node) = self.anchors.get(&anchor).map(|anchored| anchored.node.clone()) else { return Ok(()) };
                self.attach(node)
            }
        }
    }

    fn attach(&mut self, node: Node) -> Result<(), Fault> {
        match self.open.last_mut().map(|open| &mut open.collection) {
            None => self.root = Some(node),
            Some(Collection::Sequence(items)) => items.push(node),
            Some(Collection::Mapping(mapping, pending)) => match std::mem::replace(pending, Pending::Key) {
                Pending::Key => {}
                Pending::ValueOf(key, place) => mapping.write(key, place, node),
                Pending::Merged => merge(mapping, node)?,
            },
        }
        Ok(())
    }

    fn key(&mut self, key: String, place: Place) -> Result<(), Fault> {
        if let Some(Collection::Mapping(mapping, _)) = self.open.last().map(|open| &open.collection) {
            mapping.admit(&key, place)?;
        }
        self.expect_value(Pending::ValueOf(key, place));
        Ok(())
    }

    fn awaits_key(&self) -> bool {
        matches!(self.open.last().map(|open| &open.collection), Some(Collection::Mapping(_, Pending::Key)))
    }

    fn expect_value(&mut self, of: Pending) {
        if let Some(Collection::Mapping(_, pending)) = self.open.last_mut().map(|open| &mut open.collection) {
            *pending = of;
        }
    }

    fn remember(&mut self, anchor: usize, node: &Node) -> Result<(), Fault> {
        if anchor == 0 {
            return Ok(());
        }
        let weight = weigh(node);
        self.copy(weight, node.place)?;
        self.anchors.insert(anchor, Anchored { node: node.clone(), weight });
        Ok(())
    }

    /// Accounts for a copy before it is made.
    fn copy(&mut self, weight: Weight, place: Place) -> Result<(), Fault> {
        self.copied = self.copied.saturating_add(weight.nodes);
        self.spent.copied_bytes = self.spent.copied_bytes.saturating_add(weight.bytes);
        if self.copied > self.limits.aliased {
            let message = format!("aliases copy more than {} values: write the document out", self.limits.aliased);
            return Err(limit(place, message));
        }
        if self.spent.copied_bytes > self.limits.bytes {
            let message = format!("aliases copy more than {} bytes: write the document out", self.limits.bytes);
            return Err(limit(place, message));
        }
        self.spent.nodes(weight.nodes, self.limits, place)
    }
}

fn merge(mapping: &mut Mapping, node: Node) -> Result<(), Fault> {
    let place = node.place;
    let wrong =
        || Fault::new(ReadErrorKind::Value, place, "a merge key (<<) takes a mapping or a sequence of mappings");
    match node.kind {
        NodeKind::Mapping(other) => mapping.merge(other),
        NodeKind::Sequence(items) => {
            // The first of several wins.
            for item in items.into_iter().rev() {
                let NodeKind::Mapping(other) = item.kind else { return Err(wrong()) };
                mapping.merge(other);
            }
        }
        _ => return Err(wrong()),
    }
    Ok(())
}

/// Recurses no deeper than [`Limits::depth`]: the node is built.
fn weigh(node: &Node) -> Weight {
    let mut weight = Weight { nodes: 1, bytes: 0, depth: 0 };
    let mut add = |below: Weight| {
        weight.nodes = weight.nodes.saturating_add(below.nodes);
        weight.bytes = weight.bytes.saturating_add(below.bytes);
        weight.depth = weight.depth.max(below.depth);
    };
    match &node.kind {
        NodeKind::String(text) => add(Weight { bytes: text.len(), ..Weight::default() }),
        NodeKind::Sequence(items) => {
            items.iter().map(weigh).for_each(&mut add);
            weight.depth = weight.depth.saturating_add(1);
        }
        NodeKind::Mapping(mapping) => {
            for entry in mapping.entries() {
                add(Weight { bytes: entry.key.len(), ..Weight::default() });
                add(weigh(&entry.value));
            }
            weight.depth = weight.depth.saturating_add(1);
        }
        NodeKind::Null | NodeKind::Bool(_) | NodeKind::Number(_) => {}
    }
    weight
}

fn no_key(place: Place) -> Fault {
    Fault::new(ReadErrorKind::Value, place, "JSON has no such key: write a string, a number or a boolean")
}

fn limit(place: Place, message: String) -> Fault {
    Fault::new(ReadErrorKind::Limit, place, message)
}

pub(super) fn too_deep(place: Place, limits: &Limits) -> Fault {
    limit(place, format!("nested deeper than {} levels: flatten it", limits.depth))
}
