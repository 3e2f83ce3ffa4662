//! The measurements as tables and as JSON.

use serde_json::{Value, json};

use super::aims::aims;
use super::load::quantile;
use super::measure::{Cell, Measured, Turn};

/// A cell over all rounds.
#[derive(Clone, Debug)]
pub(super) struct Row<'a> {
    /// The cell.
    pub cell: &'a Cell,
    /// Requests that were answered.
    pub requests: usize,
    /// Requests a second.
    pub rate: f64,
    /// Milliseconds of a half of the requests.
    pub p50: f64,
    /// Milliseconds of all but one of a hundred.
    pub p99: f64,
    /// CPU seconds of the webhook for 10,000 requests.
    pub cpu: Option<f64>,
    /// The most resident memory of the webhook at the end of a turn, MiB.
    pub resident: Option<f64>,
}

impl<'a> Row<'a> {
    /// Adds up the turns of a cell.
    pub(super) fn of(cell: &'a Cell, turns: &[Turn]) -> Self {
        let mut latencies: Vec<u32> = turns.iter().flat_map(|turn| turn.load.latencies.iter().copied()).collect();
        let (requests, time) = (latencies.len(), turns.iter().map(|turn| turn.load.time.as_secs_f64()).sum::<f64>());
        let cpu: Option<f64> = turns.iter().map(|turn| turn.cpu.map(|cpu| cpu.as_secs_f64())).sum();
        let resident = turns.iter().filter_map(|turn| turn.resident).max();
        Self {
            cell,
            requests,
            rate: requests as f64 / time.max(f64::EPSILON),
            p50: quantile(&mut latencies, 0.5) / 1_000.0,
            p99: quantile(&mut latencies, 0.99) / 1_000.0,
            cpu: cpu.map(|cpu| cpu * 10_000.0 / requests.max(1) as f64),
            resident: resident.map(|kib| kib as f64 / 1_024.0),
        }
    }
}

const HEADS: [&str; 8] =
    ["Pod", "at a time", "asked", "requests/s", "p50 ms", "p99 ms", "CPU s / 10,000", "resident MiB"];

fn rows(measured: &Measured) -> impl Iterator<Item = Row<'_>> {
    measured.cells.iter().map(|(cell, turns)| Row::of(cell, turns))
}

fn cells(row: &Row<'_>) -> Vec<String> {
    let optional =
        |value: Option<f64>, digits| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"));
    vec![
        row.cell.shape.as_str().to_owned(),
        row.cell.at_a_time.to_string(),
        row.cell.arm.as_str().to_owned(),
        format!("{:.0}", row.rate),
        format!("{:.2}", row.p50),
        format!("{:.2}", row.p99),
        optional(row.cpu, 2),
        optional(row.resident, 1),
    ]
}

/// The tables.
pub(super) fn text(measured: &Measured) -> String {
    let mut text = String::from("## Through the API server\n\n");
    let of = |path: Option<&str>| -> Vec<Vec<String>> {
        rows(measured).filter(|row| row.cell.path.as_deref() == path).map(|row| cells(&row)).collect()
    };
    text.push_str(&table(&HEADS, &of(None)));
    let mut paths: Vec<&str> = measured.cells.keys().filter_map(|cell| cell.path.as_deref()).collect();
    paths.dedup();
    for path in paths {
        text.push_str(&format!("\n## Directly at `{path}`\n\n"));
        text.push_str(&table(&HEADS, &of(Some(path))));
    }
    text.push_str("\n## Against the aims\n\n");
    let aims: Vec<Vec<String>> = aims(measured)
        .into_iter()
        .map(|aim| {
            let (found, met) = match aim.found {
                Some(found) => (format!("{found:.2}"), if aim.aim.holds(found) { "yes" } else { "no" }),
                None => ("–".to_owned(), "–"),
            };
            vec![aim.what, aim.aim.text(), found, met.to_owned()]
        })
        .collect();
    text.push_str(&table(&["what", "aim", "found", "met"], &aims));
    text
}

/// The page of the documentation.
pub(super) fn page(measured: &Measured, machine: &[(&'static str, String)], command: &str) -> String {
    let machine: Vec<Vec<String>> =
        machine.iter().map(|(name, value)| vec![(*name).to_owned(), value.clone()]).collect();
    let calls: Vec<Vec<String>> =
        measured.calls.iter().map(|(shape, paths)| vec![(*shape).to_owned(), paths.join(", ")]).collect();
    let (all, half) = measured.controls;
    let mut page = format!(
        "# What Amanat costs\n\n\
         One run on one machine: a control plane (etcd, API server, controllers, scheduler), the webhooks and the \
         client share its cores. Pods are made with `dryRun=All`, so that all of admission happens and nothing is \
         stored. The arms are live at the same time, a namespace each, and take turns: {rounds} rounds, {seconds} s a \
         turn.\n\n\
         - *no webhook*: nobody is asked.\n\
         - *no-op*: a TLS webhook in Rust that allows whatever it is asked and reads nothing but the uid, as a process \
         of its own, registered by copies of Amanat's webhook configurations; *validating only* without the mutating \
         one.\n\
         - *Amanat*: one replica, a Restricted namespace, all {all} controls that judge Pods set to `Deny`; with *half \
         of the controls*, {half} of them, in a namespace of another class.\n\n\
         The API server itself enforces the level `restricted` of the Pod Security Standards where Amanat is asked, and \
         `baseline` elsewhere, since nothing is supplied to a bare Pod there.\n\n\
         A *complete* Pod carries all that its class demands; of a *bare* one, what can be supplied is left to be \
         supplied; a *denied* one is refused. Directly means that AdmissionReviews which the API server has sent to the \
         no-op webhook are sent to each webhook over TLS connections that stay open.\n\n\
         Ratios are the median over the rounds. `CPU s / 10,000` is the webhook's own, user and kernel, for 10,000 \
         Pods made, or reviews answered.\n\n\
         ## The machine\n\n",
        rounds = measured.rounds,
        seconds = measured.seconds,
    );
    page.push_str(&table(&["what", "value"], &machine));
    page.push_str(&format!("\n    {command}\n\n## What is asked about a Pod\n\n"));
    page.push_str(&table(&["Pod", "calls"], &calls));
    page.push('\n');
    page.push_str(&text(measured));
    page
}

/// All of it as JSON. Rates are in 1/s, latencies in milliseconds, CPU in seconds for 10,000 requests, memory in MiB.
pub(super) fn json(measured: &Measured, machine: &[(&'static str, String)], command: &str) -> Value {
    let row = |row: Row<'_>| {
        json!({"path": row.cell.path, "pod": row.cell.shape.as_str(), "atATime": row.cell.at_a_time,
            "asked": row.cell.arm.as_str(), "requests": row.requests, "perSecond": row.rate, "p50": row.p50,
            "p99": row.p99, "cpu": row.cpu, "resident": row.resident})
    };
    let aims: Vec<Value> = aims(measured)
        .into_iter()
        .map(|aim| {
            let met = aim.found.map(|found| aim.aim.holds(found));
            json!({"what": aim.what, "aim": aim.aim.text(), "found": aim.found, "met": met})
        })
        .collect();
    let machine: serde_json::Map<String, Value> =
        machine.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    json!({
        "command": command,
        "machine": machine,
        "rounds": measured.rounds,
        "seconds": measured.seconds,
        "controls": {"all": measured.controls.0, "half": measured.controls.1},
        "calls": measured.calls,
        "measurements": rows(measured).map(row).collect::<Vec<_>>(),
        "aims": aims,
    })
}

/// A table of Markdown that can be read as it is: numbers to the right.
fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(heads.get(column).map(|head| head.chars().count())).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let is_number = |cell: &str| cell == "–" || cell.parse::<f64>().is_ok();
    let right: Vec<bool> = (0..heads.len())
        .map(|column| !rows.is_empty() && rows.iter().all(|row| row.get(column).is_some_and(|cell| is_number(cell))))
        .collect();
    let line = |cells: &[String]| {
        let cells = cells.iter().zip(&widths).zip(&right).map(|((cell, width), right)| {
            let blank = " ".repeat(width.saturating_sub(cell.chars().count()));
            if *right { format!("{blank}{cell}") } else { format!("{cell}{blank}") }
        });
        format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
    };
    let rule = widths.iter().zip(&right).map(|(width, right)| {
        let dashes = "-".repeat(width + 1);
        if *right { format!("{dashes}:") } else { format!("{dashes}-") }
    });
    let mut text = line(&heads.iter().map(|head| (*head).to_owned()).collect::<Vec<_>>());
    text.push_str(&format!("|{}|\n", rule.collect::<Vec<_>>().join("|")));
    for row in rows {
        text.push_str(&line(row));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn a_table_is_aligned() {
        let rows = [vec!["a".to_owned(), "1.50".to_owned()], vec!["bcd".to_owned(), "–".to_owned()]];
        let expected = "| x   |    y |\n|-----|-----:|\n| a   | 1.50 |\n| bcd |    – |\n";
        assert_eq!(table(&["x", "y"], &rows), expected);
    }
}
