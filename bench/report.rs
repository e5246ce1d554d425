//! What was measured, as tables and as goals that are held or missed.

use std::collections::BTreeMap;

use comfy_table::{Table, presets::ASCII_MARKDOWN};

use crate::fixture::{OPS, Op};
use crate::peer::{PEERS, Peer};
use crate::rounds::{CONNECTIONS, Figure, Figures, HISTORY, LAG_ALONE, LAGS};
use crate::rows::{Counted, SWEPT};

/// Everything.
pub struct Results {
    pub figures: Figures,
    pub trips: BTreeMap<(Peer, Op), u32>,
    pub starts: BTreeMap<Peer, Vec<f64>>,
    /// Bytes, and bytes gzipped.
    pub sizes: BTreeMap<Peer, (usize, usize)>,
    pub rows: Vec<Counted>,
    /// When, on what, with which versions: a line each.
    pub setting: Vec<String>,
}

/// A claim that the figures bear out or not.
pub struct Goal {
    pub claim: &'static str,
    pub measured: String,
    pub held: bool,
}

impl Results {
    /// The median over the rounds.
    pub fn median(&self, peer: Peer, op: Op, figure: Figure) -> f64 {
        median(&self.figures[&(peer, op, figure)])
    }

    /// What we set out to reach.
    pub fn goals(&self) -> Vec<Goal> {
        let cpu = |claim, other, most| {
            let ratio = |op| self.median(Peer::Estop, op, Figure::Cpu) / self.median(other, op, Figure::Cpu);
            let (decided, over) = (ratio(Op::Cancel), ratio(Op::CancelOver));
            Goal { claim, measured: format!("{decided:.2} × (412: {over:.2} ×)"), held: decided <= most }
        };
        let trips = OPS.map(|op| self.trips[&(Peer::Estop, op)]);
        let cancels: Vec<_> = self
            .rows
            .iter()
            .map(|rows| [Op::Cancel, Op::CancelOver].map(|op| rows.requests[&(Peer::Estop, op)]))
            .collect();
        let idle: Vec<_> = self.rows.iter().map(|rows| rows.idle_tick.0).collect();
        let gzip = self.sizes[&Peer::Estop].1;
        let lag = Figure::P50(20);
        let latency = self.median(Peer::Estop, Op::Cancel, lag) / self.median(Peer::Typical, Op::Cancel, lag);
        vec![
            cpu("CPU of a cancel at most 0.9 × the typical Worker's", Peer::Typical, 0.9),
            cpu("CPU of a cancel at most 2 × the floor's, which tells no hub", Peer::Floor, 2.0),
            Goal {
                claim: "p50 of a cancel at 20 ms of D1 latency at most 0.35 × the typical Worker's",
                measured: format!("{latency:.2} ×"),
                held: latency <= 0.35,
            },
            Goal {
                claim: "one round trip to D1 a request",
                measured: format!("{trips:?}"),
                held: trips.iter().all(|n| *n == 1),
            },
            Goal {
                claim: "a cancel's rows do not depend on how many runs there are",
                measured: cancels.first().map(|first| format!("{first:?}")).unwrap_or_default(),
                held: cancels.windows(2).all(|pair| pair[0] == pair[1]),
            },
            Goal {
                claim: "an idle tick reads at most 6 rows",
                measured: format!("{idle:?}"),
                held: idle.iter().all(|read| *read <= 6),
            },
            Goal {
                claim: "at most 520 KB gzipped",
                measured: format!("{:.1} KB", gzip as f64 / 1e3),
                held: gzip <= 520_000,
            },
        ]
    }

    /// What a cancel costs, in short.
    pub fn summary(&self) -> String {
        let mut table = table(&["", "estop", "typical", "best TypeScript", "floor"]);
        let mut line = |name: &str, value: &dyn Fn(Peer) -> String| {
            table.add_row([name.to_owned()].into_iter().chain(PEERS.map(value)));
        };
        let of = |op, figure| move |peer| self.median(peer, op, figure);
        let cpu = of(Op::Cancel, Figure::Cpu);
        let (p50, p99) = (of(Op::Cancel, Figure::P50(20)), of(Op::Cancel, Figure::P99(20)));
        line("D1 round trips of a cancel", &|peer| self.trips[&(peer, Op::Cancel)].to_string());
        line("CPU of a cancel, µs", &|peer| format!("{:.0}", cpu(peer)));
        line("p50 / p99 at 20 ms of D1 latency, ms", &|peer| format!("{:.1} / {:.1}", p50(peer), p99(peer)));
        let rate = of(Op::Cancel, Figure::Throughput);
        line("cancels a second over 32 connections", &|peer| format!("{:.0}", rate(peer)));
        if let Some(largest) = self.rows.last() {
            let name = format!("rows read / written at {} runs", thousands(largest.runs));
            line(&name, &|peer| pair(largest.requests[&(peer, Op::Cancel)]));
        }
        line("upload, KB gzipped", &|peer| format!("{:.1}", self.sizes[&peer].1 as f64 / 1e3));
        line("process start to first answer, ms", &|peer| format!("{:.0}", median(&self.starts[&peer])));
        table.to_string()
    }

    /// All of it, as Markdown.
    pub fn page(&self) -> String {
        let mut page = String::from(
            "# estop beside what one would pick instead\n\nWritten by `make bench`. The peers are in `bench/peers`: \
             **typical** is Hono with one query after the other, **best TypeScript** is Hono around our batch, **floor** a \
             bare Worker around our batch that checks nothing. All give the same answers, but for the list's total, which only typical counts to the end; each in a workerd of its own over \
             the same D1 and schema, asked in turn; only estop writes a log and sets its database a deadline.\n\n",
        );
        for line in &self.setting {
            page += &format!("- {line}\n");
        }
        let mut section = |title: &str, body: String| page += &format!("\n## {title}\n\n{body}\n");
        let mut goals = table(&["goal", "measured", ""]);
        for goal in self.goals() {
            goals.add_row([goal.claim, &goal.measured, if goal.held { "held" } else { "MISSED" }]);
        }
        section("Goals", goals.to_string());
        section(
            "CPU, µs a request (user and system; median, least to most of the rounds)",
            per_op(&self.figures, Figure::Cpu, 0),
        );
        for lag in LAGS {
            section(&format!("p50 at {lag} ms of D1 latency, ms"), per_op(&self.figures, Figure::P50(lag), 2));
            section(&format!("p99 at {lag} ms of D1 latency, ms"), per_op(&self.figures, Figure::P99(lag), 2));
        }
        section(
            &format!("p50 of one request at a time at {LAG_ALONE} ms of D1 latency, ms"),
            per_op(&self.figures, Figure::Alone, 2),
        );
        section(
            &format!("Requests a second over {CONNECTIONS} connections"),
            per_op(&self.figures, Figure::Throughput, 0),
        );
        let by_peer = ["", "estop", "typical", "best TypeScript", "floor"];
        let mut trips = table(&by_peer);
        for op in OPS {
            trips.add_row(
                [op.name().to_owned()].into_iter().chain(PEERS.map(|peer| self.trips[&(peer, op)].to_string())),
            );
        }
        section("Round trips to D1", trips.to_string());
        for counted in &self.rows {
            let mut rows = table(&by_peer);
            for op in OPS {
                let cells = PEERS.map(|peer| pair(counted.requests[&(peer, op)]));
                rows.add_row([op.name().to_owned()].into_iter().chain(cells));
            }
            section(&format!("Rows read / written at {} runs", thousands(counted.runs)), rows.to_string());
        }
        let mut sweeps = table(&[
            "runs",
            "idle tick, read / written",
            &format!("tick while {SWEPT} go on"),
            &format!("tick that sweeps {SWEPT}"),
            "read a swept run",
        ]);
        for counted in &self.rows {
            let each = counted.tick.0 as f64 / SWEPT as f64;
            sweeps.add_row([
                thousands(counted.runs),
                pair(counted.idle_tick),
                pair(counted.busy_tick),
                pair(counted.tick),
                format!("{each:.1}"),
            ]);
        }
        section("The sweeper's rows", sweeps.to_string());
        let mut sizes = table(&by_peer);
        let row = |name: &str, value: &dyn Fn(Peer) -> String| -> Vec<String> {
            [name.to_owned()].into_iter().chain(PEERS.map(value)).collect()
        };
        sizes.add_row(row("upload, bytes", &|peer| self.sizes[&peer].0.to_string()));
        sizes.add_row(row("upload, bytes gzipped", &|peer| self.sizes[&peer].1.to_string()));
        sizes.add_row(row("process start to first answer, ms", &|peer| spread(&self.starts[&peer], 0)));
        section("Size and start", sizes.to_string());
        page
    }
}

/// One figure of every peer, a line a request: the median, and the least and the most of the rounds.
pub fn per_op(figures: &Figures, figure: Figure, digits: usize) -> String {
    let mut table = table(&["", "estop", "typical", "best TypeScript", "floor"]);
    for op in OPS {
        let cells = PEERS.map(|peer| spread(&figures[&(peer, op, figure)], digits));
        table.add_row([op.name().to_owned()].into_iter().chain(cells));
    }
    table.to_string()
}

fn table(head: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN).set_header(head);
    table
}

fn pair((read, written): (u64, u64)) -> String {
    format!("{read} / {written}")
}

fn thousands(n: i64) -> String {
    match n {
        1_000_000.. => format!("{},{:03},{:03}", n / 1_000_000, n / 1000 % 1000, n % 1000),
        1000.. => format!("{},{:03}", n / 1000, n % 1000),
        _ => n.to_string(),
    }
}

fn spread(values: &[f64], digits: usize) -> String {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(0.0, f64::max);
    format!("{:.digits$} ({least:.digits$} to {most:.digits$})", median(values))
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) }
}

/// What the list reads depends on the history; the tables say how long it was.
pub fn history() -> String {
    format!("CPU, latency and throughput over a database of {} runs", thousands(HISTORY))
}
