//! Trains on two remote devices, whose servers are processes of this machine, and shows what each
//! of them got. It fails if anything is not as it would be on this machine alone.

mod servers;
mod training;

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use burn::data::dataloader::DataLoader;
use burn::tensor::Device;
use burn_npy::ndarray::{Array1, Array3};
use burn_npy::{Array, Convert, ErrorKind, Loader, NpyBatcher, NpyDataset};

use servers::Server;
use training::{Digits, Model, Seen, batches_seen, train};

const MNIST: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../examples/mnist/data/mnist.npz"
);
/// After so long something hangs.
const LIMIT: Duration = Duration::from_secs(600);

type Failure = Box<dyn Error>;

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, port] = &args[..]
        && flag == "--serve"
    {
        return servers::serve(port.parse()?);
    }
    thread::spawn(|| {
        thread::sleep(LIMIT);
        eprintln!("nothing came of it in {LIMIT:?}");
        std::process::exit(1);
    });
    let data = open("train")?;
    let mut servers = [Server::start()?, Server::start()?];
    let devices = [servers[0].device("first")?, servers[1].device("first")?];
    batches_are_those_of_the_cpu(&data, &servers[0], &devices[0])?;
    a_training_is_that_of_the_cpu(&data, &devices)?;
    a_server_that_is_started_again(&data, &mut servers[1], &devices[1])?;
    a_server_that_ends_in_a_training(&data)?;
    println!("all is well");
    Ok(())
}

fn open(split: &str) -> Result<NpyDataset, Failure> {
    let columns = ["images", "labels"].map(|column| (column, format!("{split}_{column}")));
    let data = NpyDataset::from_npz(MNIST, columns)?;
    Ok(data.convert("images", Convert::to::<f32>().divide(255.0))?)
}

fn check(is_right: bool, what: &str) -> Result<(), Failure> {
    match is_right {
        true => Ok(()),
        false => Err(what.into()),
    }
}

#[derive(Clone, Copy, Debug)]
struct How {
    workers: usize,
    resident: bool,
    as_bytes: bool,
}

fn loader(data: &NpyDataset, device: &Device, how: How) -> burn_npy::Result<Arc<Loader<Digits>>> {
    let batcher = NpyBatcher::<Digits>::new().convert_on_device(how.as_bytes);
    burn_npy::DataLoaderBuilder::new(batcher)
        .batch_size(64)
        .shuffle(3)
        .num_workers(how.workers)
        .resident(how.resident)
        .set_device(device.clone())
        .try_build(data.clone())
}

/// The bits of the images and the labels of each batch.
type Bits = Vec<(Vec<u32>, Vec<i64>)>;

fn bits<E: Into<Failure>>(
    batches: impl Iterator<Item = Result<Digits, E>>,
) -> Result<Bits, Failure> {
    let bits = |batch: Digits| {
        let images = batch.images.into_data();
        let images = images.iter::<f32>().map(f32::to_bits).collect();
        (images, batch.labels.into_data().iter().collect())
    };
    batches
        .map(|batch| Ok(bits(batch.map_err(Into::into)?)))
        .collect()
}

/// Batches are the same, bit for bit, and bytes go to the server as bytes.
fn batches_are_those_of_the_cpu(
    data: &NpyDataset,
    server: &Server,
    device: &Device,
) -> Result<(), Failure> {
    let data = data.take(1000);
    let how = How {
        workers: 2,
        resident: false,
        as_bytes: true,
    };
    let expected = loader(&data, &Device::flex(), how)?;
    let expected = [bits(expected.iter())?, bits(expected.iter())?];
    let pixels = (data.len() * 28 * 28) as u64;
    println!(
        "{:42} {:>12} {:>12}",
        "sent to a server, 1000 images", "epoch 0", "epoch 1"
    );
    println!("{:42} {pixels:>12} {pixels:>12}", "their pixels");
    for (name, how) in [
        ("as bytes", how),
        ("as bytes, without workers", How { workers: 0, ..how }),
        (
            "as f32, convert_on_device(false)",
            How {
                as_bytes: false,
                ..how
            },
        ),
        (
            "resident",
            How {
                resident: true,
                ..how
            },
        ),
    ] {
        let loader = loader(&data, device, how)?;
        let mut sent = [0; 2];
        for (expected, sent) in expected.iter().zip(&mut sent) {
            let before = server.sent();
            check(
                bits(loader.iter())? == *expected,
                "other batches than on the CPU",
            )?;
            *sent = server.sent() - before;
        }
        println!("{name:42} {:>12} {:>12}", sent[0], sent[1]);
        let at_most =
            |sent: u64, bytes: u64| check(sent < bytes, "more bytes than there should be");
        match how {
            How { resident: true, .. } => {
                at_most(sent[0], pixels + pixels / 4)?;
                at_most(sent[1], pixels / 8)?;
            }
            How { as_bytes: true, .. } => at_most(sent[0].max(sent[1]), pixels + pixels / 4)?,
            _ => check(sent[0] > 4 * pixels, "fewer bytes than f32 have")?,
        }
    }
    // Channels, each with a table of its own, and rows that are no whole number of integers.
    let colors = Array3::from_shape_fn((50, 3, 65), |(i, c, x)| (i * 31 + c * 7 + x) as u8);
    let data = NpyDataset::from_arrays([
        ("images", Array::from(colors)),
        ("labels", Array1::from_iter(0..50_i64).into()),
    ])?;
    let scaled = Convert::to::<f32>().divide(255.0);
    let data = data.convert(
        "images",
        scaled.normalize(&[0.1, 0.2, 0.3], &[0.4, 0.5, 0.6]),
    )?;
    let found = bits(loader(&data, device, how)?.iter())?;
    let expected = bits(loader(&data, &Device::flex(), how)?.iter())?;
    check(found == expected, "other channels than on the CPU")
}

/// Both devices get as many batches, each row once an epoch, and the losses are those of the CPU.
fn a_training_is_that_of_the_cpu(data: &NpyDataset, devices: &[Device]) -> Result<(), Failure> {
    // In batches of 32, the second of two halves has one more.
    let (data, valid) = (data.take(1025), open("test")?.take(64));
    let model = Model::new();
    let started = Instant::now();
    let remote = train(model.clone(), &data, &valid, devices, 2)?;
    let time = started.elapsed();
    let local = train(model, &data, &valid, &[Device::flex(), Device::flex()], 2)?;
    println!();
    println!(
        "`multi` on two remote servers, {} images, {time:.1?}",
        data.len()
    );
    println!("epoch  server  batches  rows  first loss  last loss");
    for epoch in 0..2 {
        let mut rows = BTreeSet::new();
        let mut counts = Vec::new();
        for (number, device) in devices.iter().enumerate() {
            let is_own = |seen: &&Seen| seen.epoch == epoch && seen.device == *device;
            let own: Vec<&Seen> = remote.iter().filter(is_own).collect();
            let count: usize = own.iter().map(|seen| seen.rows.len()).sum();
            let [Some(first), Some(last)] = [own.first(), own.last()] else {
                return Err("a device without a batch".into());
            };
            let (first, last) = (first.loss, last.loss);
            println!(
                "{epoch:>5}  {number:>6}  {:>7}  {count:>4}  {first:>10.4}  {last:>9.4}",
                own.len()
            );
            rows.extend(own.iter().flat_map(|seen| seen.rows.iter().copied()));
            counts.push((own.len(), count));
        }
        let all: usize = counts.iter().map(|(_, count)| count).sum();
        check(counts[0].0 == counts[1].0, "a device has more batches")?;
        check(
            all == data.len() && rows.len() == all,
            "a row does not come once",
        )?;
    }
    check(local.len() == remote.len(), "other batches than on the CPU")?;
    let mut furthest = 0.0_f32;
    for there in &remote {
        let is_same = |here: &&Seen| here.epoch == there.epoch && here.rows == there.rows;
        let here = local
            .iter()
            .find(is_same)
            .ok_or("other rows than on the CPU")?;
        furthest = furthest.max((here.loss - there.loss).abs());
    }
    println!("the losses of two CPUs of this process differ by at most {furthest:e}");
    check(furthest < 1e-4, "other losses than on the CPU")
}

/// A session that has ended is an error. Another session has what it needs, and nothing of the one
/// before.
fn a_server_that_is_started_again(
    data: &NpyDataset,
    server: &mut Server,
    device: &Device,
) -> Result<(), Failure> {
    println!();
    let data = data.take(300);
    for (session, resident) in [("second", false), ("third", true)] {
        let how = How {
            workers: 2,
            resident,
            as_bytes: true,
        };
        let local = loader(&data, &Device::flex(), how)?;
        let before = match session {
            "second" => device.clone(),
            _ => server.device("before the third")?,
        };
        let old = loader(&data, &before, how)?;
        let found = bits(old.iter())?;
        check(
            found == bits(local.epoch(0))?,
            "other batches than on the CPU",
        )?;
        let resumed = loader(&data, &before, how)?;
        check(resumed.iter().nth(1).is_some(), "no second batch")?;
        resumed.resume(&resumed.state())?;
        server.restart()?;

        let started = Instant::now();
        let mut pass = old.iter();
        let error = pass.next().and_then(Result::err);
        let error = error.ok_or("a batch without a server")?;
        check(error.kind() == ErrorKind::Io, "an error of another kind")?;
        check(pass.next().is_none(), "the pass goes on")?;
        println!(
            "{:.1?} after the start of a pass: {error}",
            started.elapsed()
        );
        // Nor is there one in the rest of an epoch.
        let error = resumed.iter().next().and_then(Result::err);
        let error = error.ok_or("a batch without a server")?;
        check(error.kind() == ErrorKind::Io, "an error of another kind")?;
        // Nor can a loader be made for it.
        let error = loader(&data, &before, how).map(drop).unwrap_err();
        check(error.kind() == ErrorKind::Io, "an error of another kind")?;

        let new = server.device(session)?;
        check(new != before, "the same session")?;
        // Its next epoch, after one that was had and one that failed.
        let found = bits(old.to_device(&new).iter())?;
        check(
            found == bits(local.epoch(2))?,
            "other batches than on the CPU",
        )?;
        println!("with another session: the right batches, resident: {resident}");
    }
    Ok(())
}

/// A server that ends while it is trained on ends the training with an error.
fn a_server_that_ends_in_a_training(data: &NpyDataset) -> Result<(), Failure> {
    let mut servers = [Server::start()?, Server::start()?];
    let devices = [servers[0].device("last")?, servers[1].device("last")?];
    let valid = open("test")?.take(64);
    let data = data.clone();
    let training = thread::spawn(move || {
        let result = train(Model::new(), &data, &valid, &devices, 50);
        result.map(drop).map_err(|error| error.to_string())
    });
    while batches_seen() < 20 {
        thread::sleep(Duration::from_millis(10));
        check(!training.is_finished(), "the training ended too early")?;
    }
    servers[1].kill()?;
    let killed = Instant::now();
    let result = training.join().map_err(|_| "the training panicked")?;
    let error = result.err().ok_or("no error of the training")?;
    println!();
    println!(
        "{:.1?} after the end of a server: {error}",
        killed.elapsed()
    );
    Ok(())
}
