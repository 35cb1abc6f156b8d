//! What stands before a provider's API, and fails when it is told to.

use std::collections::VecDeque;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// A gate that hears connections until the test program ends, and where: each
/// is `serve`d by a thread of its own.
pub fn open(serve: impl Fn(TcpStream, &Here) + Clone + Send + 'static) -> (SocketAddr, Here) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("its address");
    let gate = Here::default();
    let of_threads = gate.clone();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let (gate, serve) = (of_threads.clone(), serve.clone());
            thread::spawn(move || serve(client, &gate));
        }
    });
    (addr, gate)
}

/// What becomes of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is answered as the API does.
    None,
    /// It does not arrive. The answer has this status, and `Retry-After` where
    /// there is a number: so many seconds nobody else gets in either.
    Refused(u16, Option<u32>),
    /// It arrives and is done; the answer is 500 all the same.
    Failed,
    /// It arrives and is done, and then the connection ends.
    Lost,
    /// The same, in the middle of the answer.
    Cut,
}

/// The word for a request that changes nothing.
pub const READ: &str = "GET";

/// A gate, whatever the API speaks.
pub trait Gate {
    /// What the next requests meet, later ones nothing; forgets those seen.
    fn next(&self, faults: &[Fault]);

    /// The methods of the requests since, [`READ`] or another word.
    fn seen(&self) -> Vec<String>;

    /// How many of them may have changed something.
    fn writes(&self) -> usize {
        self.seen().iter().filter(|method| *method != READ).count()
    }
}

#[derive(Default)]
struct State {
    faults: VecDeque<Fault>,
    closed_until: Option<Instant>,
    seen: Vec<String>,
}

/// The gate of a server that runs in this process.
#[derive(Clone, Default)]
pub struct Here(Arc<Mutex<State>>);

impl Here {
    /// Notes a request, and says what becomes of it.
    pub fn meets(&self, method: &str) -> Fault {
        let mut state = self.0.lock().expect("a gate");
        state.seen.push(method.to_owned());
        if state.closed_until.is_some_and(|end| Instant::now() < end) {
            return Fault::Refused(429, None);
        }
        let fault = state.faults.pop_front().unwrap_or(Fault::None);
        if let Fault::Refused(_, Some(seconds)) = fault {
            let wait = Duration::from_secs(seconds.into());
            state.closed_until = Some(Instant::now() + wait);
        }
        fault
    }
}

impl Gate for Here {
    fn next(&self, faults: &[Fault]) {
        *self.0.lock().expect("a gate") = State {
            faults: faults.iter().copied().collect(),
            ..State::default()
        };
    }

    fn seen(&self) -> Vec<String> {
        self.0.lock().expect("a gate").seen.clone()
    }
}
