//! Plays a recording of the dashboard (an asciicast, version 2) into a terminal, as a player would.

use std::num::NonZeroU16;
use std::path::Path;

use serde_json::Value;

/// A recording as it was read.
#[derive(Debug)]
pub struct Cast {
    /// Columns and lines at the beginning.
    pub size: (u16, u16),
    /// What happened, in order.
    pub events: Vec<Event>,
}

/// One line of a recording.
#[derive(Debug)]
pub struct Event {
    /// Seconds since the beginning.
    pub at: f64,
    /// What it says.
    pub what: What,
}

/// What happened.
#[derive(Debug)]
pub enum What {
    /// This was written to the terminal.
    Output(String),
    /// The terminal has these columns and lines.
    Resize(u16, u16),
}

/// The screen after one event.
#[derive(Debug)]
pub struct Frame {
    /// Seconds since the beginning.
    pub at: f64,
    /// What is seen.
    pub screen: String,
}

impl Cast {
    /// Reads a recording; fails where it is none.
    #[track_caller]
    pub fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).expect("a recording");
        let mut lines = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
        let header = lines.next().expect("a header");
        assert_eq!(header["version"], 2, "{header}");
        let count = |name: &str| u16::try_from(header[name].as_u64().unwrap()).unwrap();
        let size = (count("width"), count("height"));
        let events = lines.map(|line| event(&line)).collect::<Vec<_>>();
        assert!(
            events.is_sorted_by(|a, b| a.at <= b.at),
            "time goes one way"
        );
        Self { size, events }
    }

    /// Returns how many bytes were written to the terminal from one second on until another.
    pub fn bytes(&self, from: f64, until: f64) -> usize {
        let within = self
            .events
            .iter()
            .filter(|event| (from..until).contains(&event.at));
        within
            .map(|event| match &event.what {
                What::Output(text) => text.len(),
                What::Resize(..) => 0,
            })
            .sum()
    }

    /// Plays it into a terminal; returns what is seen after every event.
    pub fn play(&self) -> Vec<Frame> {
        let mut terminal = vt100::Parser::new(cells(self.size.1), cells(self.size.0), 0);
        let frames = self.events.iter().map(|event| {
            match &event.what {
                What::Output(text) => terminal.process(text.as_bytes()),
                What::Resize(columns, lines) => terminal
                    .screen_mut()
                    .set_size(cells(*lines), cells(*columns)),
            }
            Frame {
                at: event.at,
                screen: terminal.screen().contents(),
            }
        });
        frames.collect()
    }
}

fn cells(count: u16) -> NonZeroU16 {
    NonZeroU16::new(count).expect("a terminal has cells")
}

fn event(line: &Value) -> Event {
    let data = line[2].as_str().expect("data");
    let what = match line[1].as_str() {
        Some("o") => What::Output(data.to_owned()),
        Some("r") => {
            let (columns, lines) = data.split_once('x').expect("a size");
            What::Resize(columns.parse().unwrap(), lines.parse().unwrap())
        }
        other => panic!("no such event: {other:?}"),
    };
    let at = line[0].as_f64().expect("a time");
    Event { at, what }
}
