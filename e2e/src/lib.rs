//! A real Kubernetes control plane for Amanat's cluster tests and its demo, and what drives it.
//!
//! [`binary`] builds the control plane once and keeps it; [`controlplane`] runs it on loopback ports with a
//! throw-away folder; [`cluster`] is what a test sees, be it that control plane or the cluster that
//! `E2E_KUBECONFIG` names. [`operator`] runs `amanat operator` as a process with the token of its
//! ServiceAccount, [`chart`] installs it, [`forwarder`] stands where its Service would stand, and [`delay`]
//! between an operator and the API server. [`amanat`] is all of it, installed once for many cases, [`manifests`] what
//! they apply, and [`load`] many creates and what became of each. [`attacks`] is
//! what is tried against it, [`bench`] measures what it costs, and [`process`] what
//! a process uses.
#![expect(clippy::disallowed_methods, reason = "a harness starts processes, reads files and waits by the clock")]

pub mod amanat;
pub mod attacks;
pub mod bench;
pub mod binary;
pub mod case;
pub mod chart;
pub mod cluster;
pub mod component;
pub mod controlplane;
pub mod delay;
pub mod demo;
pub mod folder;
pub mod forwarder;
pub mod installation;
pub mod kubeconfig;
pub mod load;
pub mod manifests;
pub mod net;
pub mod nodes;
pub mod operator;
pub mod pki;
pub mod process;
pub mod tools;
pub mod waiting;
