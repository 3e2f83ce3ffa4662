//! The cases of the cluster tests and how they are run.

use std::future::Future;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::{Builder, Handle};
use tokio::sync::OnceCell;

use crate::amanat::Amanat;
use crate::cluster::{self, Cluster};

const LONGEST: Duration = Duration::from_secs(15 * 60);
const THREADS: usize = 4;

type Run = dyn Fn(Arc<Suite>) -> Pin<Box<dyn Future<Output = Result<()>>>> + Send + Sync;

/// What the cases share: one cluster, and Amanat on it, each started by the first case that asks for it.
#[derive(Default)]
pub struct Suite {
    cluster: OnceCell<Result<Arc<Cluster>, String>>,
    amanat: OnceCell<Result<Arc<Amanat>, String>>,
}

/// One named case.
pub struct Case {
    name: String,
    alone: bool,
    own: bool,
    run: Box<Run>,
}

impl Suite {
    /// The shared cluster.
    pub async fn cluster(&self) -> Result<Arc<Cluster>> {
        // What failed once would fail again for every case.
        let started = self
            .cluster
            .get_or_init(async || Cluster::start().await.map(Arc::new).map_err(|error| format!("{error:#}")));
        match started.await {
            Ok(cluster) => Ok(Arc::clone(cluster)),
            Err(error) => bail!("the shared cluster didn't start: {error}"),
        }
    }

    /// Amanat on the shared cluster: two replicas behind a forwarder, which no case may leave in another state.
    pub async fn amanat(&self) -> Result<Arc<Amanat>> {
        let started = self.amanat.get_or_init(async || {
            let started = async { Amanat::start(self.cluster().await?).await };
            started.await.map(Arc::new).map_err(|error| format!("{error:#}"))
        });
        match started.await {
            Ok(amanat) => Ok(Arc::clone(amanat)),
            Err(error) => bail!("the shared installation didn't start: {error}"),
        }
    }

    /// The shared cluster, when it was started; what is installed on it is ended.
    fn end(self) -> Option<(Option<Amanat>, Arc<Cluster>)> {
        let cluster = self.cluster.into_inner()?.ok()?;
        let amanat = self.amanat.into_inner().and_then(Result::ok).and_then(Arc::into_inner);
        Some((amanat, cluster))
    }
}

impl Case {
    /// A case that shares the cluster with others at the same time, in namespaces of its own.
    pub fn new<F>(name: &str, run: impl Fn(Arc<Suite>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<()>> + 'static,
    {
        Self { name: name.to_owned(), alone: false, own: false, run: Box::new(move |suite| Box::pin(run(suite))) }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The case changes what others rely on: no other runs at the same time.
    #[must_use]
    pub fn alone(mut self) -> Self {
        self.alone = true;
        self
    }

    /// The case needs a control plane of ours: with `E2E_KUBECONFIG` it is left out.
    #[must_use]
    pub fn on_own_cluster(mut self) -> Self {
        self.own = true;
        self
    }
}

/// Runs the cases as the arguments say, in the manner of `cargo test`.
///
/// Cases that are alone come last. When one fails, the folder with the logs of the shared cluster stays.
pub fn run(cases: Vec<Case>) -> Result<ExitCode> {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(THREADS);
    let runtime = Builder::new_multi_thread().enable_all().build().context("start the runtime")?;
    let suite = Arc::new(Suite::default());
    let turn = Arc::new(RwLock::new(()));

    let (alone, together): (Vec<_>, Vec<_>) = cases.into_iter().partition(|case| case.alone);
    let trials = together.into_iter().chain(alone).map(|case| {
        let left_out = case.own && cluster::is_foreign();
        let (handle, suite, turn) = (runtime.handle().clone(), Arc::clone(&suite), Arc::clone(&turn));
        Trial::test(case.name, move || {
            if case.alone {
                let _turn = turn.write().unwrap_or_else(PoisonError::into_inner);
                run_one(&handle, &case.run, suite)
            } else {
                let _turn = turn.read().unwrap_or_else(PoisonError::into_inner);
                run_one(&handle, &case.run, suite)
            }
        })
        .with_ignored_flag(left_out)
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());

    let Some((amanat, cluster)) = Arc::into_inner(suite).and_then(Suite::end) else {
        return Ok(conclusion.exit_code());
    };
    if let Some(amanat) = amanat.filter(|_| cluster::is_foreign()) {
        runtime.block_on(amanat.uninstall())?;
    }
    if let Some(mut cluster) = Arc::into_inner(cluster) {
        if conclusion.has_failed() {
            eprintln!("e2e: logs, data and kubeconfigs stay in {}", cluster.keep_folder()?.display());
        }
        drop(cluster);
    }
    Ok(conclusion.exit_code())
}

fn run_one(handle: &Handle, run: &Run, suite: Arc<Suite>) -> Result<(), Failed> {
    let outcome = handle.block_on(async { tokio::time::timeout(LONGEST, run(suite)).await });
    let outcome = outcome.unwrap_or_else(|_| Err(anyhow!("the case didn't end within {LONGEST:?}")));
    outcome.map_err(|error| Failed::from(format!("{error:#}")))
}
