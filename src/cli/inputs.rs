//! Files, folders and standard input, read into documents.

#![expect(clippy::disallowed_methods, reason = "the command line reads files")]

use std::collections::BTreeSet;
use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use crate::manifest::{self, Document, Limits};
use crate::report::InputError;

/// Folders deeper than this below the one named are an error.
const DEPTH: usize = 64;

/// What was read.
#[derive(Debug, Default)]
pub struct Inputs {
    /// In the order in which `kubectl apply -R -f` would apply them.
    pub files: Vec<File>,
    /// What could not be read.
    pub errors: Vec<InputError>,
}

/// One file's documents.
#[derive(Debug)]
pub struct File {
    /// As it was named; below a folder, with the folder before it.
    pub name: String,
    /// Named on the command line, not found in a folder.
    pub named: bool,
    /// The documents that could be read.
    pub documents: Vec<Document>,
}

impl Inputs {
    /// Reads files, folders and, for `-`, standard input. A file that is reached twice is read once.
    pub fn read(paths: &[PathBuf]) -> Self {
        let mut inputs = Self::default();
        let mut seen = BTreeSet::new();
        for path in paths {
            if path.as_os_str() == "-" {
                if seen.insert(PathBuf::from("-")) {
                    inputs.load("-".to_owned(), true, bounded(std::io::stdin().lock()));
                }
            } else if path.is_dir() {
                if !inputs.walk(path, 0, &mut seen) {
                    let message =
                        "no manifests in it: files that end in .yaml, .yml or .json are read, hidden ones are not";
                    inputs.fail(shown(path), message);
                }
            } else {
                inputs.file(path, true, &mut seen);
            }
        }
        inputs
    }

    /// Takes a text for a file that was named.
    pub fn of_text(name: &str, text: &str) -> Self {
        let mut inputs = Self::default();
        inputs.load(name.to_owned(), true, Ok(text.as_bytes().to_vec()));
        inputs
    }

    /// Reads a folder's manifests; false when it has none.
    fn walk(&mut self, folder: &Path, depth: usize, seen: &mut BTreeSet<PathBuf>) -> bool {
        // A link to a folder above would be walked for ever.
        if fs::canonicalize(folder).is_ok_and(|path| !seen.insert(path)) {
            return true;
        }
        if depth > DEPTH {
            self.fail(shown(folder), &format!("more than {DEPTH} folders deep"));
            return true;
        }
        let entries = fs::read_dir(folder).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
        let mut paths: Vec<PathBuf> = match entries {
            Ok(entries) => entries.into_iter().map(|entry| entry.path()).collect(),
            Err(error) => {
                self.fail(shown(folder), &reason(&error));
                return true;
            }
        };
        paths.sort();
        let mut found = false;
        for path in paths.iter().filter(|path| !is_hidden(path)) {
            if path.is_dir() {
                found |= self.walk(path, depth.saturating_add(1), seen);
            } else if is_manifest(path) {
                self.file(path, false, seen);
                found = true;
            }
        }
        found
    }

    fn file(&mut self, path: &Path, named: bool, seen: &mut BTreeSet<PathBuf>) {
        if fs::canonicalize(path).is_ok_and(|path| !seen.insert(path)) {
            return;
        }
        self.load(shown(path), named, fs::File::open(path).and_then(bounded));
    }

    fn load(&mut self, name: String, named: bool, bytes: std::io::Result<Vec<u8>>) {
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(error) => return self.fail(name, &reason(&error)),
        };
        let (documents, errors) = manifest::read_bytes(&bytes, &Limits::default());
        self.errors.extend(errors.into_iter().map(|error| InputError {
            file: name.clone(),
            document: Some(error.document),
            line: Some(error.place.line),
            column: Some(error.place.column),
            message: error.message,
        }));
        self.files.push(File { name, named, documents });
    }

    fn fail(&mut self, file: String, message: &str) {
        self.errors.push(InputError { file, document: None, line: None, column: None, message: message.to_owned() });
    }
}

/// No more than one byte beyond what the reader takes: it then says which bound was passed.
fn bounded(source: impl Read) -> std::io::Result<Vec<u8>> {
    let limit = u64::try_from(Limits::default().bytes).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    source.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "no such file or folder".to_owned(),
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

fn is_manifest(path: &Path) -> bool {
    path.extension().is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|known| extension == *known))
}
