use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ractor::Actor;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::board::{Board, Phase, TrainBoard};
use super::entry::Register;
use super::outcome::{outcome, why_nothing};
use super::probe::{open_probe, start_probe};
use super::roster::{Roster, setup};
use super::service;
use super::sight::Sightings;
use super::signals::{Asked, Signals};
use super::stream_group::SharedParts;
use super::supervisor::{Supervisor, SupervisorMessage, SupervisorParts};
use super::trainer::{follow_trainer, join_apart, lost_trainer, reason_of, start_trainer};
use super::watched_source::{WatchedReplay, open_replay, start_spilling};
use super::{Prepared, Provenance, RunError, RunSummary, prepare};
use crate::config::{Config, ConfigSource};
use crate::decode::DecodePool;
use crate::ingest::{ByteBudget, HostPacer};
use crate::probe::{HandOver, ProbeThread, Prober};
use crate::server::{Daemon, Server};
use crate::telemetry::{Heartbeat, Registry};
use crate::train::{Command, EndReason, TrainError, TrainSummary};
use crate::window::WindowAllowance;

/// How long the supervisor may go without looking after its streams.
const SUPERVISOR_SILENCE: Duration = Duration::from_secs(30);

/// How long the streams may take to stop when the run ends.
const STREAMS_DEADLINE: Duration = Duration::from_secs(5);

/// Runs until the sources are over and trained on, a limit is reached, training fails, or SIGINT or SIGTERM comes. SIGHUP reads
/// the config again from `source`.
///
/// # Errors
/// [`RunError`]: what kept it from starting, or from ending well.
pub fn run(config: Config, source: ConfigSource) -> Result<RunSummary, RunError> {
    run_watched(config, source, drop)
}

/// So long a thread that answers requests waits for the next one. A new thread for every scrape would get another one of malloc's
/// arenas each time, and each arena keeps the memory of a page.
const ANSWERING_THREAD_WAITS: Duration = Duration::from_secs(900);

/// As [`run()`]; gives the running program to `watch` once it has begun.
///
/// # Errors
/// As [`run()`].
pub fn run_watched(
    config: Config,
    source: ConfigSource,
    watch: impl FnOnce(Arc<dyn Daemon>),
) -> Result<RunSummary, RunError> {
    if config.stream.is_empty() {
        return Err(RunError::NoStreams);
    }
    let server = Server::bind(&config.server)?;
    let prepared = prepare(&config)?;
    let probe = open_probe(&config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("control")
        .thread_keep_alive(ANSWERING_THREAD_WAITS)
        .enable_all()
        .build()
        .map_err(|source| RunError::System {
            what: "the control threads did not start",
            source,
        })?;
    let ended = runtime.block_on(Run::start_and_end(
        config,
        source,
        server,
        (prepared, probe),
        watch,
    ));
    // A request that hangs on a slow disk must not hold the end up.
    runtime.shutdown_timeout(Duration::from_secs(2));
    ended
}

struct Run {
    board: Arc<Board>,
    pool: DecodePool,
    trainer: mpsc::Receiver<Result<TrainSummary, TrainError>>,
    probe: Option<ProbeThread>,
    supervisor: ractor::ActorRef<SupervisorMessage>,
    all_over: watch::Receiver<bool>,
    max_duration: Option<Duration>,
    signals: Signals,
    /// There is a config file that can be read again.
    has_config: bool,
}

/// Reads the config again, on a thread that may block.
async fn reload(board: Arc<Board>) {
    let read = {
        let board = board.clone();
        tokio::task::spawn_blocking(move || board.reload())
    };
    match read.await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::error!(%error, "the config was not read again; nothing has changed"),
        Err(error) => tracing::error!(%error, "reading the config again failed"),
    }
    service::ready(board.streams.all().len());
}

/// Why the run's work is over.
enum Over {
    Told(&'static str),
    MaxDuration(Duration),
    Trainer(Box<Result<TrainSummary, TrainError>>),
}

impl Run {
    async fn start_and_end(
        config: Config,
        source: ConfigSource,
        server: Server,
        prepared: (Prepared, Option<(Prober, HandOver)>),
        watch: impl FnOnce(Arc<dyn Daemon>),
    ) -> Result<RunSummary, RunError> {
        let registry = Registry::new(SystemTime::now());
        let stop_server = CancellationToken::new();
        let mut run = Self::start(config, source, prepared, &registry).await?;
        let upkeep = tokio::spawn(registry.clone().keep_up());
        let history = tokio::spawn(run.board.clone().keep_history());
        let daemon: Arc<dyn Daemon> = run.board.clone();
        watch(daemon.clone());
        let serving = tokio::spawn(server.serve(daemon, registry, stop_server.clone()));
        let watchdog = service::feed_watchdog(run.board.clone());
        let over = run.work().await;
        let ended = run.end(over).await;
        stop_server.cancel();
        if let Ok(Err(error)) = serving.await {
            tracing::error!(%error, "the server failed");
        }
        upkeep.abort();
        history.abort();
        if let Some(watchdog) = watchdog {
            watchdog.abort();
        }
        ended
    }

    async fn start(
        config: Config,
        source: ConfigSource,
        (prepared, probe): (Prepared, Option<(Prober, HandOver)>),
        registry: &Registry,
    ) -> Result<Self, RunError> {
        let started = Instant::now();
        let signals = Signals::new()?;
        let spec = config.train.sample_spec();
        let seed = config.train.seed;
        let budget = ByteBudget::new(config.ingest.memory.as_u64() as usize);
        let replay = Arc::new(open_replay(&config, &spec)?);
        let pool = DecodePool::start(&config.decode)?;
        let provenance = Provenance::default();
        replay.observe({
            let provenance = provenance.clone();
            move |sample| provenance.record(sample)
        });
        if config.run.deterministic {
            let enabled = prepared.sources.iter().filter(|checked| checked.config.enabled);
            replay.fix_order(enabled.map(|checked| checked.name.clone()).collect());
        }
        let train_heartbeat = Heartbeat::new("train", config.run.step_deadline, started);
        let supervisor_heartbeat = Heartbeat::new("streams", SUPERVISOR_SILENCE, started);
        let (prober, hand_over) = probe.unzip();
        let (events, trainer_said) = crossbeam_channel::unbounded();
        let trainer = start_trainer(
            &config,
            &provenance,
            WatchedReplay {
                replay: replay.clone(),
                heartbeat: train_heartbeat.clone(),
                deterministic: config.run.deterministic,
            },
            hand_over,
            events,
        )?;
        if config.replay.spill.is_some() && !config.run.deterministic {
            // The trainer has found the checkpoints' slots by now.
            start_spilling(&replay)?;
        }
        let names: Vec<_> = prepared
            .sources
            .iter()
            .map(|checked| checked.name.clone())
            .collect();
        let register = Register::default();
        let board = Arc::new(Board {
            started,
            streams: register.clone(),
            roster: OnceLock::new(),
            replay: replay.clone(),
            decoders: pool.queue(),
            budget: budget.clone(),
            provenance: provenance.clone(),
            checkpoints: config.checkpoint.dir.clone(),
            model_bytes: trainer.model_bytes(),
            checkpoint_every: config.checkpoint.every,
            newest_checkpoint: (None, started).into(),
            sightings: Sightings::new(config.decode.decoder, spec),
            commands: trainer.commands(),
            train_heartbeat: train_heartbeat.clone(),
            heartbeats: vec![train_heartbeat, supervisor_heartbeat.clone()],
            train: TrainBoard {
                preset: config.train.preset.name().to_owned(),
                device: format!("{:?}", trainer.device()).to_lowercase(),
                ..TrainBoard::default()
            }
            .into(),
            phase: Phase::default().into(),
        });
        registry.collect_with({
            let board = board.clone();
            move |page| board.collect(page)
        });
        follow_trainer(trainer_said, board.clone(), registry, trainer.first_step());
        // Not before the trainer: see there.
        let probe = prober
            .map(|prober| start_probe(prober, board.clone(), registry))
            .transpose()?;
        let (all_over_tx, all_over) = watch::channel(false);
        let shared = Arc::new(SharedParts {
            ingest: config.ingest.clone(),
            window: config.window.clone(),
            // Together half of the budget at most: were all of it theirs, sources would wait for credit that nobody gives back.
            allowance: WindowAllowance::new(budget.capacity_bytes() / 2),
            pacer: HostPacer::new(config.ingest.host_spacing),
            spec,
            templates: prepared.templates.clone(),
            budget,
            decoders: pool.queue(),
            replay,
            provenance,
            wall_clock: Arc::new(unix_now_ns),
            seed,
            deterministic: config.run.deterministic,
        });
        let streams = prepared.sources.into_iter().map(setup);
        let parts = SupervisorParts {
            shared,
            streams: streams.collect(),
            register,
            heartbeat: supervisor_heartbeat,
            all_over: all_over_tx,
        };
        let (supervisor, _) =
            Actor::spawn(None, Supervisor, parts)
                .await
                .map_err(|error| RunError::Actor {
                    what: "the supervisor of streams".to_owned(),
                    reason: error.to_string(),
                })?;
        let has_config = source.path.is_some();
        let roster = Roster::new(
            source,
            config.clone(),
            &names,
            prepared.templates,
            supervisor.clone(),
        );
        // Set nowhere else.
        let _ = board.roster.set(roster);
        tracing::info!(
            streams = names.len(),
            preset = config.train.preset.name(),
            device = ?trainer.device(),
            step = trainer.first_step(),
            "learning begins"
        );
        board.enter(Phase::Running);
        service::ready(names.len());
        Ok(Self {
            board: board.clone(),
            pool,
            trainer: join_apart(trainer, board.clone()),
            probe,
            supervisor,
            all_over,
            max_duration: config.run.max_duration,
            signals,
            has_config,
        })
    }

    /// Until something ends the run.
    async fn work(&mut self) -> Over {
        let deadline = async {
            match self.max_duration {
                Some(limit) => {
                    tokio::time::sleep(limit).await;
                    limit
                }
                None => std::future::pending().await,
            }
        };
        tokio::pin!(deadline);
        loop {
            tokio::select! {
                asked = self.signals.next() => match asked {
                    Asked::End(signal) => return Over::Told(signal),
                    Asked::Snapshot => self.board.snapshot_by_signal(),
                    Asked::Reload if !self.has_config => return Over::Told("SIGHUP"),
                    Asked::Reload => {
                        service::reloading();
                        tokio::spawn(reload(self.board.clone()));
                    }
                },
                limit = &mut deadline => return Over::MaxDuration(limit),
                ended = self.trainer.recv() => {
                    return Over::Trainer(Box::new(ended.unwrap_or_else(|| Err(lost_trainer()))));
                }
                changed = self.all_over.changed() => {
                    if changed.is_err() {
                        // Only a supervisor that failed drops its end; its streams went with it.
                        tracing::error!("the supervisor of streams has failed");
                        self.board.replay.sources_ended();
                        self.all_over = watch::channel(true).1;
                    } else if *self.all_over.borrow_and_update() {
                        tracing::info!("all streams are over; training goes on with what replay holds");
                        self.board.replay.sources_ended();
                    } else {
                        self.board.replay.sources_started();
                    }
                }
            }
        }
    }

    /// Ends in good order: ingest stops, the step under way is finished, a snapshot is written.
    async fn end(mut self, over: Over) -> Result<RunSummary, RunError> {
        self.board.enter(Phase::Stopping);
        let mut trained = None;
        let told = !matches!(over, Over::Trainer(_));
        let reason = match over {
            Over::Told(signal) => signal.to_owned(),
            Over::MaxDuration(limit) => {
                format!(
                    "the time limit of {} is reached",
                    humantime::format_duration(limit)
                )
            }
            Over::Trainer(ended) => {
                let reason = match &*ended {
                    Ok(summary) => reason_of(&summary.reason),
                    Err(error) => error.to_string(),
                };
                trained = Some(*ended);
                reason
            }
        };
        tracing::info!(reason, "the run ends");
        service::stopping(&reason);
        // The step under way is finished while the streams stop. A trainer that has ended needs no word.
        let _ = self.board.commands.send(Command::Stop);
        self.board.replay.close();
        self.board.budget.close();
        let stop = |reply| SupervisorMessage::StopAll {
            deadline: STREAMS_DEADLINE,
            reply,
        };
        let stopping = self.supervisor.call(stop, Some(STREAMS_DEADLINE * 2));
        tokio::select! {
            _ = stopping => {}
            () = told_again(&mut self.signals) => return Err(RunError::Impatience),
        }
        let trained = match trained {
            Some(trained) => trained,
            None => tokio::select! {
                ended = self.trainer.recv() => ended.unwrap_or_else(|| Err(lost_trainer())),
                () = told_again(&mut self.signals) => return Err(RunError::Impatience),
            },
        };
        self.supervisor.stop(None);
        // The trainer's end told it. libtorch must not be at work any more when the process goes.
        if let Some(probe) = self.probe
            && !matches!(tokio::task::spawn_blocking(|| probe.join()).await, Ok(true))
        {
            tracing::warn!("the probe's thread did not end in time");
        }
        let pool = self.pool;
        // Decoders finish the jobs that have begun; a hung one has a deadline of its own.
        let _ = tokio::time::timeout(
            STREAMS_DEADLINE,
            tokio::task::spawn_blocking(move || pool.close()),
        )
        .await;
        let train = trained?;
        let streams: Vec<_> = self
            .board
            .streams
            .all()
            .iter()
            .map(|entry| outcome(entry, &self.board))
            .collect();
        for stream in &streams {
            tracing::info!(
                stream = stream.name,
                access_units = stream.account.received,
                used = stream.account.used,
                skipped = stream.account.skipped.values().sum::<u64>(),
                dropped = stream.account.dropped.values().sum::<u64>(),
                unsettled = stream.unsettled(),
                buffered = stream.account.buffered,
                samples = stream.samples,
                short_videos = stream.short_videos,
                "the stream's account"
            );
        }
        let saved_step = train.snapshot.as_ref().map(|snapshot| snapshot.step);
        if train.steps_taken > 0 && saved_step != Some(train.step) {
            return Err(RunError::LastCheckpoint {
                step: train.step,
                saved_step,
            });
        }
        // Whoever ends a run early knows that it may have learned nothing.
        if !told && train.steps_taken == 0 && matches!(train.reason, EndReason::DataEnded(_)) {
            return Err(RunError::NothingLearned(why_nothing(&streams, &reason)));
        }
        Ok(RunSummary {
            reason,
            train,
            streams,
        })
    }
}

/// Waits until it is told to end once more; other signals are too late.
async fn told_again(signals: &mut Signals) {
    while !matches!(signals.next().await, Asked::End(_)) {}
}

fn unix_now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
