use granit_parser::{ErrorKind, Event, Options, Parser, ScanError, StrInput};

use super::compose::{Composer, Spent, too_deep};
use super::error::{Fault, ReadErrorKind};
use super::{Limits, Node, Place, ReadError};

/// A document that holds something.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Index among the documents that hold something, unreadable ones among them, from 0.
    pub index: usize,
    /// What it holds; never null.
    pub root: Node,
}

/// Reads a stream of YAML documents, or JSON. Documents after a broken one are read where their beginning can be found,
/// so both lists may hold something. Documents of comments only, or null, don't count.
pub fn read(text: &str, limits: &Limits) -> (Vec<Document>, Vec<ReadError>) {
    if let Err(fault) = admit(text, limits) {
        return (Vec::new(), vec![fault.in_document(0)]);
    }
    let mut parser = Parser::new_from_str_with_options(text, options(limits));
    let mut spent = Spent::default();
    let (mut documents, mut errors) = (Vec::new(), Vec::new());
    let mut index: usize = 0;
    for first in std::iter::once(true).chain(std::iter::repeat(false)) {
        match next_root(text, &mut parser, first, limits, &mut spent) {
            Ok(None) => break,
            Ok(Some(root)) if root.is_null() => continue,
            Ok(Some(root)) if index < limits.documents => documents.push(Document { index, root }),
            Ok(Some(root)) => {
                let message = format!("more than {} documents in one text: split it", limits.documents);
                errors.push(Fault::new(ReadErrorKind::Limit, root.place, message).in_document(index));
                break;
            }
            Err(fault) => {
                errors.push(fault.in_document(index));
                let on = index < limits.documents && !spent.exhausts(limits);
                if !on || !matches!(parser.proceed_next_document(), Ok(true)) {
                    break;
                }
            }
        }
        index = index.saturating_add(1);
    }
    (documents, errors)
}

/// [`read`] for bytes: text that isn't UTF-8 is one error.
pub fn read_bytes(bytes: &[u8], limits: &Limits) -> (Vec<Document>, Vec<ReadError>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => read(text, limits),
        Err(error) => {
            let before = bytes.get(..error.valid_up_to()).and_then(|valid| std::str::from_utf8(valid).ok());
            let place = Place::after(before.unwrap_or_default());
            let fault = Fault::new(ReadErrorKind::Encoding, place, "not UTF-8: save the text as UTF-8");
            (Vec::new(), vec![fault.in_document(0)])
        }
    }
}

fn options(limits: &Limits) -> Options {
    let mut options = granit_parser::options! {
        // kubectl refuses directives: it cuts the stream at `---` before it parses.
        disallow_directives: true,
        flow_nesting_limit: limits.depth,
        block_nesting_limit: limits.depth,
    };
    options.set_emit_comments(false);
    options
}

fn admit(text: &str, limits: &Limits) -> Result<(), Fault> {
    if text.len() > limits.bytes {
        let message = format!("{} bytes, more than the {} that are read: split it", text.len(), limits.bytes);
        return Err(Fault::new(ReadErrorKind::Limit, Place::START, message));
    }
    let Some(at) = divisive(text) else { return Ok(()) };
    let (before, rest) = text.split_at_checked(at).unwrap_or_default();
    let name = rest.chars().next().unwrap_or_default().escape_unicode();
    let message = format!("the character {name} is read differently by different readers: remove or escape it");
    Err(Fault::new(ReadErrorKind::Encoding, Place::after(before), message))
}

/// Where the first character stands that readers disagree on. Go's reader takes U+0085, U+2028 and U+2029 for line
/// breaks, so a key could hide from others in a comment; a carriage return alone ends a line for the parser, but not
/// for what cuts the stream into documents; a byte order mark within the text is a part of the
/// key behind it for some; so NUL ends the text; `kubectl` passes over any white space before JSON.
fn divisive(text: &str) -> Option<usize> {
    let json = text.trim_start();
    let lead = if json.starts_with('{') { text.len().saturating_sub(json.len()) } else { 0 };
    let bytes = text.as_bytes();
    text.char_indices()
        .find(|(at, found)| match found {
            '\0' | '\u{85}' | '\u{2028}' | '\u{2029}' => true,
            '\r' => at.checked_add(1).and_then(|next| bytes.get(next)) != Some(&b'\n'),
            '\u{feff}' => at.checked_sub(1).and_then(|before| bytes.get(before)) == Some(&b'\n'),
            ' ' | '\t' | '\n' => false,
            _ => *at < lead,
        })
        .map(|(at, _)| at)
}

/// The next document's root, `None` at the end of the text.
fn next_root<'t>(
    text: &'t str,
    parser: &mut Parser<'t, StrInput<'t>>,
    first: bool,
    limits: &Limits,
    spent: &mut Spent,
) -> Result<Option<Node>, Fault> {
    let mut composer = Composer::new(text, limits, spent);
    while let Some(next) = parser.next_event() {
        let (event, span) = next.map_err(|error| fault(&error, limits))?;
        match event {
            Event::StreamEnd => return Ok(None),
            Event::DocumentStart(false, _) if !first => {
                let message = "kubectl reads nothing behind '...': begin the document with '---'";
                return Err(Fault::new(ReadErrorKind::Syntax, Place::of(span.start), message));
            }
            Event::DocumentEnd => return Ok(composer.finish()),
            event => composer.event(event, span)?,
        }
    }
    Ok(None)
}

fn fault(error: &ScanError, limits: &Limits) -> Fault {
    let place = Place::of(*error.marker());
    match error.kind() {
        ErrorKind::RecursionLimitExceeded => too_deep(place, limits),
        kind => Fault::new(ReadErrorKind::Syntax, place, kind.to_string()),
    }
}
