//! Measuring beside each other: on a busy machine only times that were taken
//! in turn can be compared.
// Each benchmark uses a part of it.
#![allow(dead_code)]

use std::time::{Duration, Instant};

/// One of several that are measured in turn.
pub struct Contender<'a> {
    /// How the table calls it.
    pub name: &'static str,
    /// Runs once and says how long what counts of it took.
    pub run: Box<dyn FnMut() -> Duration + 'a>,
}

impl<'a> Contender<'a> {
    /// Of a run everything counts.
    pub fn new(name: &'static str, mut run: impl FnMut() + 'a) -> Self {
        Self::timed(name, move || {
            let begun = Instant::now();
            run();
            begun.elapsed()
        })
    }

    /// The run says itself what counts, such as all but its preparation.
    pub fn timed(name: &'static str, run: impl FnMut() -> Duration + 'a) -> Self {
        let run = Box::new(run);
        Self { name, run }
    }
}

/// The times of one contender, in the order in which they were taken.
pub struct Samples {
    pub name: &'static str,
    times: Vec<Duration>,
}

impl Samples {
    /// The middle one.
    pub fn median(&self) -> Duration {
        let mut times = self.times.clone();
        times.sort();
        times[times.len() / 2]
    }

    /// The middle one of the ratios to what `other` took in the same round:
    /// what slows the machine down for a while slows both.
    pub fn ratio(&self, other: &Self) -> f64 {
        let pairs = self.times.iter().zip(&other.times);
        let mut ratios: Vec<f64> = pairs
            .map(|(own, other)| own.as_secs_f64() / other.as_secs_f64())
            .collect();
        ratios.sort_by(f64::total_cmp);
        ratios[ratios.len() / 2]
    }
}

/// Runs every contender once a round, each round beginning with the next one.
pub fn in_turn(rounds: usize, contenders: &mut [Contender]) -> Vec<Samples> {
    let mut samples: Vec<Samples> = contenders
        .iter()
        .map(|contender| Samples {
            name: contender.name,
            times: Vec::new(),
        })
        .collect();
    for round in 0..rounds {
        for place in 0..contenders.len() {
            let next = (round + place) % contenders.len();
            samples[next].times.push((contenders[next].run)());
        }
    }
    samples
}
