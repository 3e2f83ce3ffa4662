//! Standard output, and whether it takes colours.

#![expect(clippy::disallowed_methods, reason = "NO_COLOR is the environment's to say")]

use std::io::{ErrorKind, IsTerminal, Write};

use clap::ValueEnum;
use serde::Serialize;

use super::Error;
use crate::report::escape_json;
use crate::report::text::Colour;

/// When to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColourWhen {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl ColourWhen {
    /// For standard output.
    pub fn stdout(self) -> Colour {
        self.on(&std::io::stdout())
    }

    /// For standard error.
    pub fn stderr(self) -> Colour {
        self.on(&std::io::stderr())
    }

    fn on(self, stream: &impl IsTerminal) -> Colour {
        let wanted = match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        };
        if wanted { Colour::Always } else { Colour::Never }
    }
}

/// A value as JSON for programs, safe to show on a terminal.
pub(super) fn json<T: Serialize>(value: &T) -> Result<String, Error> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Error::Internal(error.to_string()))?;
    Ok(format!("{}\n", escape_json(&text)))
}

/// Writes to standard output. A reader that has left (`| head`) is no failure.
pub(super) fn print(text: &str) -> Result<(), Error> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Error::Output(error)),
        _ => Ok(()),
    }
}

/// Writes a line to standard error; nobody is told when nobody listens.
pub(super) fn complain(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
