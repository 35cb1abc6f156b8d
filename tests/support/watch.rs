//! Every command line that any process of this machine shows, those of the
//! throw-away servers included.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A watch that goes on until it is ended.
pub struct Watch {
    stop: Arc<AtomicBool>,
    watcher: JoinHandle<BTreeSet<String>>,
}

impl Watch {
    /// Begins to look, every few milliseconds.
    pub fn begin() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        let watcher = thread::spawn(move || {
            let mut lines = BTreeSet::new();
            while !told.load(Ordering::Relaxed) {
                for process in fs::read_dir("/proc").expect("/proc").flatten() {
                    let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
                    let line = String::from_utf8_lossy(&line).replace('\0', " ");
                    if !lines.contains(&line) {
                        lines.insert(line);
                    }
                }
                thread::sleep(Duration::from_millis(5));
            }
            lines
        });
        Self { stop, watcher }
    }

    /// Ends it and returns what was shown.
    pub fn end(self) -> String {
        self.stop.store(true, Ordering::Relaxed);
        let lines = self.watcher.join().expect("the watcher");
        lines.into_iter().collect::<Vec<_>>().join("\n")
    }
}
