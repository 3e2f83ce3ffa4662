//! Where data and what works on it may be.

pub mod in_country_scheduling;

pub use in_country_scheduling::IN_COUNTRY_SCHEDULING;
