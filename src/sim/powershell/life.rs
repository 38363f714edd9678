//! Processes of a simulated Windows host: which run, since when, and how one is ended. A process
//! outlives the channel that started it, as behind Windows OpenSSH.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

/// Process ids of Windows are multiples of four.
const ID_STEP: u32 = 4;
const FIRST_ID: u32 = 4312;

/// A running process's life: asked while it works, waited on while it sleeps.
#[derive(Debug, Clone, Default)]
pub(in crate::sim) struct Life(Arc<LifeState>);

#[derive(Debug, Default)]
struct LifeState {
    ended: Mutex<bool>,
    changed: Condvar,
}

impl Life {
    /// Whether the process is to end.
    pub(in crate::sim) fn ended(&self) -> bool {
        *self.lock()
    }

    /// Ends the process: whatever waits in it returns.
    pub(in crate::sim) fn end(&self) {
        *self.lock() = true;
        self.0.changed.notify_all();
    }

    /// Waits; `false` when the process ended meanwhile.
    pub(in crate::sim) fn wait(&self, time: Duration) -> bool {
        let (ended, _) = self
            .0
            .changed
            .wait_timeout_while(self.lock(), time, |ended| !*ended)
            .unwrap_or_else(PoisonError::into_inner);
        !*ended
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.0.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A process as `Get-Process` lists it.
#[derive(Debug, Clone)]
pub(in crate::sim) struct Process {
    pub(in crate::sim) id: u32,
    /// Without `.exe`.
    pub(in crate::sim) name: String,
    pub(in crate::sim) started: Timestamp,
    /// The process that started it; 0 for none that is known.
    pub(in crate::sim) parent: u32,
    /// The command line of a client that it belongs to; 0 for none.
    pub(in crate::sim) launch: u64,
    /// The line it was started with.
    pub(in crate::sim) command_line: String,
    /// How it is ended.
    pub(in crate::sim) life: Life,
}

/// The process table of a host; clones are the same table.
#[derive(Debug, Clone, Default)]
pub(in crate::sim) struct Processes {
    table: Arc<Mutex<Table>>,
    launch: u64,
    /// The parent of the first process of a launch.
    under: u32,
}

#[derive(Debug, Default)]
struct Table {
    running: BTreeMap<u32, Process>,
    started: u32,
}

impl Processes {
    /// Returns the same table for one command line of a client: its processes start one another, the
    /// first is started by `under`.
    #[must_use]
    pub(in crate::sim) fn of_launch(&self, launch: u64, under: u32) -> Self {
        Self {
            table: Arc::clone(&self.table),
            launch,
            under,
        }
    }

    /// Starts a process without arguments; it runs until the guard is dropped.
    pub(in crate::sim) fn start(&self, name: &str, now: Timestamp) -> Running {
        self.start_with(name, "", now)
    }

    /// Starts a process; it runs until the guard is dropped.
    pub(in crate::sim) fn start_with(
        &self,
        name: &str,
        arguments: &str,
        now: Timestamp,
    ) -> Running {
        let mut table = self.lock();
        let before = table
            .running
            .values()
            .rfind(|one| one.launch == self.launch && self.launch != 0);
        let parent = before.map_or(self.under, |one| one.id);
        let id = FIRST_ID.saturating_add(table.started.saturating_mul(ID_STEP));
        table.started = table.started.wrapping_add(1);
        let process = Process {
            id,
            name: name.to_owned(),
            started: now,
            parent,
            launch: self.launch,
            command_line: format!("{name}.exe {arguments}").trim_end().to_owned(),
            life: Life::default(),
        };
        table.running.insert(id, process.clone());
        Running {
            process,
            table: self.clone(),
        }
    }

    /// Lists what runs, by id.
    pub(in crate::sim) fn list(&self) -> Vec<Process> {
        self.lock().running.values().cloned().collect()
    }

    /// Ends a process and says whether there was one of that id.
    pub(in crate::sim) fn stop(&self, id: u32) -> bool {
        let found = self.lock().running.get(&id).map(|one| one.life.clone());
        match found {
            Some(life) => {
                life.end();
                true
            }
            None => false,
        }
    }

    /// Ends every process, as the host goes down.
    pub(in crate::sim) fn stop_all(&self) {
        for process in self.list() {
            process.life.end();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A process that runs; dropped, it is gone from the table.
#[derive(Debug)]
pub(in crate::sim) struct Running {
    pub(in crate::sim) process: Process,
    table: Processes,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.table.lock().running.remove(&self.process.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_listed_until_it_is_over_and_can_be_ended() {
        let table = Processes::default();
        let first = table.start("powershell", Timestamp::UNIX_EPOCH);
        let second = table.start("cmd", Timestamp::UNIX_EPOCH);
        assert_ne!(first.process.id, second.process.id);
        assert_eq!(table.list().len(), 2);
        assert!(table.stop(first.process.id));
        assert!(!first.process.life.wait(Duration::from_mins(1)));
        assert!(!table.stop(1));
        drop(first);
        assert_eq!(table.list().len(), 1);
        table.stop_all();
        assert!(second.process.life.ended());
    }

    #[test]
    fn processes_of_one_command_line_have_each_other_as_parents() {
        let table = Processes::default();
        let server = table.start("sshd", Timestamp::UNIX_EPOCH);
        let launch = table.of_launch(7, server.process.id);
        let shell = launch.start("cmd", Timestamp::UNIX_EPOCH);
        let inner = launch.start("powershell", Timestamp::UNIX_EPOCH);
        let other = table
            .of_launch(8, server.process.id)
            .start("cmd", Timestamp::UNIX_EPOCH);
        assert_eq!(shell.process.parent, server.process.id);
        assert_eq!(inner.process.parent, shell.process.id);
        assert_eq!(other.process.parent, server.process.id);
        assert_eq!(server.process.parent, 0);
    }
}
