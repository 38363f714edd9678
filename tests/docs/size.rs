//! The table and the plot of what size costs, from the data of the last run of `benches/size.rs`
//! (`docs/size.csv`): no figure of them is typed.

use std::fmt::Write as _;

use super::read;

/// VMs of each host.
const VMS: u64 = 50;

/// A run: its commit, and its figures by size.
struct Run {
    commit: String,
    rows: Vec<Row>,
}

struct Row {
    hosts: u64,
    there: f64,
    processor: f64,
    memory: f64,
    descriptors: u64,
    wire: f64,
    terminal: f64,
    p50: f64,
    p99: f64,
}

fn run() -> Run {
    let data = read("docs/size.csv");
    let commit = data
        .lines()
        .find_map(|line| line.strip_prefix("# commit "))
        .expect("the commit of docs/size.csv");
    let rows: Vec<Row> = data
        .lines()
        .filter(|line| line.starts_with(|first: char| first.is_ascii_digit()))
        .map(row)
        .collect();
    assert!(rows.len() > 1, "docs/size.csv has no sizes");
    Run {
        commit: commit.to_owned(),
        rows,
    }
}

fn row(line: &str) -> Row {
    let figures: Vec<f64> = line
        .split(',')
        .map(|field| {
            field
                .parse()
                .unwrap_or_else(|error| panic!("{line}: {error}"))
        })
        .collect();
    let [
        hosts,
        there,
        processor,
        memory,
        descriptors,
        wire,
        terminal,
        p50,
        p99,
    ] = figures[..]
    else {
        panic!("{line}: not nine figures");
    };
    Row {
        hosts: whole(hosts),
        there,
        processor,
        memory,
        descriptors: whole(descriptors),
        wire,
        terminal,
        p50,
        p99,
    }
}

fn whole(figure: f64) -> u64 {
    format!("{figure:.0}").parse().unwrap()
}

fn thousands(number: u64) -> String {
    if number < 1000 {
        return number.to_string();
    }
    format!("{},{:03}", number / 1000, number % 1000)
}

/// The table of `docs/performance.md`.
pub(crate) fn table() -> String {
    let run = run();
    let mut text = String::from(
        "| hosts | VMs | all there after | processor | memory | descriptors | on the wire, a host and tick | to the terminal \
         | key to screen p50 | p99 |\n|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for row in &run.rows {
        writeln!(
            text,
            "| {} | {} | {:.1} s | {:.1} % | {:.0} MiB | {} | {:.0} KB | {:.0} bytes/s | {:.1} ms | {:.1} ms |",
            thousands(row.hosts),
            thousands(row.hosts * VMS),
            row.there,
            row.processor,
            row.memory,
            thousands(row.descriptors),
            row.wire / 1000.0,
            row.terminal,
            row.p50,
            row.p99,
        )
        .unwrap();
    }
    text.push_str("| goal at 200 | | | 10 % | 150 MB | | | 2 KB/s | | 16 ms |\n");
    writeln!(text, "\nMeasured at {}.", run.commit).unwrap();
    text
}

/// What a chart shows: in words, and the figure of a size.
type Chart = (&'static str, fn(&Row) -> f64);

/// Width and height of one chart, and the room around its axes.
const CHART: (f64, f64) = (300.0, 250.0);
const MARGIN: (f64, f64) = (56.0, 40.0);

/// Draws the growth: four charts with logarithmic axes, in which what grows with the hosts is a straight line.
pub(crate) fn plot() -> String {
    let run = run();
    let charts: [Chart; 4] = [
        ("processor, % of a core", |row| row.processor),
        ("memory, MiB", |row| row.memory),
        ("to the terminal, bytes/s", |row| row.terminal),
        ("key to screen p99, ms", |row| row.p99),
    ];
    let (width, height) = (2.0 * (CHART.0 + MARGIN.0), 2.0 * (CHART.1 + MARGIN.1));
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<title>What size costs, measured at {}</title>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n",
        run.commit
    );
    for (index, (name, figure)) in charts.into_iter().enumerate() {
        let at = (
            if index % 2 == 0 {
                0.0
            } else {
                CHART.0 + MARGIN.0
            },
            if index < 2 { 0.0 } else { CHART.1 + MARGIN.1 },
        );
        let points: Vec<(f64, f64)> = run
            .rows
            .iter()
            .map(|row| (f64::from(u32::try_from(row.hosts).unwrap()), figure(row)))
            .collect();
        chart(&mut out, at, name, &points);
    }
    out.push_str("</svg>\n");
    out
}

/// Powers of ten around all of the figures.
fn decades(figures: impl Iterator<Item = f64>) -> (i32, i32) {
    let logs: Vec<f64> = figures.map(|figure| figure.max(0.01).log10()).collect();
    let least = logs.iter().copied().fold(f64::INFINITY, f64::min).floor();
    let most = logs
        .iter()
        .copied()
        .fold(f64::NEG_INFINITY, f64::max)
        .ceil();
    let number = |log: f64| format!("{log:.0}").parse::<i32>().unwrap();
    (number(least), number(most).max(number(least) + 1))
}

fn chart(out: &mut String, at: (f64, f64), name: &str, points: &[(f64, f64)]) {
    let across = decades(points.iter().map(|point| point.0));
    let up = decades(points.iter().map(|point| point.1));
    let (left, bottom) = (at.0 + MARGIN.0, at.1 + CHART.1);
    let (width, height) = (CHART.0 - 16.0, CHART.1 - MARGIN.1);
    let share = |value: f64, (from, to): (i32, i32)| {
        (value.max(0.01).log10() - f64::from(from)) / f64::from(to - from)
    };
    let x = |value: f64| left + width * share(value, across);
    let y = |value: f64| bottom - height * share(value, up);
    writeln!(
        out,
        "<text x=\"{left:.1}\" y=\"{:.1}\" font-weight=\"bold\">{name}</text>",
        at.1 + 24.0
    )
    .unwrap();
    for power in across.0..=across.1 {
        let tick = 10_f64.powi(power);
        writeln!(
            out,
            "<line x1=\"{0:.1}\" y1=\"{bottom:.1}\" x2=\"{0:.1}\" y2=\"{1:.1}\" stroke=\"#dddddd\"/>\
             <text x=\"{0:.1}\" y=\"{2:.1}\" text-anchor=\"middle\">{tick}</text>",
            x(tick),
            bottom - height,
            bottom + 16.0
        )
        .unwrap();
    }
    for power in up.0..=up.1 {
        let tick = 10_f64.powi(power);
        writeln!(
            out,
            "<line x1=\"{left:.1}\" y1=\"{0:.1}\" x2=\"{1:.1}\" y2=\"{0:.1}\" stroke=\"#dddddd\"/>\
             <text x=\"{2:.1}\" y=\"{3:.1}\" text-anchor=\"end\">{tick}</text>",
            y(tick),
            left + width,
            left - 6.0,
            y(tick) + 4.0
        )
        .unwrap();
    }
    writeln!(
        out,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#666666\">hosts</text>",
        left + width / 2.0,
        bottom + 30.0
    )
    .unwrap();
    let line: Vec<String> = points
        .iter()
        .map(|point| format!("{:.1},{:.1}", x(point.0), y(point.1)))
        .collect();
    writeln!(
        out,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"#1f6feb\" stroke-width=\"2\"/>",
        line.join(" ")
    )
    .unwrap();
    for point in points {
        writeln!(
            out,
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"#1f6feb\"/>\
             <text x=\"{0:.1}\" y=\"{2:.1}\" text-anchor=\"middle\" fill=\"#1f6feb\" font-size=\"10\">{3}</text>",
            x(point.0),
            y(point.1),
            y(point.1) - 7.0,
            point.1
        )
        .unwrap();
    }
}
