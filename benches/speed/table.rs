//! Results as a table that a page of documentation can take as it stands.
// Each benchmark uses a part of it.
#![allow(dead_code)]

use std::time::Duration;

use crate::sample::Samples;

/// A table under way.
pub struct Table {
    rows: Vec<[String; 4]>,
    missed: Vec<String>,
}

impl Table {
    /// An empty one with a title.
    pub fn new(title: &str, rounds: usize) -> Self {
        println!("\n### {title}\n\nMedians of {rounds} rounds, taken in turn.\n");
        Self {
            rows: Vec::new(),
            missed: Vec::new(),
        }
    }

    /// What others are compared with.
    pub fn floor(&mut self, floor: &Samples) {
        self.row(floor.name, "1".into(), seconds(floor.median()), None);
    }

    /// How long it takes, as a multiple of the floor, which may be limited.
    pub fn against(&mut self, floor: &Samples, other: &Samples, at_most: Option<f64>) {
        let ratio = other.ratio(floor);
        let goal = at_most.map(|limit| (format!("≤ {limit}"), ratio <= limit));
        self.row(
            other.name,
            format!("{ratio:.2}"),
            seconds(other.median()),
            goal,
        );
    }

    /// A value of its own.
    pub fn value(&mut self, name: &str, value: String, goal: &str, met: bool) {
        self.row(name, String::new(), value, Some((goal.to_owned(), met)));
    }

    fn row(&mut self, name: &str, ratio: String, value: String, goal: Option<(String, bool)>) {
        let goal = goal.map_or(String::new(), |(goal, met)| {
            if met {
                return goal;
            }
            self.missed.push(format!("{name}: {ratio} {value}, {goal}"));
            format!("{goal} (missed)")
        });
        self.rows.push([name.to_owned(), ratio, value, goal]);
    }

    /// Prints it; returns the goals that were missed.
    pub fn end(self) -> Vec<String> {
        let head = ["", "ratio", "median", "goal"].map(str::to_owned);
        let rule = [0; 4].map(|_| "---".to_owned());
        for row in [&head, &rule].into_iter().chain(&self.rows) {
            println!("| {} |", row.join(" | "));
        }
        self.missed
    }
}

fn seconds(time: Duration) -> String {
    match time.as_secs_f64() {
        short if short < 0.1 => format!("{:.1} ms", short * 1000.0),
        middle if middle < 1.0 => format!("{:.0} ms", middle * 1000.0),
        long => format!("{long:.1} s"),
    }
}
