//! The turns that the arms take.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use super::load::{Ask, Expect, Load, Peer, load};
use super::pods::Shape;
use super::stage::{Arm, Stage, Webhook, controls};

/// How many ask at once through the API server.
const AT_A_TIME: [usize; 3] = [1, 8, 32];
/// How many ask a webhook directly at once.
const DIRECTLY: usize = 8;

/// What is measured: each of these has a row in the tables.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cell {
    /// The webhook's path that is asked directly; nothing where Pods are made at the API server.
    pub path: Option<String>,
    /// The Pod.
    pub shape: Shape,
    /// How many ask at once.
    pub at_a_time: usize,
    /// Who is asked.
    pub arm: Arm,
}

/// One turn of a cell.
#[derive(Clone, Debug, Default)]
pub(super) struct Turn {
    /// What came of it.
    pub load: Load,
    /// The CPU time of the webhook.
    pub cpu: Option<Duration>,
    /// The webhook's resident memory at the end, KiB.
    pub resident: Option<u64>,
}

/// All that was measured.
#[derive(Clone, Debug, Default)]
pub(super) struct Measured {
    /// Each cell's turns, one a round.
    pub cells: BTreeMap<Cell, Vec<Turn>>,
    /// How many controls judge Pods of Amanat's arm, and of that with a half of them.
    pub controls: (usize, usize),
    /// The paths that are asked about a Pod of each shape.
    pub calls: BTreeMap<&'static str, Vec<String>>,
    /// Rounds.
    pub rounds: u32,
    /// Seconds of a turn.
    pub seconds: u64,
}

/// Gives every cell its turn in every round. Cells that are held against each other follow one another, in another
/// order in every round.
pub(super) async fn measure(stage: &Stage, rounds: u32, time: Duration) -> Result<Measured> {
    let on = controls();
    let shapes = [Shape::Complete, Shape::Bare];
    let calls = |shape: Shape| (shape.as_str(), stage.reviews.paths(shape).into_iter().map(str::to_owned).collect());
    let mut measured = Measured {
        controls: (on.len(), on.iter().filter(|(_, half)| *half).count()),
        calls: shapes.map(calls).into(),
        rounds,
        seconds: time.as_secs(),
        ..Measured::default()
    };
    let groups = groups(stage);
    for round in 0..rounds {
        eprintln!("e2e: round {} of {rounds}", round + 1);
        for group in &groups {
            let mut group = group.clone();
            let first = usize::try_from(round)? % group.len().max(1);
            group.rotate_left(first);
            for cell in group {
                let turn = turn(stage, &cell, time).await?;
                measured.cells.entry(cell).or_default().push(turn);
            }
        }
    }
    Ok(measured)
}

/// The cells, together those that are held against each other.
fn groups(stage: &Stage) -> Vec<Vec<Cell>> {
    let mut groups = Vec::new();
    for at_a_time in AT_A_TIME {
        for shape in [Shape::Complete, Shape::Bare, Shape::Denied] {
            let arms: &[Arm] = match shape {
                Shape::Denied => &[Arm::Amanat],
                Shape::Complete | Shape::Bare => &[Arm::None, Arm::Validating, Arm::Noop, Arm::Amanat],
            };
            groups.push(arms.iter().map(|arm| Cell { path: None, shape, at_a_time, arm: *arm }).collect());
        }
    }
    for (shape, path) in direct(stage) {
        let arms = [Arm::Noop, Arm::Amanat, Arm::Half];
        let cell = |arm| Cell { path: Some(path.clone()), shape, at_a_time: DIRECTLY, arm };
        groups.push(arms.map(cell).into());
    }
    groups
}

/// What is asked directly: the judging of a complete Pod, and what else a bare one is asked about. A bare Pod that
/// nothing was supplied to isn't one that is judged.
fn direct(stage: &Stage) -> Vec<(Shape, String)> {
    let judged = stage.reviews.paths(Shape::Complete).into_iter();
    let supplied = stage.reviews.paths(Shape::Bare).into_iter().filter(|path| path.starts_with("/mutate/"));
    let judged = judged.map(|path| (Shape::Complete, path.to_owned()));
    judged.chain(supplied.map(|path| (Shape::Bare, path.to_owned()))).collect()
}

async fn turn(stage: &Stage, cell: &Cell, time: Duration) -> Result<Turn> {
    let webhook = stage.webhook(cell.arm);
    let (peer, asks, expect): (&Peer, Arc<[Ask]>, Expect) = match (&cell.path, webhook) {
        (Some(path), Some(webhook)) => (&webhook.peer, stage.reviews.asks(path, cell.shape, cell.arm), Expect::Allowed),
        _ if cell.shape == Shape::Denied => (&stage.api, stage.ask(cell.arm, cell.shape), Expect::Forbidden),
        _ => (&stage.api, stage.ask(cell.arm, cell.shape), Expect::Created),
    };
    let cpu = |webhook: Option<&Webhook>| webhook.map(|webhook| webhook.process.cpu()).transpose();
    let before = cpu(webhook)?;
    let load = load(peer, &asks, expect, cell.at_a_time, time).await?;
    let used = cpu(webhook)?.zip(before).map(|(after, before)| after.saturating_sub(before));
    let resident = webhook.map(|webhook| webhook.process.memory()).transpose()?.map(|memory| memory.resident);
    Ok(Turn { load, cpu: used, resident })
}
