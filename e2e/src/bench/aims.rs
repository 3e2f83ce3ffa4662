//! What Amanat may cost, beside what it does. Printed, never asserted.

use super::load::quantile;
use super::measure::{Cell, Measured, Turn};
use super::pods::Shape;
use super::report::Row;
use super::stage::Arm;

/// How many ask at once where the aims are set.
const AT_A_TIME: usize = 8;

/// An aim, and what was found.
#[derive(Clone, Debug)]
pub(super) struct Aim {
    /// What is held against what.
    pub what: String,
    /// What it should be.
    pub aim: Bound,
    /// What it is; nothing where nothing was measured.
    pub found: Option<f64>,
}

/// A bound.
#[derive(Clone, Copy, Debug)]
pub(super) enum Bound {
    /// That much or more.
    Least(f64),
    /// That much or less.
    Most(f64),
}

impl Bound {
    /// As a table has it.
    pub(super) fn text(self) -> String {
        match self {
            Self::Least(value) => format!("≥ {value:.2}"),
            Self::Most(value) => format!("≤ {value:.2}"),
        }
    }

    /// Whether a value is within it.
    pub(super) fn holds(self, value: f64) -> bool {
        match self {
            Self::Least(bound) => value >= bound,
            Self::Most(bound) => value <= bound,
        }
    }
}

/// The aims, with what was found.
pub(super) fn aims(measured: &Measured) -> Vec<Aim> {
    let mut aims = Vec::new();
    let mut add = |what: String, aim: Bound, found: Option<f64>| aims.push(Aim { what, aim, found });
    for (shape, floor) in [(Shape::Complete, Arm::Validating), (Shape::Bare, Arm::Noop)] {
        let cell = |arm| Cell { path: None, shape, at_a_time: AT_A_TIME, arm };
        let (amanat, floor) = (cell(Arm::Amanat), cell(floor));
        let what = |of: &str| format!("{of}, {} Pod, {AT_A_TIME} at a time: to {}", shape.as_str(), floor.arm.as_str());
        add(what("requests a second"), Bound::Least(0.97), by_round(measured, &amanat, &floor, rate));
        add(what("p99"), Bound::Most(1.1), by_round(measured, &amanat, &floor, p99));
        add(what("CPU"), Bound::Most(1.3), by_cpu(measured, &amanat, &floor));
    }
    let rows = measured.cells.iter().map(|(cell, turns)| Row::of(cell, turns));
    let resident = rows.filter(|row| row.cell.arm == Arm::Amanat).filter_map(|row| row.resident).reduce(f64::max);
    add("resident memory of Amanat, MiB".to_owned(), Bound::Most(30.0), resident);
    let direct = measured.cells.keys().filter(|cell| cell.path.is_some() && cell.arm == Arm::Amanat);
    for amanat in direct {
        let noop = Cell { arm: Arm::Noop, ..amanat.clone() };
        let half = Cell { arm: Arm::Half, ..amanat.clone() };
        let path = amanat.path.as_deref().unwrap_or_default();
        let name = format!("{path}, {} Pod", amanat.shape.as_str());
        let directly = by_round(measured, amanat, &noop, rate);
        add(format!("requests a second, directly at {name}: to no-op"), Bound::Least(0.7), directly);
        let twice = by_round(measured, &half, amanat, rate);
        add(format!("time of a request, directly at {name}: all controls to a half"), Bound::Most(1.1), twice);
    }
    aims
}

fn rate(turn: &Turn) -> f64 {
    turn.load.latencies.len() as f64 / turn.load.time.as_secs_f64().max(f64::EPSILON)
}

fn p99(turn: &Turn) -> f64 {
    quantile(&mut turn.load.latencies.clone(), 0.99)
}

/// The median over the rounds of what a value is to the same round's value of another cell: what the machine does
/// meanwhile meets both.
fn by_round(measured: &Measured, cell: &Cell, to: &Cell, value: impl Fn(&Turn) -> f64) -> Option<f64> {
    let turns = measured.cells.get(cell)?.iter().zip(measured.cells.get(to)?);
    let mut ratios: Vec<f64> = turns.map(|(turn, to)| value(turn) / value(to).max(f64::EPSILON)).collect();
    ratios.sort_by(f64::total_cmp);
    ratios.get(ratios.len() / 2).copied()
}

/// The same of the CPU time of a request, over all rounds: a turn has few of the kernel's clock ticks.
fn by_cpu(measured: &Measured, cell: &Cell, to: &Cell) -> Option<f64> {
    let of = |cell: &Cell| Row::of(cell, measured.cells.get(cell)?).cpu;
    Some(of(cell)? / of(to)?.max(f64::EPSILON))
}
