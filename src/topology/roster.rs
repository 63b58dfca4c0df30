use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use ractor::{ActorRef, RpcReplyPort, rpc::CallResult};
use toml::Table;

use super::entry::{About, StreamEntry};
use super::prepare::{CheckedSource, check_source};
use super::stream_group::StreamSetup;
use super::supervisor::SupervisorMessage;
use crate::config::{Config, ConfigSource, forget_stream, keep_stream, stream_from_table};
use crate::ingest::{SourceKind, StreamConfig, StreamName, StreamOrigin, Templates, resolve_streams};
use crate::server::{ChangeError, Keep, ReloadView};

/// How long a stream may take to stop when it is taken out or replaced.
const LEAVE_DEADLINE: Duration = Duration::from_secs(5);

/// Which streams there are, and where each one's entry stands: lets them come, change and go while the run goes on, one
/// change at a time. Blocks; not for async code.
pub(super) struct Roster {
    source: ConfigSource,
    /// As it was when the run began.
    stream_folder: PathBuf,
    templates: Templates,
    supervisor: ActorRef<SupervisorMessage>,
    runtime: tokio::runtime::Handle,
    state: Mutex<State>,
}

struct State {
    /// As it was read last.
    config: Config,
    /// The streams of that config, by name.
    configured: Vec<(StreamName, StreamConfig)>,
    /// The streams that there are, with what the API changed.
    present: Vec<(StreamName, StreamConfig)>,
}

impl Roster {
    /// `names` are those of the config's streams, in order.
    pub fn new(
        source: ConfigSource,
        config: Config,
        names: &[StreamName],
        templates: Templates,
        supervisor: ActorRef<SupervisorMessage>,
    ) -> Self {
        let configured: Vec<_> = names.iter().cloned().zip(config.stream.iter().cloned()).collect();
        Self {
            source,
            stream_folder: config.ingest.stream_folder.clone(),
            templates,
            supervisor,
            runtime: tokio::runtime::Handle::current(),
            state: Mutex::new(State {
                config,
                present: configured.clone(),
                configured,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Adds a stream; its entry as in a file of the stream folder, its name in it or made from its source.
    pub fn add(&self, entry: Table, keep: Keep) -> Result<StreamName, ChangeError> {
        let mut state = self.lock();
        self.may_change(&state)?;
        let config = self.read(&entry)?;
        let (name, _) = state.resolve(&config)?;
        if state.present(&name).is_some() {
            return Err(ChangeError::Exists(name.to_string()));
        }
        self.put(&mut state, name, config, entry, keep)
    }

    /// Puts a stream in the place of the one of this name, or adds it.
    pub fn replace(&self, name: &str, mut entry: Table, keep: Keep) -> Result<StreamName, ChangeError> {
        let mut state = self.lock();
        self.may_change(&state)?;
        let said = entry.entry("name").or_insert_with(|| name.into());
        if said.as_str() != Some(name) {
            return Err(ChangeError::Invalid(format!(
                "name: the address says {name:?}; leave it out, or write the same"
            )));
        }
        let config = self.read(&entry)?;
        let (name, _) = state.resolve(&config)?;
        self.put(&mut state, name, config, entry, keep)
    }

    /// Starts a stream that is disabled, has failed or has ended, or stops one.
    pub fn switch(&self, name: &str, enabled: bool, keep: Keep) -> Result<StreamName, ChangeError> {
        let mut state = self.lock();
        self.may_change(&state)?;
        let (name, config) = state.known(name)?;
        let mut config = config.clone();
        config.enabled = enabled;
        if let Keep::Yes = keep {
            let StreamOrigin::File(path) = &config.origin else {
                return Err(not_kept(&name, &config.origin));
            };
            let text = std::fs::read_to_string(path).map_err(|error| unwritable(path, &error))?;
            let mut entry: Table = text
                .parse()
                .map_err(|_| ChangeError::Failed(format!("{}: it is no TOML any more", path.display())))?;
            entry.insert("enabled".to_owned(), enabled.into());
            self.write(&name, &entry)?;
        }
        if enabled {
            self.start(&name, &config)?;
        } else {
            let name = name.clone();
            self.tell(move |reply| SupervisorMessage::Disable {
                name,
                deadline: LEAVE_DEADLINE,
                reply,
            })?;
        }
        tracing::info!(stream = %name, enabled, "switched over the API");
        let kept = keep == Keep::Yes;
        state.remember(&name, Some(config), kept);
        Ok(name)
    }

    /// Stops a stream and takes it out.
    pub fn remove(&self, name: &str, keep: Keep) -> Result<(), ChangeError> {
        let mut state = self.lock();
        self.may_change(&state)?;
        let (name, config) = state.known(name)?;
        if let Keep::Yes = keep {
            match &config.origin {
                StreamOrigin::File(path) => forget_stream(path).map_err(|error| unwritable(path, &error))?,
                // Nothing of it stands anywhere.
                StreamOrigin::Api => {}
                origin => return Err(not_kept(&name, origin)),
            }
        }
        self.take_out(&name)?;
        tracing::info!(stream = %name, "removed over the API");
        state.remember(&name, None, keep == Keep::Yes);
        Ok(())
    }

    /// Reads the config again and does what differs: streams come, change and go. What cannot change while the run goes on is
    /// named. A config that is wrong changes nothing.
    pub fn reload(&self) -> Result<ReloadView, ChangeError> {
        let mut state = self.lock();
        self.may_change(&state)?;
        let new = self
            .source
            .load()
            .map_err(|error| ChangeError::Invalid(error.to_string()))?;
        let resolved =
            resolve_streams(&new.stream).map_err(|error| ChangeError::Invalid(error.to_string()))?;
        let names = resolved.into_iter().map(|(name, _)| name);
        let configured: Vec<_> = names.zip(new.stream.iter().cloned()).collect();
        let mut done = ReloadView {
            needs_restart: differences(&state.config, &new),
            ..ReloadView::default()
        };
        for (name, _) in state.configured.clone() {
            let gone = !configured.iter().any(|(other, _)| *other == name);
            if gone && state.present(&name).is_some() {
                match self.take_out(&name) {
                    Ok(()) => done.removed.push(name.to_string()),
                    Err(error) => done.failed.push(error.to_string()),
                }
                state.remember(&name, None, false);
            }
        }
        for (name, config) in &configured {
            let before = state.configured.iter().find(|(other, _)| other == name);
            if before.is_some_and(|(_, before)| before == config) {
                continue;
            }
            let known = state.present(name).is_some();
            match self.start(name, config) {
                Ok(()) => {
                    state.remember(name, Some(config.clone()), false);
                    let list = if known { &mut done.changed } else { &mut done.added };
                    list.push(name.to_string());
                }
                Err(error) => done.failed.push(format!("stream {name}: {error}")),
            }
        }
        // A stream that could not start is tried again by the next reload.
        let failed = |name: &StreamName| {
            let begins = format!("stream {name}: ");
            done.failed.iter().any(|failure| failure.starts_with(&begins))
        };
        state.configured = configured.into_iter().filter(|(name, _)| !failed(name)).collect();
        state.config = new;
        for key in &done.needs_restart {
            tracing::warn!(
                key,
                "changed in the config, and takes effect with the next start only"
            );
        }
        for failure in &done.failed {
            tracing::error!(failure, "a change of the config could not be made");
        }
        tracing::info!(
            added = ?done.added,
            changed = ?done.changed,
            removed = ?done.removed,
            "the config is read again"
        );
        Ok(done)
    }

    /// # Errors
    /// In a run whose streams' order of arrival is fixed.
    fn may_change(&self, state: &State) -> Result<(), ChangeError> {
        match state.config.run.deterministic {
            true => Err(ChangeError::NotKept(
                "run.deterministic fixes which streams there are and in which order they are learned from"
                    .to_owned(),
            )),
            false => Ok(()),
        }
    }

    fn read(&self, entry: &Table) -> Result<StreamConfig, ChangeError> {
        stream_from_table(entry.clone(), self.source.folder())
            .map_err(|error| ChangeError::Invalid(error.to_string()))
    }

    fn put(
        &self,
        state: &mut State,
        name: StreamName,
        mut config: StreamConfig,
        mut entry: Table,
        keep: Keep,
    ) -> Result<StreamName, ChangeError> {
        config.name = Some(name.to_string());
        let origin = state.present(&name).map(|config| config.origin.clone());
        if let (Keep::Yes, Some(origin @ (StreamOrigin::Config | StreamOrigin::CommandLine))) =
            (keep, &origin)
        {
            return Err(not_kept(&name, origin));
        }
        // A source that cannot be is refused before anything is written.
        self.check(&name, &config)?;
        if let Keep::Yes = keep {
            entry.insert("name".to_owned(), name.as_str().into());
            config.origin = StreamOrigin::File(self.write(&name, &entry)?);
        } else if let Some(StreamOrigin::File(path)) = origin {
            // Its file stays as it is.
            config.origin = StreamOrigin::File(path);
        }
        self.start(&name, &config)?;
        tracing::info!(stream = %name, kept = keep == Keep::Yes, "put over the API");
        state.remember(&name, Some(config), keep == Keep::Yes);
        Ok(name)
    }

    fn write(&self, name: &StreamName, entry: &Table) -> Result<PathBuf, ChangeError> {
        if let Some(why) = self.source.keeps_no_streams() {
            return Err(ChangeError::NotKept(why.to_owned()));
        }
        let folder = self.stream_folder.clone();
        keep_stream(&folder, name, entry).map_err(|error| unwritable(&folder, &error))
    }

    fn check(&self, name: &StreamName, config: &StreamConfig) -> Result<CheckedSource, ChangeError> {
        let source = config
            .source(name.as_str())
            .map_err(|error| ChangeError::Invalid(error.to_string()))?;
        check_source(name.clone(), source, config, &self.templates)
            .map_err(|error| ChangeError::Unusable(error.to_string()))
    }

    /// Starts the stream, in the place of the one of its name if there is one.
    fn start(&self, name: &StreamName, config: &StreamConfig) -> Result<(), ChangeError> {
        let checked = self.check(name, config)?;
        let setup = Box::new(setup(checked));
        self.tell(|reply| SupervisorMessage::Put {
            setup,
            deadline: LEAVE_DEADLINE,
            reply,
        })
    }

    fn take_out(&self, name: &StreamName) -> Result<(), ChangeError> {
        let name = name.clone();
        self.tell(|reply| SupervisorMessage::Remove {
            name,
            deadline: LEAVE_DEADLINE,
            reply,
        })
    }

    fn tell(&self, message: impl FnOnce(RpcReplyPort<()>) -> SupervisorMessage) -> Result<(), ChangeError> {
        let told = self
            .runtime
            .block_on(self.supervisor.call(message, Some(LEAVE_DEADLINE * 3)));
        match told {
            Ok(CallResult::Success(())) => Ok(()),
            _ => Err(ChangeError::Failed(
                "the streams' supervisor gave no answer; the run may be ending".to_owned(),
            )),
        }
    }
}

impl State {
    fn present(&self, name: &StreamName) -> Option<&StreamConfig> {
        let found = self.present.iter().find(|(other, _)| other == name);
        found.map(|(_, config)| config)
    }

    fn known(&self, name: &str) -> Result<(StreamName, &StreamConfig), ChangeError> {
        let found = self.present.iter().find(|(other, _)| other.as_str() == name);
        let (name, config) = found.ok_or_else(|| ChangeError::NotFound(name.to_owned()))?;
        Ok((name.clone(), config))
    }

    /// The entry's name, which is made where it is missing, and its source.
    fn resolve(&self, config: &StreamConfig) -> Result<(StreamName, SourceKind), ChangeError> {
        let invalid = |error: crate::ingest::IngestError| ChangeError::Invalid(error.to_string());
        let label = config.name.clone().unwrap_or_else(|| "without a name".to_owned());
        match config.name.is_some() {
            true => resolve_streams(std::slice::from_ref(config))
                .map_err(invalid)?
                .pop()
                .ok_or_else(|| ChangeError::Invalid("no stream".to_owned())),
            false => {
                let source = config.source(&label).map_err(invalid)?;
                let taken = self.present.iter().map(|(name, _)| name.clone()).collect();
                Ok((source.default_name(&taken), source))
            }
        }
    }

    /// Books what there is now; `kept`: the config says so too.
    fn remember(&mut self, name: &StreamName, config: Option<StreamConfig>, kept: bool) {
        let set = |list: &mut Vec<(StreamName, StreamConfig)>| {
            let at = list.iter().position(|(other, _)| other == name);
            match (at, &config) {
                (Some(at), Some(config)) => list[at].1 = config.clone(),
                (None, Some(config)) => list.push((name.clone(), config.clone())),
                (Some(at), None) => drop(list.remove(at)),
                (None, None) => {}
            }
        };
        set(&mut self.present);
        if kept {
            set(&mut self.configured);
        }
    }
}

/// A checked source, ready to be started.
pub(super) fn setup(checked: CheckedSource) -> StreamSetup {
    let about = About {
        source: checked.source.to_string(),
        origin: checked.config.origin.clone(),
        enabled: checked.config.enabled,
    };
    StreamSetup {
        entry: Arc::new(StreamEntry::new(checked.name, about)),
        source: checked.source,
        config: checked.config,
    }
}

fn not_kept(name: &StreamName, origin: &StreamOrigin) -> ChangeError {
    ChangeError::NotKept(match origin {
        StreamOrigin::Config => {
            format!(
                "stream {name} stands in the config file: change it there, then reload; or leave persist out"
            )
        }
        StreamOrigin::CommandLine => format!("stream {name} was named on the command line"),
        StreamOrigin::Api | StreamOrigin::File(_) => {
            format!("stream {name} stands in no file yet: PUT it with persist=true")
        }
    })
}

fn unwritable(path: &std::path::Path, error: &std::io::Error) -> ChangeError {
    ChangeError::Failed(format!("{}: {error}", path.display()))
}

/// Dotted keys outside of the streams whose values differ.
fn differences(old: &Config, new: &Config) -> Vec<String> {
    let table = |config: &Config| {
        let mut config = config.clone();
        config.stream.clear();
        Table::try_from(&config).unwrap_or_default()
    };
    let mut keys = Vec::new();
    compare("", &table(old), &table(new), &mut keys);
    keys
}

fn compare(above: &str, old: &Table, new: &Table, keys: &mut Vec<String>) {
    let all: std::collections::BTreeSet<_> = old.keys().chain(new.keys()).collect();
    for key in all {
        let dotted = format!("{above}{key}");
        match (old.get(key), new.get(key)) {
            (Some(toml::Value::Table(old)), Some(toml::Value::Table(new))) => {
                compare(&format!("{dotted}."), old, new, keys);
            }
            (old, new) if old != new => keys.push(dotted),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_outside_of_the_streams_is_named_by_its_key() {
        let old = Config::default();
        let mut new = old.clone();
        new.train.warmup_steps += 1;
        new.replay.tolerance = Some(1000.0);
        new.stream.push(StreamConfig::default());
        assert_eq!(
            differences(&old, &new),
            ["replay.tolerance", "train.warmup_steps"]
        );
        assert_eq!(differences(&new, &new), Vec::<String>::new());
    }
}
