//! The server.

use super::attack;
use crate::attacks::Standing::{Held, Later, Partly};
use crate::attacks::{Attack, Who};

pub(super) const ATTACKS: &[Attack] = &[
    attack(
        'f',
        47,
        "Garbage, slow and oversized requests, floods of HTTP/2 and of large bodies, and objects that can't be read or have too many parts",
        Who::Stranger,
        &[
            "f47_bodies_that_are_no_review",
            "f47_slow_clients",
            "f47_objects_that_cannot_be_read",
            "f47_floods_of_http_2_and_of_large_bodies",
            "f47_objects_of_many_small_parts",
            "hostile bytes: ten thousand damaged requests, and none is allowed",
        ],
        Partly(
            "memory and time are bounded, and nothing is let by; but whoever reaches the port can fill its places, and governed namespaces are closed meanwhile: f48",
        ),
    ),
    attack(
        'f',
        48,
        "A call without an API server's client certificate",
        Who::Stranger,
        &[],
        Later(
            "client certificates are not asked for yet: whoever reaches the port is told what a dry run in any namespace would tell",
        ),
    ),
    attack(
        'f',
        49,
        "A request on which a control panics",
        Who::Tenant,
        &["tests/admission/secrecy.rs: f49_a_control_that_panics_refuses_that_request_only"],
        Partly("no request is known that does it, so the library's test brings a control of its own that does"),
    ),
    attack(
        'f',
        50,
        "A request to a replica that hasn't seen the cluster yet",
        Who::Circumstance,
        &["f50_a_replica_that_has_not_seen_the_cluster"],
        Held,
    ),
    attack(
        'f',
        51,
        "An API server that is away while requests are judged",
        Who::Circumstance,
        &["b24_a_look_up_that_fails", "f51_leader_api_server_and_etcd_killed_or_stopped"],
        Held,
    ),
    attack(
        'f',
        52,
        "Old versions and weak suites of TLS",
        Who::Stranger,
        &["f52_old_versions_and_weak_suites_of_tls"],
        Partly("a build with a validated FIPS module is not offered yet"),
    ),
];
