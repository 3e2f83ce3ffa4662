//! Compile a baseline, find out how a namespace stands, judge an object. One engine for webhook, scan and command line:
//! the fronts differ in what they know, never in the code that decides.

mod compare;
mod compile;
mod decide;
mod engines;
pub mod governance;
mod pod_security;
mod supply;
mod verdict;

pub use compile::Engine;
pub use decide::Request;
pub use engines::Engines;
pub use governance::{Declaration, NamespaceFacts, standing};
pub use verdict::{Outcome, Softened, Verdict, Want};
