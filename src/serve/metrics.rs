//! What is read at the moment of asking: the release, the baseline that decides, who leads, how complete the index is.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use tokio::sync::watch;

use super::certificate::Known;
use crate::cluster::Index;

/// Makes them visible in a registry whose prefix is `amanat`.
pub fn register(registry: &mut Registry, index: Arc<Index>, leading: watch::Receiver<bool>, known: Arc<Known>) {
    registry.register("build", "The release", Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]));
    registry.register_collector(Box::new(Live { index, leading, known }));
}

struct Live {
    index: Arc<Index>,
    leading: watch::Receiver<bool>,
    known: Arc<Known>,
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Live")
    }
}

impl Collector for Live {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let world = self.index.world();
        let declared = i64::try_from(world.declarations().count()).unwrap_or(i64::MAX);
        let gauges = [
            ("leader", "Whether this replica leads, and so writes", i64::from(*self.leading.borrow())),
            ("index_synced", "Whether every watch has delivered everything once", i64::from(self.index.synced())),
            ("baseline_stale", "Whether what decides is older than what is written", i64::from(world.baseline.stale)),
            ("cloud_workloads", "CloudWorkloads in the index", declared),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        let help = "The instant, in seconds since 1970, at which the CA, the leaf that is served, and the webhook \
            configurations' bundle end";
        let mut expiry =
            encoder.encode_descriptor("certificate_expiry_timestamp_seconds", help, None, MetricType::Gauge)?;
        for found in self.known.expiries() {
            let gauge = ConstGauge::new(found.validity.until.as_second());
            gauge.encode(expiry.encode_family(&[("part", found.part)])?)?;
        }
        let Some(engines) = &world.engines else { return Ok(()) };
        let regime = &engines.default_engine().regime;
        let engine = Info::new(vec![("baseline", regime.baseline.clone()), ("version", regime.version.clone())]);
        engine.encode(encoder.encode_descriptor("engine", "The baseline that decides", None, engine.metric_type())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::clock::ManualClock;
    use crate::serve::certificate::{Certificate, Lifetimes, ServedCertificate};

    #[test]
    fn the_moment_of_asking_counts() {
        let (lead, leading) = watch::channel(false);
        let served = Arc::new(ServedCertificate::default());
        let clock = Arc::new(ManualClock::at("2026-01-01T00:00:00Z"));
        let known = Known::new(Vec::new(), &Lifetimes::default(), clock, Arc::clone(&served));
        let mut registry = Registry::with_prefix("amanat");
        register(&mut registry, Arc::new(Index::new()), leading, Arc::new(known));
        let render = || {
            let mut text = String::new();
            prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
            text
        };
        let text = render();
        assert!(text.contains("amanat_build_info{version=\""), "{text}");
        assert!(text.contains("amanat_leader 0\n") && text.contains("amanat_index_synced 0\n"), "{text}");
        assert!(!text.contains("amanat_engine_info"), "{text}");
        assert!(!text.contains("certificate_expiry_timestamp_seconds{"), "{text}");
        let made = Certificate::make(&["a.example".to_owned()], "2026-01-01T00:00:00Z".parse().unwrap()).unwrap();
        served.set(made).unwrap();
        let text = render();
        assert!(text.contains("amanat_certificate_expiry_timestamp_seconds{part=\"ca\"} 1830297600\n"), "{text}");
        assert!(text.contains("amanat_certificate_expiry_timestamp_seconds{part=\"leaf\"} 1775001600\n"), "{text}");
        lead.send(true).unwrap();
        assert!(render().contains("amanat_leader 1\n"));
    }
}
