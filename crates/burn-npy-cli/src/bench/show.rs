//! The rates as a table or as JSON.

use std::io::Write;

use burn_npy_core::internal::shown;
use serde_json::{Value as Json, json};

use super::advice::Advice;
use crate::failure::Outcome;
use crate::table::{self, Align, Table};

/// An array that was measured.
#[derive(Debug)]
pub(super) struct Described {
    pub(super) name: Option<String>,
    pub(super) dtype: String,
    pub(super) shape: Vec<usize>,
}

/// All that is shown. Rates are rows a second.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) file: String,
    pub(super) arrays: Vec<Described>,
    pub(super) rows: usize,
    /// How many of the rows were measured in memory.
    pub(super) measured: usize,
    pub(super) row_bytes: usize,
    pub(super) batch: usize,
    pub(super) open_seconds: f64,
    pub(super) copy: f64,
    /// The rates of numbers of threads.
    pub(super) warm: Vec<(usize, f64)>,
    pub(super) cold: Option<Cold>,
    pub(super) advice: Advice,
}

/// What was measured while the file was read from the disk.
#[derive(Debug)]
pub(super) struct Cold {
    pub(super) open_seconds: f64,
    pub(super) rates: Vec<(usize, f64)>,
    /// What was read from the disk; `None` if the system does not say.
    pub(super) disk_bytes: Option<u64>,
}

impl Report {
    pub(super) fn json(&self) -> Json {
        let rate = |rows: &f64| {
            let bytes = rows * self.row_bytes as f64;
            json!({ "rows_per_second": rows, "bytes_per_second": bytes })
        };
        let list = |rates: &[(usize, f64)]| -> Json {
            let object = |(threads, rows): &(usize, f64)| {
                let mut object = rate(rows);
                object["threads"] = (*threads).into();
                object
            };
            rates.iter().map(object).collect()
        };
        let array = |array: &Described| {
            let Described { name, dtype, shape } = array;
            json!({ "member": name, "dtype": dtype, "shape": shape })
        };
        let cold = |cold: &Cold| {
            json!({
                "open_seconds": cold.open_seconds,
                "disk_bytes": cold.disk_bytes,
                "rates": list(&cold.rates),
            })
        };
        json!({
            "file": self.file,
            "arrays": self.arrays.iter().map(array).collect::<Json>(),
            "rows": self.rows,
            "rows_measured": self.measured,
            "row_bytes": self.row_bytes,
            "batch": self.batch,
            "open_seconds": self.open_seconds,
            "copy": rate(&self.copy),
            "warm": list(&self.warm),
            "cold": self.cold.as_ref().map(cold),
            "bound": self.advice.bound,
            "num_workers": self.advice.num_workers,
            "advice": self.advice.sentences,
        })
    }

    pub(super) fn print(&self, out: &mut dyn Write) -> Outcome<()> {
        for array in &self.arrays {
            let name = array.name.as_deref().map(shown);
            let name = name.unwrap_or_else(|| self.file.clone());
            writeln!(
                out,
                "{name}  {} {}",
                array.dtype,
                table::shape(&array.shape)
            )?;
        }
        let rows = match self.measured < self.rows {
            true => format!("the first {} of {} rows", self.measured, self.rows),
            false => format!("{} rows", self.rows),
        };
        let size = table::bytes(self.row_bytes as u64);
        writeln!(out, "{rows} of {size}, in batches of {}\n", self.batch)?;
        let mut table = Table::new([
            ("ROWS FROM", Align::Left),
            ("THREADS", Align::Right),
            ("ROWS/S", Align::Right),
            ("SIZE/S", Align::Right),
            ("OF A COPY", Align::Right),
        ]);
        let mut push = |what: &str, threads: &str, rows: f64| {
            table.push(vec![
                what.to_owned(),
                threads.to_owned(),
                format!("{rows:.0}"),
                table::bytes((rows * self.row_bytes as f64) as u64),
                format!("{:.0}%", 100.0 * rows / self.copy),
            ]);
        };
        push("a plain copy", "", self.copy);
        for (threads, rows) in &self.warm {
            push("memory", &threads.to_string(), *rows);
        }
        for (threads, rows) in self.cold.iter().flat_map(|cold| &cold.rates) {
            push("the disk", &threads.to_string(), *rows);
        }
        table.print(out)?;
        writeln!(out)?;
        for sentence in &self.advice.sentences {
            writeln!(out, "{sentence}")?;
        }
        Ok(())
    }
}
