//! `amanat explain [CONTROL]`

use std::fmt::Write as _;

use clap::Args;

use super::{ColourWhen, Error, Status, output};
use crate::baseline::unknown;
use crate::catalogue;
use crate::control::{Control, ParamKind, ParamSpec};
use crate::report::text::Colour;

/// Arguments of `explain`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  amanat explain                        list the controls\n  \
                        amanat explain image/digest-pinned    what it demands, why, what fails and what passes")]
pub struct ExplainArgs {
    /// Id of a control, such as image/digest-pinned
    control: Option<String>,
}

pub(super) fn run(args: &ExplainArgs, colour: ColourWhen) -> Result<Status, Error> {
    let text = match &args.control {
        Some(id) => page(find(id)?, colour.stdout()),
        None => list(),
    };
    output::print(&text)?;
    Ok(Status::Clean)
}

/// The control of an id.
pub(super) fn find(id: &str) -> Result<&'static Control, Error> {
    catalogue::find(id).ok_or_else(|| {
        let message = unknown("control", id, catalogue::ALL.iter().map(|control| control.id));
        Error::Usage(format!("{message} (`amanat explain` lists them all)"))
    })
}

fn list() -> String {
    let width = catalogue::ALL.iter().map(|control| control.id.len()).max().unwrap_or_default();
    let mut text = String::new();
    for control in catalogue::ALL {
        let _ = writeln!(text, "{:width$}  {}", control.id, control.title);
    }
    text
}

fn page(control: &Control, colour: Colour) -> String {
    let mut text = String::new();
    let points: Vec<&str> = control.points.iter().map(|point| point.as_str()).collect();
    let _ = writeln!(text, "{}: {}", colour.bold(control.id), control.title);
    let _ = writeln!(
        text,
        "severity {}, acts at {}, since {}\njudges {}\n",
        control.severity.as_str(),
        points.join(" and "),
        control.since,
        judges(control).join(", ")
    );
    for line in control.page.lines() {
        let line = line.strip_prefix(' ').unwrap_or(line).trim_end();
        match line.strip_prefix("## ") {
            Some(heading) => text.push_str(&colour.bold(heading)),
            // The words behind `yaml` are for tests.
            None if line.starts_with("```yaml,") => text.push_str("```yaml"),
            None => text.push_str(line),
        }
        text.push('\n');
    }
    let _ = writeln!(text, "\n{}", colour.bold("Parameters"));
    for spec in control.params {
        let required = if spec.required { ", required" } else { "" };
        let _ = writeln!(text, "{} ({}{required}): {}", spec.name, kind(spec), spec.doc);
    }
    if control.params.is_empty() {
        text.push_str("none\n");
    }
    let _ = writeln!(text, "\n{}", colour.bold("Frameworks"));
    for (framework, ids) in frameworks(control) {
        let _ = writeln!(text, "{framework}: {}", ids.join(", "));
    }
    text
}

/// The kinds that a control judges, with the subresources that it names.
pub(super) fn judges(control: &Control) -> Vec<String> {
    let mut kinds = Vec::new();
    for judges in control.judges {
        for kind in judges.kinds {
            let mut names = vec![kind.name().to_owned()];
            names.extend(judges.subresources.iter().map(|subresource| format!("{kind}/{subresource}")));
            for name in names {
                if !kinds.contains(&name) {
                    kinds.push(name);
                }
            }
        }
    }
    kinds
}

/// The ids of each framework, in the order of the control.
pub(super) fn frameworks(control: &Control) -> Vec<(&'static str, Vec<&'static str>)> {
    let mut frameworks: Vec<(&str, Vec<&str>)> = Vec::new();
    for (framework, id) in control.maps {
        match frameworks.iter_mut().find(|(known, _)| known == framework) {
            Some((_, ids)) => ids.push(id),
            None => frameworks.push((framework, vec![id])),
        }
    }
    frameworks
}

/// What a parameter takes, in words.
pub(super) fn kind(spec: &ParamSpec) -> String {
    match spec.kind {
        ParamKind::Allowed => "a list of what is allowed".to_owned(),
        ParamKind::Granted => "a list of what is granted".to_owned(),
        ParamKind::Registries => "a list of registries or repositories".to_owned(),
        ParamKind::Images => "a list of registries or repositories whose images are excepted".to_owned(),
        ParamKind::Networks => "a list of networks".to_owned(),
        ParamKind::Peers => "a list of {namespace, podLabels, ports}".to_owned(),
        ParamKind::AtLeast(low, high) | ParamKind::AtMost(low, high) => format!("a number from {low} to {high}"),
        ParamKind::Ceilings(resources) => format!("the most of {}", resources.join(", ")),
        ParamKind::Supplies(resources) => format!("quantities of {}", resources.join(", ")),
        ParamKind::Choice(words) => format!("one of {}", words.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_whole() {
        for control in catalogue::ALL {
            let page = page(control, Colour::Never);
            for part in [control.id, control.title, "\nWhy\n", "\nFails\n", "\nPasses\n", "\nParameters\n"] {
                assert!(page.contains(part), "{} lacks {part}", control.id);
            }
            assert!(!page.contains("yaml,"), "{}", control.id);
        }
    }

    #[test]
    fn a_misspelt_control_gets_a_suggestion() {
        let error = find("image/digest-pined").map(|control| control.id).unwrap_err();
        assert!(error.to_string().contains("did you mean image/digest-pinned?"), "{error}");
    }
}
