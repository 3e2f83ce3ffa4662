//! Parameters of controls: declared by the control, set by a baseline, parsed and checked when a baseline is compiled,
//! never per request. Each declares which of two values is the stricter, so that joining baselines can only tighten.

use std::collections::BTreeMap;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::bounds::{self, Bound, Bounds};

/// What a parameter is and which values are stricter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamKind {
    /// A list of what is allowed; fewer is stricter. Absent: anything is.
    Allowed,
    /// A list of what is granted; fewer is stricter. Absent: nothing is.
    Granted,
    /// A list of registry or repository prefixes that are allowed; fewer and longer are stricter.
    Registries,
    /// A list of registry or repository prefixes whose images are excepted; fewer and longer are stricter. Absent: none
    /// is.
    Images,
    /// A list of granted networks in CIDR notation; fewer is stricter. Absent: none is.
    Networks,
    /// A list of granted peers: `{namespace, podLabels, ports: [{port, protocol}]}`; fewer is stricter. Absent: none is.
    Peers,
    /// A whole number from the first to the second bound; higher is stricter.
    AtLeast(i64, i64),
    /// A whole number from the first to the second bound; lower is stricter. Absent: none is too much.
    AtMost(i64, i64),
    /// Quantities of these resources that may not be exceeded; lower and more are stricter. Absent: none is bounded.
    Ceilings(&'static [&'static str]),
    /// Quantities of these resources that are given to what asks for none; lower and fewer are stricter. Absent: nothing
    /// is given.
    Supplies(&'static [&'static str]),
    /// A word of the list, which goes from the most lenient to the strictest. Absent: the strictest.
    Choice(&'static [&'static str]),
}

/// The declaration of a parameter.
#[derive(Clone, Copy, Debug)]
pub struct ParamSpec {
    /// Its name, as in `spec.controls[].params`.
    pub name: &'static str,
    /// What it is.
    pub kind: ParamKind,
    /// Without a value the control can't be decided, and a cluster's baseline doesn't compile.
    pub required: bool,
    /// What it means, one sentence.
    pub doc: &'static str,
}

/// Pods that a built policy names, and the ports.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Peer {
    /// The namespace, by its immutable name label.
    pub namespace: String,
    /// Labels of the Pods; none means every Pod of the namespace.
    #[serde(default)]
    pub pod_labels: BTreeMap<String, String>,
    /// Ports; none means every port.
    #[serde(default)]
    pub ports: Vec<PeerPort>,
}

/// One port of a [`Peer`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerPort {
    /// The number.
    pub port: u16,
    /// `TCP`, `UDP` or `SCTP`; TCP when absent.
    #[serde(default = "tcp")]
    pub protocol: String,
}

fn tcp() -> String {
    "TCP".to_owned()
}

/// A checked value.
#[derive(Clone, Debug, PartialEq)]
pub enum ParamValue {
    /// Of [`ParamKind::Allowed`], [`ParamKind::Granted`], [`ParamKind::Registries`] and [`ParamKind::Images`]; sorted.
    Strings(Vec<String>),
    /// Of [`ParamKind::Networks`]; sorted.
    Networks(Vec<IpNet>),
    /// Of [`ParamKind::Peers`]; sorted.
    Peers(Vec<Peer>),
    /// Of [`ParamKind::AtLeast`] and [`ParamKind::AtMost`].
    Int(i64),
    /// Of [`ParamKind::Ceilings`] and [`ParamKind::Supplies`].
    Bounds(Bounds),
    /// Of [`ParamKind::Choice`]: the place in the list, and the word.
    Choice(usize, &'static str),
}

/// The most elements that a list may have.
const MAX_ITEMS: usize = 256;

impl ParamSpec {
    /// Checks a value.
    ///
    /// # Errors
    /// Says what the parameter wants, and what was found.
    pub fn parse(&self, value: &Value) -> Result<ParamValue, String> {
        let wants = |what: String| format!("{} wants {what}, found {value}", self.name);
        match self.kind {
            ParamKind::Allowed | ParamKind::Granted => {
                let name = |item: &str| (!item.is_empty() && item.len() <= 253).then(|| item.to_owned());
                self.list(value, name, "names").map(ParamValue::Strings)
            }
            ParamKind::Registries | ParamKind::Images => self
                .list(value, registry_prefix, "registry prefixes such as registry.example.org/team")
                .map(ParamValue::Strings),
            ParamKind::Networks => {
                self.list(value, |item| item.parse().ok(), "networks such as 10.0.0.0/8").map(ParamValue::Networks)
            }
            ParamKind::Peers => {
                let mut peers: Vec<Peer> = serde_json::from_value(value.clone())
                    .map_err(|error| wants(format!("a list of {{namespace, podLabels, ports}} ({error})")))?;
                if peers.len() > MAX_ITEMS {
                    return Err(wants(format!("at most {MAX_ITEMS} peers")));
                }
                peers.sort();
                peers.dedup();
                Ok(ParamValue::Peers(peers))
            }
            ParamKind::AtLeast(low, high) | ParamKind::AtMost(low, high) => match value.as_i64() {
                Some(number) if (low..=high).contains(&number) => Ok(ParamValue::Int(number)),
                _ => Err(wants(format!("a whole number from {low} to {high}"))),
            },
            ParamKind::Ceilings(resources) => {
                bounds::read(resources, false, value).map(ParamValue::Bounds).map_err(wants)
            }
            ParamKind::Supplies(resources) => {
                bounds::read(resources, true, value).map(ParamValue::Bounds).map_err(wants)
            }
            ParamKind::Choice(words) => words
                .iter()
                .enumerate()
                .find(|(_, word)| value.as_str() == Some(word))
                .map(|(rank, word)| ParamValue::Choice(rank, word))
                .ok_or_else(|| wants(format!("one of {}", words.join(", ")))),
        }
    }

    /// True when no value is stricter than having none.
    pub fn absent_is_strictest(&self) -> bool {
        matches!(
            self.kind,
            ParamKind::Granted
                | ParamKind::Images
                | ParamKind::Networks
                | ParamKind::Peers
                | ParamKind::Supplies(_)
                | ParamKind::Choice(_)
        )
    }

    /// True when its words are prefixes of what they stand for.
    pub(super) fn has_prefixes(&self) -> bool {
        matches!(self.kind, ParamKind::Registries | ParamKind::Images)
    }

    fn list<T: Ord>(&self, value: &Value, read: impl Fn(&str) -> Option<T>, what: &str) -> Result<Vec<T>, String> {
        let items = value
            .as_array()
            .filter(|list| list.len() <= MAX_ITEMS)
            .and_then(|list| list.iter().map(|item| item.as_str().and_then(&read)).collect::<Option<Vec<T>>>());
        let mut items = items.ok_or_else(|| format!("{} wants a list of {what}, found {value}", self.name))?;
        items.sort();
        items.dedup();
        Ok(items)
    }

    /// The stricter of two values of this parameter: what both allow, and all that either demands.
    pub fn stricter(&self, a: &ParamValue, b: &ParamValue) -> ParamValue {
        match (a, b) {
            (ParamValue::Strings(a), ParamValue::Strings(b)) if self.has_prefixes() => {
                ParamValue::Strings(common_prefixes(a, b))
            }
            (ParamValue::Strings(a), ParamValue::Strings(b)) => ParamValue::Strings(both(a, b)),
            (ParamValue::Networks(a), ParamValue::Networks(b)) => {
                let inside = |these: &[IpNet], those: &[IpNet]| -> Vec<IpNet> {
                    these.iter().filter(|net| those.iter().any(|other| other.contains(*net))).copied().collect()
                };
                let mut networks = inside(a, b);
                networks.extend(inside(b, a));
                networks.sort();
                networks.dedup();
                ParamValue::Networks(networks)
            }
            (ParamValue::Peers(a), ParamValue::Peers(b)) => ParamValue::Peers(both(a, b)),
            (ParamValue::Int(a), ParamValue::Int(b)) => {
                let lower = matches!(self.kind, ParamKind::AtMost(..));
                ParamValue::Int(if lower { *a.min(b) } else { *a.max(b) })
            }
            (ParamValue::Bounds(a), ParamValue::Bounds(b)) => {
                let both_only = matches!(self.kind, ParamKind::Supplies(_));
                ParamValue::Bounds(if both_only { bounds::common(a, b) } else { bounds::all(a, b) })
            }
            (ParamValue::Choice(rank_a, _), ParamValue::Choice(rank_b, _)) => {
                if rank_a >= rank_b {
                    a.clone()
                } else {
                    b.clone()
                }
            }
            // Two values of one parameter are of one kind: both come from `parse`.
            _ => a.clone(),
        }
    }
}

fn both<T: Clone + PartialEq>(a: &[T], b: &[T]) -> Vec<T> {
    a.iter().filter(|item| b.contains(item)).cloned().collect()
}

/// Of two lists of prefixes, those within a prefix of the other list.
fn common_prefixes(a: &[String], b: &[String]) -> Vec<String> {
    let inside = |these: &[String], those: &[String]| -> Vec<String> {
        these.iter().filter(|prefix| those.iter().any(|other| is_within(prefix, other))).cloned().collect()
    };
    let mut prefixes = inside(a, b);
    prefixes.extend(inside(b, a));
    prefixes.sort();
    prefixes.dedup();
    prefixes
}

/// True when a repository is the prefix or below it, by whole path segments: `registry.io` does not hold
/// `registry.io.evil.com`.
pub fn is_within(repository: &str, prefix: &str) -> bool {
    repository.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A host, optionally with a port and a path; no scheme, no tag. A first part that can be no host is a repository of
/// Docker Hub, as in an image reference, so that `team` never means a host `team`.
fn registry_prefix(text: &str) -> Option<String> {
    let text = text.strip_suffix('/').unwrap_or(text);
    let (host, path) = text.split_once('/').map_or((text, None), |(host, path)| (host, Some(path)));
    let path_char = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '_');
    let is_path = |path: &str| path.split('/').all(|part| !part.is_empty() && part.chars().all(path_char));
    if text.is_empty() || text.len() > 255 || !path.is_none_or(is_path) {
        return None;
    }
    if !host.contains(['.', ':']) && host != "localhost" {
        return is_path(text).then(|| format!("docker.io/{text}"));
    }
    let (name, port) = host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port)));
    let valid = name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-')
        && port.is_none_or(|port| port.parse::<u16>().is_ok());
    valid.then(|| format!("{}{}", host.to_ascii_lowercase(), path.map(|path| format!("/{path}")).unwrap_or_default()))
}

/// The checked parameters of one control for one class.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Params(Vec<(&'static str, ParamValue)>);

impl Params {
    /// Sets a value.
    pub fn set(&mut self, name: &'static str, value: ParamValue) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }

    /// A value, when the baseline sets it.
    pub fn get(&self, name: &str) -> Option<&ParamValue> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// A list of words, when the baseline sets it.
    pub fn strings(&self, name: &str) -> Option<&[String]> {
        match self.get(name)? {
            ParamValue::Strings(items) => Some(items),
            _ => None,
        }
    }

    /// A list of networks; empty when the baseline doesn't set it.
    pub fn networks(&self, name: &str) -> &[IpNet] {
        match self.get(name) {
            Some(ParamValue::Networks(networks)) => networks,
            _ => &[],
        }
    }

    /// A list of peers; empty when the baseline doesn't set it.
    pub fn peers(&self, name: &str) -> &[Peer] {
        match self.get(name) {
            Some(ParamValue::Peers(peers)) => peers,
            _ => &[],
        }
    }

    /// A number, when the baseline sets it.
    pub fn int(&self, name: &str) -> Option<i64> {
        match self.get(name)? {
            ParamValue::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The quantity of a resource, when the baseline sets it.
    pub fn bound(&self, name: &str, resource: &str) -> Option<&Bound> {
        self.bounds(name)?.get(resource)
    }

    /// Quantities by resource, when the baseline sets them.
    pub fn bounds(&self, name: &str) -> Option<&Bounds> {
        match self.get(name)? {
            ParamValue::Bounds(bounds) => Some(bounds),
            _ => None,
        }
    }

    /// A chosen word, when the baseline sets it.
    pub fn choice(&self, name: &str) -> Option<&'static str> {
        match self.get(name)? {
            ParamValue::Choice(_, word) => Some(word),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
