//! Rows of an object on a server that answers late, beside plain requests for the same bytes.
//!
//! `cargo bench -p burn-npy-cloud --bench latency [-- --quick] [--milliseconds 20]`
//!
//! A server in this process has one object in memory, and waits before it answers. For each size of
//! a row, all rows are read in these ways, by turns. The table has the medians of the rounds: MB/s,
//! and times the rate of `64 get_range`. Files are open, and connections are made, before.
//!
//! - `64 get_range`: a request for each row, 64 at a time: what the server can do
//! - `get_ranges`: the call of `object_store` for 64 rows, batch after batch
//! - `shuffled`, `blocks`, `in order`: an epoch of a loader, with one worker and batches of 64 rows
//!   or less

#[path = "../tests/s3/server.rs"]
#[allow(dead_code, reason = "the tests need more of it")]
mod server;

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use burn::tensor::{Device, Tensor};
use burn_npy::file::write_npy;
use burn_npy::ndarray::Array2;
use burn_npy::{NpyDataset, Sampler};
use burn_npy_cloud::Cloud;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use s3s::dto::{ETag, GetObjectInput, GetObjectOutput, StreamingBlob};
use s3s::{Body, S3, S3Request, S3Response, S3Result};
use server::{BUCKET, KEY, SECRET, Server, cloud};

/// One object, whatever is asked for.
struct Late {
    object: Bytes,
    wait: Duration,
}

#[async_trait]
impl S3 for Late {
    async fn get_object(
        &self,
        req: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        tokio::time::sleep(self.wait).await;
        let len = self.object.len() as u64;
        let range = match req.input.range {
            Some(range) => range.check(len)?,
            None => 0..len,
        };
        let bytes = self.object.slice(range.start as usize..range.end as usize);
        Ok(S3Response::new(GetObjectOutput {
            content_length: Some(bytes.len() as i64),
            content_range: Some(format!("bytes {}-{}/{len}", range.start, range.end - 1)),
            body: Some(StreamingBlob::from(Body::from(bytes))),
            e_tag: Some(ETag::Strong("1".to_owned())),
            last_modified: Some(std::time::SystemTime::UNIX_EPOCH.into()),
            ..GetObjectOutput::default()
        }))
    }
}

const HEADER: u64 = 128;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let quick = args.iter().any(|arg| arg == "--quick");
    let wait = args.iter().position(|arg| arg == "--milliseconds");
    let wait = wait.map_or(Ok(20), |at| args[at + 1].parse())?;
    let (rounds, total) = if quick { (1, 8 << 20) } else { (5, 1024 << 20) };
    println!("{wait} ms before each answer, {rounds} rounds; MB/s and times 64 get_range");
    let names = [
        "64 get_range",
        "get_ranges",
        "shuffled",
        "blocks",
        "in order",
    ];
    print!("{:>8} {:>6}", "row", "rows");
    names.iter().for_each(|name| print!(" {name:>17}"));
    println!();
    for row_bytes in [4 << 10, 64 << 10, 256 << 10, 1 << 20, 4_usize << 20] {
        // So many small rows that a round takes about a second.
        let rows = (total / row_bytes).clamp(4, if quick { 256 } else { 4096 });
        let bench = Bench::new(row_bytes, rows, Duration::from_millis(wait))?;
        let mut rates = names.map(|_| Vec::new());
        // The first round connects.
        for round in 0..=rounds {
            for turn in 0..names.len() {
                let which = (turn + round) % names.len();
                let seconds = match which {
                    0 => bench.get_range()?,
                    1 => bench.get_ranges()?,
                    2 => bench.epoch(Sampler::shuffled(round as u64))?,
                    3 => bench.epoch(Sampler::blocks(16, 8, round as u64)?)?,
                    _ => bench.epoch(Sampler::sequential())?,
                };
                if round > 0 {
                    rates[which].push((rows * row_bytes) as f64 / 1e6 / seconds);
                }
            }
        }
        print!("{:>8} {rows:>6}", size(row_bytes));
        let plain = rates[0].clone();
        for rates in &mut rates {
            let ratios = rates.iter().zip(&plain).map(|(rate, plain)| rate / plain);
            let ratio = median(ratios.collect());
            print!(" {:>10.1} {ratio:>6.2}", median(rates.clone()));
        }
        println!();
    }
    Ok(())
}

struct Bench {
    /// Served while it is here.
    _server: Server,
    cloud: Cloud,
    store: Arc<dyn ObjectStore>,
    runtime: tokio::runtime::Runtime,
    row_bytes: usize,
    rows: usize,
}

impl Bench {
    fn new(
        row_bytes: usize,
        rows: usize,
        wait: Duration,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("x.npy");
        let value = |(row, i): (usize, usize)| (row * 31 + i) as f32;
        write_npy(&path, &Array2::from_shape_fn((rows, row_bytes / 4), value))?;
        let object = Bytes::from(std::fs::read(path)?);
        assert_eq!(object.len(), HEADER as usize + rows * row_bytes);
        let server = Server::start(Late { object, wait }, "127.0.0.1:0");
        let store = AmazonS3Builder::new()
            .with_endpoint(server.endpoint())
            .with_allow_http(true)
            .with_bucket_name(BUCKET)
            .with_access_key_id(KEY)
            .with_secret_access_key(SECRET)
            .build()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        Ok(Self {
            cloud: cloud(&server.endpoint()),
            _server: server,
            store: Arc::new(store),
            runtime,
            row_bytes,
            rows,
        })
    }

    /// The ranges of all rows, in a random order.
    fn ranges(&self) -> Vec<std::ops::Range<u64>> {
        let order = Sampler::shuffled(1).order(self.rows as u64, 0);
        let start = |row: u64| HEADER + row * self.row_bytes as u64;
        let rows = order.rows(0..self.rows as u64);
        rows.map(|row| start(row)..start(row + 1)).collect()
    }

    fn get_range(&self) -> Result<f64, Box<dyn std::error::Error>> {
        let (ranges, start) = (self.ranges(), Instant::now());
        self.runtime.block_on(async {
            let path = Path::from("x.npy");
            let rows = stream::iter(ranges).map(|range| self.store.get_range(&path, range));
            let len = rows.buffer_unordered(64).map_ok(|row| black_box(row).len());
            let len = len.try_fold(0, async |sum, len| Ok(sum + len)).await?;
            assert_eq!(len, self.rows * self.row_bytes);
            Ok(start.elapsed().as_secs_f64())
        })
    }

    fn get_ranges(&self) -> Result<f64, Box<dyn std::error::Error>> {
        let (ranges, start) = (self.ranges(), Instant::now());
        self.runtime.block_on(async {
            let path = Path::from("x.npy");
            for batch in ranges.chunks(64) {
                black_box(self.store.get_ranges(&path, batch).await?);
            }
            Ok(start.elapsed().as_secs_f64())
        })
    }

    fn epoch(&self, sampler: Sampler) -> Result<f64, Box<dyn std::error::Error>> {
        // Opened each time, so that nothing of it is in memory.
        let options = self.cloud.open_options();
        let dataset = NpyDataset::open_with(format!("s3://{BUCKET}/x.npy"), options)?;
        let batch = (16_usize << 20) / self.row_bytes;
        let loader = dataset
            .loader::<(Tensor<2>,)>()
            .batch_size(batch.clamp(1, 64))
            .sampler(sampler)
            .num_workers(1)
            .set_device(Device::flex())
            .try_build()?;
        let (mut rows, start) = (0, Instant::now());
        for batch in loader.iter() {
            rows += black_box(batch?.0).dims()[0];
        }
        assert_eq!(rows, self.rows);
        Ok(start.elapsed().as_secs_f64())
    }
}

fn size(bytes: usize) -> String {
    if bytes < 1 << 20 {
        format!("{} KiB", bytes >> 10)
    } else {
        format!("{} MiB", bytes >> 20)
    }
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
