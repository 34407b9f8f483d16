//! A configuration file that is loaded again when it changes.

use std::{
    collections::BTreeSet,
    fmt, fs, mem,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, Weak},
    thread,
    time::{Duration, SystemTime},
};

use notify_debouncer_mini::{
    Config, DebounceEventResult, Debouncer, new_debouncer_opt,
    notify::{self, RecursiveMode, Watcher as _, WatcherKind},
};

use super::{
    changes::Changes,
    registry::{Registry, WeakRegistry},
    trail::Trail,
};
use crate::{
    config::{ConfigFile, Source},
    error::{ConfigError, ConfigErrors},
    event::{ConfigRejected, Event},
    lock::lock,
};

/// How long changes are gathered before the file is read.
const GATHERED: Duration = Duration::from_millis(100);

/// How long a file must have stayed as it is to count as written: some write in pieces.
const SETTLED: Duration = Duration::from_millis(50);

/// How often a file that keeps changing is read before it is taken as it is.
const READS: u32 = 100;

/// How often it is looked where the file leads to, if that keeps changing.
const LOOKS: u32 = 10;

/// A file that is watched: from [`Registry::watch`].
#[derive(Clone)]
pub struct Watch(Arc<Inner>);

struct Inner {
    file: ConfigFile,
    registry: WeakRegistry,
    /// What was read last, good or bad.
    last: Mutex<Option<Last>>,
    /// Why changes of it may be missed.
    unwatched: Mutex<Option<ConfigErrors>>,
    /// What tells of changes; none before it began, and once it was stopped.
    watcher: Mutex<Option<Watcher>>,
}

/// What the file says.
#[derive(Debug, Clone, PartialEq)]
struct Read {
    text: Result<String, ConfigError>,
    /// When it was written, as far as that is known.
    modified: Option<SystemTime>,
}

struct Last {
    read: Read,
    /// It is not in force.
    is_refused: bool,
}

struct Watcher {
    changes: Debouncer<Changes>,
    trail: Trail,
    /// Whatever is watched of it.
    watched: BTreeSet<PathBuf>,
}

impl Registry {
    /// Loads a file as [`configure_file`](Self::configure_file) does, and again whenever it changes: an
    /// operator edits it, and the program goes on under the new settings.
    ///
    /// A file with mistakes changes nothing, and is told as [`ConfigRejected`](Event::ConfigRejected) with
    /// every mistake and its place. So is one that is gone: its settings stay. One that was refused is tried
    /// again when it is saved again, and when another source is loaded or a policy is installed that it may
    /// have waited for. Changes are gathered for 100 ms, and the file is taken once it has stayed the same for
    /// another 50 ms. To be safe from a half of it being read, write another file and rename it over this one.
    /// Links are followed, also when they come to lead elsewhere, as those of a mounted `ConfigMap` do; so is
    /// a directory that is made again, and on Linux one that takes the name of another anywhere on the way.
    ///
    /// The file is watched as long as the registry is there, or until [`Watch::stop`]; dropping the `Watch`
    /// does not end it. A path that begins in the current directory keeps to the one of now. Network file
    /// systems may not tell of changes that other machines make.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), steadfast::ConfigErrors> {
    /// steadfast::registry().watch("/etc/shop/steadfast.toml")?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// All that [`configure_file`](Self::configure_file) finds, and a directory that cannot be watched. Then
    /// the file is not watched.
    pub fn watch(&self, path: impl AsRef<Path>) -> Result<Watch, ConfigErrors> {
        let watch = Watch(Arc::new(Inner {
            file: ConfigFile::at(path.as_ref()),
            registry: self.downgrade(),
            last: Mutex::new(None),
            unwatched: Mutex::new(None),
            watcher: Mutex::new(None),
        }));
        match watch.0.first(self) {
            Ok(()) => {
                self.keep(watch.clone());
                Ok(watch)
            }
            Err(errors) => {
                watch.stop();
                Err(errors)
            }
        }
    }
}

impl Watch {
    /// The file, as its path was given.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.file.name()
    }

    /// Loads the file if it was refused before, and is not wrong any more.
    pub(super) fn retry(&self, registry: &Registry) {
        self.0.retry(registry);
    }

    /// Whether it goes on.
    pub(super) fn is_wanted(&self) -> bool {
        self.0.is_wanted()
    }

    /// Ends it: nothing is loaded after that. The settings that are in force stay so.
    pub fn stop(&self) {
        // Dropped outside the lock: it may wait for its thread, which may wait for the lock.
        let watcher = lock(&self.0.watcher).take();
        drop(watcher);
        // Whoever is about to load now has done so, or finds that it is not wanted.
        if let Some(registry) = self.0.registry.upgrade() {
            drop(registry.configuration().changing());
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watch").field(&self.path()).finish()
    }
}

impl Read {
    fn of(file: &ConfigFile) -> Self {
        let modified = fs::metadata(file.path()).and_then(|file| file.modified());
        Self {
            modified: modified.ok(),
            text: file.text(),
        }
    }
}

impl Last {
    fn says(&self, text: &str) -> bool {
        self.read.text.as_deref() == Ok(text)
    }
}

impl Watcher {
    /// Watches the directories in which it is decided what the file says: it may be replaced at any time,
    /// and so may what leads to it.
    fn follow(&mut self, path: &Path) -> notify::Result<()> {
        let mut followed = Ok(());
        for _ in 0..LOOKS {
            let trail = Trail::to(path);
            let beside = beside(&trail);
            let wanted: BTreeSet<_> = trail.directories.union(&beside).cloned().collect();
            for left in self.watched.difference(&wanted) {
                // If it is no more, nor is its watch.
                drop(self.changes.watcher().unwatch(left));
            }
            self.watched = wanted;
            // Also those that are watched: it may be another one of the same name.
            followed = Ok(());
            for each in &trail.directories {
                // Where one cannot be, the others are all the same.
                followed = followed.and(self.watch(each));
            }
            for each in &beside {
                // As far as the program may look at it.
                drop(self.watch(each));
            }
            let is_settled = followed.is_ok() && Trail::to(path) == trail;
            self.trail = trail;
            if is_settled {
                break;
            }
        }
        followed
    }

    fn watch(&mut self, path: &Path) -> notify::Result<()> {
        let watcher = self.changes.watcher();
        watcher.watch(path, RecursiveMode::NonRecursive)
    }
}

/// What is watched where it may be. Others than inotify would be told of all that happens below `/`.
fn beside(trail: &Trail) -> BTreeSet<PathBuf> {
    match Changes::kind() {
        WatcherKind::Inotify => trail.beside(),
        _ => BTreeSet::new(),
    }
}

impl Inner {
    fn begin(self: &Arc<Self>) -> notify::Result<()> {
        let this: Weak<Self> = Arc::downgrade(self);
        let changed = move |changes: DebounceEventResult| {
            let this = this.upgrade();
            // Whatever it is, even an error: the file says what holds.
            if let Some(this) = this.filter(|this| this.is_touched_by(&changes)) {
                this.load();
            }
        };
        let watcher = Watcher {
            changes: new_debouncer_opt(Config::default().with_timeout(GATHERED), changed)?,
            trail: Trail::default(),
            watched: BTreeSet::new(),
        };
        *lock(&self.watcher) = Some(watcher);
        self.follow()
    }

    /// Begins, and loads what the file says now.
    fn first(self: &Arc<Self>, registry: &Registry) -> Result<(), ConfigErrors> {
        // Before it is read: no change may be missed.
        self.begin().map_err(|error| self.unwatchable(&error))?;
        let read = Read::of(&self.file);
        let text = read.text.clone().map_err(ConfigErrors::one)?;
        let source = Source::File(self.file.clone());
        // Else a later text has been loaded meanwhile, by whom changes are told.
        let is_first = || {
            let mut last = lock(&self.last);
            let is_first = last.is_none();
            last.get_or_insert(Last {
                read,
                is_refused: false,
            });
            is_first
        };
        registry.configure_if(source, &text, is_first, || {})
    }

    fn follow(&self) -> notify::Result<()> {
        let mut watcher = lock(&self.watcher);
        let follow = |watcher: &mut Watcher| watcher.follow(self.file.path());
        watcher.as_mut().map_or(Ok(()), follow)
    }

    fn is_touched_by(&self, changes: &DebounceEventResult) -> bool {
        let Ok(changes) = changes else {
            return true;
        };
        let watcher = lock(&self.watcher);
        watcher.as_ref().is_some_and(|watcher| {
            let mut changes = changes.iter();
            changes.any(|change| watcher.trail.is_touched_at(&change.path))
        })
    }

    fn is_wanted(&self) -> bool {
        lock(&self.watcher).is_some()
    }

    fn load(&self) {
        let Some(registry) = self.registry.upgrade() else {
            return;
        };
        // Before it is read, as at the beginning. If it leads elsewhere meanwhile, that is told again.
        let unwatched = self.follow().err().map(|error| self.unwatchable(&error));
        let before = mem::replace(&mut *lock(&self.unwatched), unwatched.clone());
        let read = self.settled();
        let loaded = match self.is_news(&read) {
            true => self.take(&registry, read),
            false => Ok(()),
        };
        // Told once.
        let unwatched = unwatched.filter(|now| before.as_ref() != Some(now));
        let rejected = [loaded.err(), unwatched].into_iter().flatten();
        for errors in rejected.filter(|_| self.is_wanted()) {
            let event = Event::ConfigRejected(ConfigRejected { errors });
            registry.sink().tell(&event);
        }
    }

    /// What is refused is news again once it is saved again: the reason may lie elsewhere.
    fn is_news(&self, read: &Read) -> bool {
        let last = lock(&self.last);
        last.as_ref().is_none_or(|last| {
            last.read.text != read.text || (last.is_refused && last.read != *read)
        })
    }

    fn take(&self, registry: &Registry, read: Read) -> Result<(), ConfigErrors> {
        let text = read.text.clone();
        *lock(&self.last) = Some(Last {
            read,
            is_refused: text.is_err(),
        });
        let text = text.map_err(ConfigErrors::one)?;
        self.load_text(registry, &text, || self.is_wanted())
    }

    fn load_text(
        &self,
        registry: &Registry,
        text: &str,
        is_wanted: impl FnOnce() -> bool,
    ) -> Result<(), ConfigErrors> {
        let source = Source::File(self.file.clone());
        registry.configure_if(source, text, is_wanted, || self.refuse(text))
    }

    /// Marks that this is not in force, if it is what was read last.
    fn refuse(&self, text: &str) {
        let mut last = lock(&self.last);
        if let Some(last) = last.as_mut().filter(|last| last.says(text)) {
            last.is_refused = true;
        }
    }

    /// Tries again to load what was refused. What is wrong with it was told.
    fn retry(&self, registry: &Registry) {
        let refused = {
            let mut last = lock(&self.last);
            let refused = last.as_mut().filter(|last| last.is_refused);
            refused.and_then(|last| {
                let text = last.read.text.clone().ok()?;
                // From now on: whatever is loaded with it asks all who were refused, too.
                last.is_refused = false;
                Some(text)
            })
        };
        let Some(text) = refused else { return };
        let is_last = || {
            lock(&self.last)
                .as_ref()
                .is_some_and(|last| last.says(&text))
        };
        // Told when it was refused first.
        drop(self.load_text(registry, &text, || self.is_wanted() && is_last()));
    }

    /// What it says, once it stays the same.
    fn settled(&self) -> Read {
        let mut read = Read::of(&self.file);
        for _ in 0..READS {
            thread::sleep(SETTLED);
            let again = Read::of(&self.file);
            let is_settled = read == again;
            read = again;
            if is_settled {
                break;
            }
        }
        read
    }

    fn unwatchable(&self, error: &notify::Error) -> ConfigErrors {
        let problem = format!("it cannot be watched: {error}");
        ConfigErrors::one(self.file.wrong(problem))
    }
}
