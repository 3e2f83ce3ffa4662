//! A copy of the objects of one kind, kept by the events of a watch.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::world::Store;

/// One event of a watch. An object that couldn't be read is `None`.
#[derive(Debug)]
pub(super) enum Event<T> {
    /// A list begins.
    Start,
    /// An object of the list.
    Listed(String, Option<T>),
    /// The list is complete.
    Done,
    /// An object was made or changed.
    Seen(String, Option<T>),
    /// An object was deleted.
    Gone(String),
}

/// The objects of one kind. While a list is under way, what was known before stands.
#[derive(Debug)]
pub(super) struct Mirror<T> {
    current: Store<T>,
    listing: Option<BTreeMap<String, Arc<T>>>,
    synced: bool,
}

impl<T> Default for Mirror<T> {
    fn default() -> Self {
        Self { current: Arc::default(), listing: None, synced: false }
    }
}

impl<T: PartialEq> Mirror<T> {
    /// The objects.
    pub(super) fn store(&self) -> &Store<T> {
        &self.current
    }

    /// Whether a list has been completed.
    pub(super) fn synced(&self) -> bool {
        self.synced
    }

    /// Takes in an event; returns the names of what changed.
    pub(super) fn take(&mut self, event: Event<T>) -> BTreeSet<String> {
        match event {
            Event::Start => {
                self.listing = Some(BTreeMap::new());
                BTreeSet::new()
            }
            Event::Listed(name, object) => {
                // The last version that could be read stands for one that can't.
                let object = object.map(Arc::new).or_else(|| self.current.get(&name).cloned());
                if let Some(object) = object {
                    self.listing.get_or_insert_default().insert(name, object);
                }
                BTreeSet::new()
            }
            Event::Done => {
                self.synced = true;
                let listed = self.listing.take().unwrap_or_default();
                let changed = differences(&self.current, &listed);
                if !changed.is_empty() {
                    self.current = Arc::new(listed);
                }
                changed
            }
            Event::Seen(name, Some(object)) => {
                if self.current.get(&name).is_some_and(|known| **known == object) {
                    return BTreeSet::new();
                }
                copy_on_write(&mut self.current).insert(name.clone(), Arc::new(object));
                BTreeSet::from([name])
            }
            Event::Seen(_, None) => BTreeSet::new(),
            Event::Gone(name) => match copy_on_write(&mut self.current).remove(&name) {
                Some(_) => BTreeSet::from([name]),
                None => BTreeSet::new(),
            },
        }
    }
}

/// The map to write to; readers keep the one that they have.
pub(super) fn copy_on_write<T>(store: &mut Store<T>) -> &mut BTreeMap<String, Arc<T>> {
    Arc::make_mut(store)
}

fn differences<T: PartialEq>(old: &BTreeMap<String, Arc<T>>, new: &BTreeMap<String, Arc<T>>) -> BTreeSet<String> {
    let names = old.keys().chain(new.keys());
    names.filter(|name| old.get(*name) != new.get(*name)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mirror(objects: &[(&str, i32)]) -> Mirror<i32> {
        let mut mirror = Mirror::default();
        mirror.take(Event::Start);
        for (name, object) in objects {
            mirror.take(Event::Listed((*name).to_owned(), Some(*object)));
        }
        mirror.take(Event::Done);
        mirror
    }

    fn names(changed: &BTreeSet<String>) -> Vec<&str> {
        changed.iter().map(String::as_str).collect()
    }

    #[test]
    fn nothing_shows_before_the_first_list_is_complete() {
        let mut mirror = Mirror::default();
        mirror.take(Event::Start);
        mirror.take(Event::Listed("a".to_owned(), Some(1)));
        assert!(mirror.store().is_empty() && !mirror.synced());
        assert_eq!(names(&mirror.take(Event::Done)), ["a"]);
        assert!(mirror.synced());
    }

    #[test]
    fn a_new_list_never_shows_an_empty_world() {
        let mut mirror = mirror(&[("a", 1), ("b", 2), ("c", 3)]);
        mirror.take(Event::Start);
        mirror.take(Event::Listed("a".to_owned(), Some(1)));
        assert_eq!(mirror.store().len(), 3);
        assert!(mirror.synced());
        mirror.take(Event::Start);
        mirror.take(Event::Listed("a".to_owned(), Some(1)));
        mirror.take(Event::Listed("b".to_owned(), Some(9)));
        assert_eq!(names(&mirror.take(Event::Done)), ["b", "c"]);
        assert_eq!(mirror.store().len(), 2);
    }

    #[test]
    fn what_did_not_change_is_no_change() {
        let mut mirror = mirror(&[("a", 1)]);
        assert!(mirror.take(Event::Seen("a".to_owned(), Some(1))).is_empty());
        assert!(mirror.take(Event::Gone("b".to_owned())).is_empty());
        assert_eq!(names(&mirror.take(Event::Seen("a".to_owned(), Some(2)))), ["a"]);
        assert_eq!(names(&mirror.take(Event::Gone("a".to_owned()))), ["a"]);
    }

    #[test]
    fn an_object_that_cannot_be_read_leaves_the_one_before() {
        let mut mirror = mirror(&[("a", 1)]);
        assert!(mirror.take(Event::Seen("a".to_owned(), None)).is_empty());
        mirror.take(Event::Start);
        mirror.take(Event::Listed("a".to_owned(), None));
        mirror.take(Event::Listed("b".to_owned(), None));
        assert!(mirror.take(Event::Done).is_empty());
        assert_eq!(mirror.store().get("a").map(|object| **object), Some(1));
    }

    #[test]
    fn a_reader_keeps_what_it_has() {
        let mut mirror = mirror(&[("a", 1)]);
        let seen = Arc::clone(mirror.store());
        mirror.take(Event::Gone("a".to_owned()));
        assert_eq!(seen.len(), 1);
        assert!(mirror.store().is_empty());
    }
}
