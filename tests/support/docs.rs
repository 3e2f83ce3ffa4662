//! The generated pages of `docs/`: one a control, one a kind, and an index.

use std::collections::BTreeMap;
use std::fmt::Write;

use amanat::api::{Effect, SecurityBaselineSpec};
use amanat::control::{Control, Operation, ParamKind, ParamSpec};
use amanat::{api, baseline, catalogue};
use serde_json::Value;

const HEAD: &str = "<!-- Generated: `UPDATE=1 cargo test --test generated` writes this file. -->\n";

/// Path and content of every page.
pub(crate) fn pages() -> Vec<(String, String)> {
    let shipped = baseline::shipped().unwrap().spec;
    let control = |control: &&Control| (format!("docs/controls/{}.md", control.id), control_page(control, &shipped));
    let mut pages: Vec<_> = catalogue::ALL.iter().map(control).collect();
    pages.push(("docs/controls/README.md".to_owned(), control_index(&shipped)));
    let kinds = kinds();
    pages.push(("docs/kinds/README.md".to_owned(), kind_index(&kinds)));
    for crd in &kinds {
        pages.push((format!("docs/kinds/{}.md", file_name(crd)), kind_page(crd)));
    }
    pages
}

fn control_index(shipped: &SecurityBaselineSpec) -> String {
    let mut page = format!(
        "{HEAD}# Controls\n\nEffects are those of the shipped baseline, {}. A cluster's own baseline may set others.\n",
        shipped.title
    );
    let mut family = "";
    for control in catalogue::ALL {
        let (of, _) = control.id.split_once('/').unwrap();
        if of != family {
            family = of;
            let classes: Vec<_> = shipped.classes.iter().map(|class| class.name.as_str()).collect();
            write!(page, "\n## {family}\n\n| control | what it demands | severity | {} |\n", classes.join(" | "))
                .unwrap();
            page.push_str(&format!("|---|---|---|{}\n", "---|".repeat(classes.len())));
        }
        let effects = effects(control, shipped).into_iter().map(|(_, effect)| effect.as_str()).collect::<Vec<_>>();
        let (id, title, severity) = (control.id, control.title, control.severity.as_str());
        writeln!(page, "| [{id}]({id}.md) | {title} | {severity} | {} |", effects.join(" | ")).unwrap();
    }
    page
}

fn effects<'a>(control: &Control, shipped: &'a SecurityBaselineSpec) -> Vec<(&'a str, Effect)> {
    let terms = shipped.controls.iter().find(|terms| terms.id == control.id);
    let effect = |class: &str| terms.and_then(|terms| terms.effects.get(class)).copied().unwrap_or_default();
    shipped.classes.iter().map(|class| (class.name.as_str(), effect(&class.name))).collect()
}

fn control_page(control: &Control, shipped: &SecurityBaselineSpec) -> String {
    let mut page = format!("{HEAD}# {}: {}\n\n", control.id, control.title);
    for line in control.page.lines() {
        let line = line.strip_prefix(' ').unwrap_or(line);
        let line = if line.starts_with("```yaml") { "```yaml" } else { line };
        // On the page of its own, a blank line must stand before a fence that follows a heading.
        let after_heading = page.trim_end_matches('\n').lines().last().is_some_and(|last| last.starts_with('#'));
        if after_heading && !page.ends_with("\n\n") && !line.is_empty() {
            page.push('\n');
        }
        writeln!(page, "{line}").unwrap();
    }
    page.push_str("\n## Parameters\n\n");
    if control.params.is_empty() {
        page.push_str("None.\n");
    } else {
        page.push_str("| parameter | value | meaning |\n|---|---|---|\n");
        for param in control.params {
            let required = if param.required { " Required." } else { "" };
            writeln!(page, "| `{}` | {} | {}{required} |", param.name, value_of(param), param.doc).unwrap();
        }
    }
    page.push_str("\n## Where it acts\n\n| | |\n|---|---|\n");
    let points: Vec<_> = control.points.iter().map(|point| point.as_str()).collect();
    let mut row = |name: &str, text: String| writeln!(page, "| {name} | {text} |").unwrap();
    row("Severity", control.severity.as_str().to_owned());
    row("Since", control.since.to_owned());
    row("Points", points.join(", "));
    for judges in control.judges {
        let mut kinds = judges.kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ");
        if !judges.subresources.is_empty() {
            write!(kinds, " ({})", judges.subresources.join(", ")).unwrap();
        }
        let operations: Vec<_> = judges.operations.iter().map(|operation| word(*operation)).collect();
        row("Judges", format!("{kinds}: {}", operations.join(", ")));
    }
    if !control.reads.is_empty() {
        row("Reads", control.reads.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", "));
    }
    let effects: Vec<_> = effects(control, shipped).iter().map(|(class, effect)| format!("{class} {effect}")).collect();
    row("Effect, as shipped", effects.join(", "));
    if !control.maps.is_empty() {
        let mut frameworks = BTreeMap::<_, Vec<_>>::new();
        for (framework, id) in control.maps {
            frameworks.entry(framework).or_default().push(*id);
        }
        page.push_str("\n## Frameworks\n\n| framework | served |\n|---|---|\n");
        for (framework, ids) in frameworks {
            writeln!(page, "| {framework} | {} |", ids.join(", ")).unwrap();
        }
    }
    page
}

fn word(operation: Operation) -> &'static str {
    match operation {
        Operation::Create => "create",
        Operation::Update => "update",
        Operation::Delete => "delete",
    }
}

fn value_of(param: &ParamSpec) -> String {
    match param.kind {
        ParamKind::Allowed => "list of what is allowed; absent, anything is".to_owned(),
        ParamKind::Granted => "list of what is granted; absent, nothing is".to_owned(),
        ParamKind::Registries => "list of registries, or repositories in them".to_owned(),
        ParamKind::Images => {
            "list of registries, or repositories in them, that are excepted; absent, none is".to_owned()
        }
        ParamKind::Networks => "list of networks in CIDR notation".to_owned(),
        ParamKind::Peers => "list of `{namespace, podLabels, ports: [{port, protocol}]}`".to_owned(),
        ParamKind::AtLeast(low, high) => format!("number from {low} to {high}; higher is stricter"),
        ParamKind::AtMost(low, high) => format!("number from {low} to {high}; lower is stricter, absent is unbounded"),
        ParamKind::Ceilings(resources) => {
            format!("quantities of {}; lower is stricter, absent is unbounded", resources.join(", "))
        }
        ParamKind::Supplies(resources) => {
            format!("quantities of {}; lower is stricter, and so is absent", resources.join(", "))
        }
        ParamKind::Choice(words) => format!("{}; the last is the strictest, and holds when absent", words.join(", ")),
    }
}

fn kinds() -> Vec<Value> {
    let mut kinds: Vec<_> = api::crds().iter().map(|crd| serde_json::to_value(crd).unwrap()).collect();
    kinds.sort_by_key(kind_name);
    kinds
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn kind_name(crd: &Value) -> String {
    text(crd, "/spec/names/kind").to_owned()
}

fn file_name(crd: &Value) -> String {
    text(crd, "/spec/names/singular").to_owned()
}

fn schema(crd: &Value) -> &Value {
    crd.pointer("/spec/versions/0/schema/openAPIV3Schema").unwrap()
}

fn kind_index(kinds: &[Value]) -> String {
    let mut page = format!("{HEAD}# Kinds of `{}/{}`\n\n", api::GROUP, api::VERSION);
    page.push_str("| kind | short | scope | what it says |\n|---|---|---|---|\n");
    for crd in kinds {
        let (name, file) = (kind_name(crd), file_name(crd));
        let (short, scope) = (text(crd, "/spec/names/shortNames/0"), text(crd, "/spec/scope"));
        writeln!(page, "| [{name}]({file}.md) | `{short}` | {scope} | {} |", cell(schema(crd))).unwrap();
    }
    page
}

fn kind_page(crd: &Value) -> String {
    let schema = schema(crd);
    let mut page = format!("{HEAD}# {}\n\n{}\n", kind_name(crd), text(schema, "/description"));
    let (short, plural) = (text(crd, "/spec/names/shortNames/0"), text(crd, "/spec/names/plural"));
    write!(page, "\n{}; `kubectl get {plural}` or `{short}`.\n", text(crd, "/spec/scope")).unwrap();
    for part in ["spec", "status"] {
        write!(page, "\n## {part}\n\n| field | type | meaning |\n|---|---|---|\n").unwrap();
        let Some(part_schema) = schema.pointer(&format!("/properties/{part}")) else { continue };
        fields(part, part_schema, &mut page);
        if part == "spec" {
            page.push_str("\n\\* required\n");
        }
    }
    let mut rules = Vec::new();
    messages(schema, &mut rules);
    if !rules.is_empty() {
        page.push_str("\n## Rules\n\nWhat the API server refuses by itself:\n\n");
        for rule in rules {
            writeln!(page, "- {}", rule.replace('\n', " ")).unwrap();
        }
    }
    page
}

fn fields(path: &str, schema: &Value, page: &mut String) {
    let required = schema.get("required").and_then(Value::as_array);
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    for (name, field) in properties {
        let path = format!("{path}.{name}");
        let must = required.is_some_and(|required| required.iter().any(|known| known == name));
        writeln!(page, "| `{path}`{} | {} | {} |", if must { " *" } else { "" }, kind_of(field), cell(field)).unwrap();
        // Conditions are those of every kind of Kubernetes.
        if name == "conditions" {
            continue;
        }
        if let Some(items) = field.get("items") {
            fields(&format!("{path}[]"), items, page);
        } else if let Some(values) = field.get("additionalProperties") {
            fields(&format!("{path}.NAME"), values, page);
        } else {
            fields(&path, field, page);
        }
    }
}

fn kind_of(field: &Value) -> String {
    if let Some(words) = field.get("enum").and_then(Value::as_array) {
        return words
            .iter()
            .map(|word| format!("`{}`", word.as_str().unwrap_or_default()))
            .collect::<Vec<_>>()
            .join(", ");
    }
    if field.get("x-kubernetes-int-or-string").is_some() {
        return "quantity".to_owned();
    }
    match text(field, "/type") {
        "array" => format!("list of {}", field.get("items").map(kind_of).unwrap_or_default()),
        "object" => match field.get("additionalProperties") {
            Some(values) if values.is_object() => format!("map of {}", kind_of(values)),
            _ => "object".to_owned(),
        },
        "string" => match text(field, "/format") {
            "date-time" => "instant".to_owned(),
            "date" => "day".to_owned(),
            _ => "string".to_owned(),
        },
        other => other.to_owned(),
    }
}

fn cell(schema: &Value) -> String {
    text(schema, "/description").replace('|', "\\|").replace('\n', " ")
}

fn messages(schema: &Value, into: &mut Vec<String>) {
    match schema {
        Value::Object(fields) => {
            for rule in fields.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten() {
                let message = text(rule, "/message");
                if !message.is_empty() && !into.iter().any(|known| known == message) {
                    into.push(message.to_owned());
                }
            }
            fields.values().for_each(|child| messages(child, into));
        }
        Value::Array(items) => items.iter().for_each(|child| messages(child, into)),
        _ => {}
    }
}
