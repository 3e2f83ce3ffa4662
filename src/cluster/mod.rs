//! What the cluster holds: watches that feed the index, live look-ups where the index may be behind, who may write, and
//! writing.

pub mod apply;
pub mod baselines;
pub mod clock;
pub mod context;
pub mod election;
pub mod fenced;
pub mod index;
pub mod lookup;
mod mirror;
mod nodes;
pub mod settings;
mod shared;
mod watch;
pub mod world;
mod writer;

pub use apply::{ApplyError, Writer};
pub use baselines::{BaselineState, Fate};
pub use clock::{Clock, SystemClock};
pub use context::LiveContext;
pub use election::{Fence, NotLeader};
pub use fenced::FenceLayer;
pub use index::{Change, Changes, Index};
pub use lookup::{Found, LiveLookup, LookupFailed};
pub use settings::Settings;
pub(crate) use watch::Retry;
pub use world::{NamespaceEntry, World};
