//! Messages over hostile names, paths and headers: short, and nothing that a terminal acts on.

use std::error::Error as StdError;
use std::fmt::Debug;
use std::path::Path;

use burn::tensor::{Int, Tensor};
use burn_npy::ndarray::{Array0, Array1, Array2, ShapeBuilder};
use burn_npy::{
    Array, Convert, DType, DataLoaderBuilder, NpyBatcher, NpyDataset, Result, Windows,
    file::{Column, Limits, Npz, NpzWriter, OpenOptions, write_npy},
    order::Shard,
};

/// What a name may have in it, and in a message may not stand as it is.
const NASTY: [&str; 14] = [
    "\u{1b}[31m",
    "\u{1b}]0;title\u{7}",
    "\u{7}",
    "\r",
    "\nINJECTED",
    "\t",
    "\u{7f}",
    "\u{9b}31m",
    "\u{202e}gpj.",
    "\u{2066}",
    "\u{2028}",
    "\u{200b}",
    "\u{e0041}",
    "\"'\\`{}",
];

/// The longest name of a member is 65,535 bytes.
const LONG: usize = 60_000;

fn names() -> impl Iterator<Item = String> {
    let short = NASTY.iter().map(|nasty| format!("a{nasty}b"));
    let long = [
        "\u{1b}",
        "\nINJECTED",
        "\u{9b}",
        "\u{202e}",
        "\"",
        "x",
        "\u{e9}",
    ];
    short.chain(long.map(|nasty| nasty.repeat(LONG / nasty.len())))
}

/// What was said, and how often.
#[derive(Default)]
struct Said {
    messages: usize,
    longest: usize,
}

impl Said {
    fn check(&mut self, text: &str) {
        self.messages += 1;
        self.longest = self.longest.max(text.len());
        let start: String = text.chars().take(300).collect();
        assert!(text.len() <= 4096, "{} bytes: {start:?}", text.len());
        let acts = |c: char| {
            c.is_control() && c != '\n'
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
                || matches!(c, '\u{2066}'..='\u{2069}' | '\u{e0000}'..='\u{e007f}')
        };
        assert!(!text.contains(acts), "{start:?}");
        assert!(!text.contains("\nINJECTED"), "{start:?}");
    }

    fn shown(&mut self, thing: &impl Debug) {
        self.check(&format!("{thing:?}"));
        self.check(&format!("{thing:#?}"));
    }

    fn error(&mut self, error: &(dyn StdError + 'static)) {
        self.check(&error.to_string());
        self.check(&format!("{error:?}"));
        if let Some(error) = error.downcast_ref::<burn_npy::Error>() {
            self.check(error.message());
        }
        if let Some(source) = error.source() {
            self.error(source);
        }
    }

    fn refused<T>(&mut self, result: Result<T>) {
        let Err(error) = result else {
            panic!("it was not refused");
        };
        self.error(&error);
    }
}

fn archive(path: &Path, arrays: &[(String, usize)]) {
    let mut npz = NpzWriter::create(path).unwrap();
    for (name, rows) in arrays {
        npz.add(name, &Array1::from_elem(*rows, 1.0_f32)).unwrap();
    }
    npz.finish().unwrap();
}

/// A `.npy` file with this dictionary as its header.
fn npy(dictionary: &str, data: usize) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x03\x00".to_vec();
    bytes.extend((dictionary.len() as u32).to_le_bytes());
    bytes.extend(dictionary.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

fn header(descr: &str) -> String {
    format!("{{'descr': {descr}, 'fortran_order': False, 'shape': (1,)}}")
}

#[test]
fn members_with_hostile_names_are_told_of_in_short_and_printable_messages() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npz");
    let mut said = Said::default();
    for name in names() {
        let other = format!("y{name}");
        let both = [(name.clone(), 3), (other.clone(), 4)];
        archive(&path, &both);
        said.refused(NpyDataset::open(&path));
        said.refused(NpyDataset::from_npz(&path, [&name, &other]));
        said.refused(NpyDataset::from_npz(
            &path,
            [(&name, &name), (&name, &name)],
        ));
        let npz = Npz::open(&path).unwrap();
        said.shown(&npz);
        said.refused(npz.array("z"));
        said.refused(npz.array(&format!("{name}z")));
        said.refused(npz.header(&format!("{name}z")));
        // A name in front of the data that is not that of the directory.
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[30] = b'_';
        let npz = Npz::from_bytes(bytes, OpenOptions::new()).unwrap();
        said.refused(npz.array(&name));
        // A damaged array.
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[30 + name.len() + 4 + 128 + 3] ^= 1;
        let npz = Npz::from_bytes(bytes, OpenOptions::new()).unwrap();
        said.refused(npz.array(&name));
        said.refused(npz.verify_all());

        // One array, and one without rows.
        let mut npz = NpzWriter::create(&path).unwrap();
        npz.add(&name, &Array0::from_elem((), 1_i32)).unwrap();
        said.refused(npz.add(&name, &Array0::from_elem((), 1_i32)));
        npz.finish().unwrap();
        said.refused(NpyDataset::open(&path));
        said.refused(NpyDataset::from_npz(&path, [&name]));
    }
    let path = dir.path().join("many.npz");
    for name in names() {
        // Many, of which all, some or none have the same number of rows.
        for (count, rows) in [(30, [3, 3]), (30, [3, 4])] {
            let name = |i| format!("{}{i}", name.strip_suffix('b').unwrap_or(&name));
            let arrays: Vec<_> = (0..count).map(|i| (name(i), rows[i % 2])).collect();
            archive(&path, &arrays);
            match NpyDataset::open(&path) {
                Ok(dataset) => {
                    said.shown(&dataset);
                    said.refused(dataset.select(["z"]));
                }
                Err(error) => said.error(&error),
            }
            said.refused(Npz::open(&path).unwrap().array("z"));
        }
    }
    println!("{} messages, at most {} bytes", said.messages, said.longest);
}

#[test]
fn columns_with_hostile_names_are_told_of_in_short_and_printable_messages() {
    let dir = tempfile::tempdir().unwrap();
    let mut said = Said::default();
    for name in names() {
        let (name, other) = (&*name, &*format!("y{name}"));
        let table = Array2::from_elem((5, 2).f(), 1.5_f64);
        let dataset = NpyDataset::from_arrays([
            (name, Array::from(table)),
            (other, Array1::from_elem(5, 7_i64).into()),
        ])
        .unwrap();
        said.shown(&dataset);
        said.shown(&dataset.row(0));
        said.refused(NpyDataset::from_arrays([
            (name, Array::from(vec![1, 2])),
            (other, Array::from(vec![1])),
        ]));
        said.refused(dataset.select([name, name]));
        said.refused(dataset.select(["z"]));
        said.refused(dataset.rename(name, other));
        said.refused(dataset.rename(&format!("{name}z"), "z"));
        said.refused(dataset.reshape(name, &[3]));
        said.refused(dataset.reshape(name, &[1; 5000]));
        said.refused(dataset.windows(Windows::new(6)));
        said.refused(dataset.windows(Windows::new(2).group_by(format!("{name}z"))));
        said.refused(dataset.join("z", [name, other]));
        said.refused(dataset.join(other, [name]));
        said.refused(dataset.permute(name, &[1; 5000]));
        said.refused(dataset.reinterpret(name, DType::BF16));
        said.refused(dataset.convert(other, Convert::to::<i32>().scale(0.5)));
        said.refused(dataset.split_column(name, [(other, 0)]));
        said.refused(dataset.split_column(name, [(other, 1..9)]));
        said.refused(dataset.read::<f32>(name));
        said.refused(dataset.row(0).get::<f32>(other));
        said.refused(dataset.row(0).value(&format!("{name}z")));
        said.shown(
            &dataset
                .reshape(name, &[&[1; 5000][..], &[2]].concat())
                .unwrap(),
        );

        let builder = DataLoaderBuilder::new(NpyBatcher::<Tensor<1>>::new().with_columns([name]));
        said.refused(builder.try_build(dataset.clone()));
        let builder = DataLoaderBuilder::new(NpyBatcher::<Tensor<1>>::new().with_columns([other]));
        said.refused(builder.try_build(dataset.clone()));
        let builder = DataLoaderBuilder::new(NpyBatcher::<Tensor<1>>::new());
        said.refused(builder.try_build(dataset.clone()));
        let builder = DataLoaderBuilder::new(NpyBatcher::<Tensor<1>>::new().with_columns(["z"]));
        said.refused(builder.try_build(dataset.clone()));

        let batcher = NpyBatcher::<(Tensor<2>, Tensor<1, Int>)>::new();
        let build = |dataset: NpyDataset| {
            DataLoaderBuilder::new(batcher.clone())
                .try_build(dataset)
                .unwrap()
        };
        let loader = build(dataset.clone());
        assert_eq!(loader.report().scattered(), [name]);
        said.check(&loader.report().to_string());
        let renamed = dataset.rename(name, "z").unwrap();
        said.refused(build(renamed).resume(&loader.state()));
        // A row that cannot be converted.
        let halves = dataset.convert(name, Convert::to::<i64>()).unwrap();
        let batcher = NpyBatcher::<Tensor<2, Int>>::new().with_columns([name]);
        let loader = DataLoaderBuilder::new(batcher).try_build(halves).unwrap();
        said.error(&loader.iter().next().unwrap().unwrap_err());
        said.error(&loader.batch_at(0, 0).unwrap_err());

        // Names that came from a user, and paths.
        said.refused(name.parse::<DType>());
        said.refused(name.parse::<Shard>());
        let file = dir.path().join(name);
        said.refused(NpyDataset::open(&file));
        said.refused(Npz::open(&file));
        said.refused(write_npy(
            dir.path().join("none").join(name),
            &Array1::<u8>::zeros(1),
        ));
        if name.len() < 100 && write_npy(&file, &Array1::from_elem(3, 1.5_f32)).is_ok() {
            let dataset = NpyDataset::open(&file).unwrap();
            said.shown(&dataset);
            said.refused(dataset.reshape(dataset.columns().next().unwrap().0, &[7]));
            std::fs::write(&file, b"\x1b[31m is no .npy file").unwrap();
            said.refused(dataset.verify());
            said.refused(NpyDataset::open(&file));
        }
    }
    println!("{} messages, at most {} bytes", said.messages, said.longest);
}

#[test]
fn hostile_headers_are_told_of_in_short_and_printable_messages() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npy");
    let limits = Limits::new().header_bytes(1 << 20);
    let mut said = Said::default();
    let mut headers: Vec<String> = Vec::new();
    for text in names() {
        // A backslash and quotes as Python has them; the rest as it is.
        let text = text
            .replace('\\', "\\\\")
            .replace('\'', "\\'")
            .replace('\n', "\\n");
        let fields = |dtype: &str| {
            let field = |i| format!("('{text}{i}', '{dtype}')");
            let count = if text.len() > 1000 { 3 } else { 40 };
            (0..count).map(field).collect::<Vec<_>>().join(", ")
        };
        headers.extend([
            header(&format!("'{text}'")),
            header(&format!("'{text}")),
            header(&format!("[('{text}', '<f4'), ('{text}', '<f4')]")),
            header(&format!("[('{text}', 'x')]")),
            header(&format!("[('{text}', [('{text}', [('{text}', 'x')])])]")),
            header(&format!("[('{text}', '|V2')]")),
            header(&format!("[{}]", fields("<f4"))),
            header(&format!("[{}]", fields("|V2"))),
            header(&text),
            header(&format!("np.{text}")),
            format!("{{'{text}': 1}}"),
            format!("{{'descr': '<f4', '{text}': 1}}"),
            format!("{}{text}", header("'<f4'")),
            text,
        ]);
    }
    let axes = "1, ".repeat(64);
    let more = "1, ".repeat(5000);
    let deep = "[('f', ".repeat(32) + "'<f4'" + &format!(", ({axes}))]").repeat(32);
    let zeros = "0".repeat(50_000);
    let big = format!("{},", usize::MAX / 2);
    headers.extend([
        header("'<f4'").replace("(1,)", &format!("({more})")),
        header("'<f4'").replace("(1,)", &format!("({axes})")),
        header("'<f4'").replace("(1,)", &format!("({})", "9,".repeat(20))),
        header("'<f4'").replace("(1,)", &format!("(0, {})", big.repeat(63))),
        header("'<f4'").replace("(1,)", &format!("({zeros}1,)")),
        header("'<f4'").replace("(1,)", &format!("(-{zeros}1,)")),
        header(&format!("'|V{zeros}'")),
        header(&format!("'|V{zeros}3'")),
        header(&format!("'|S{zeros}0'")),
        header(&format!("[('x', '<f4', ({more}))]")),
        header(&format!("[('x', '|V3', ({axes}))]")),
        header(&deep),
        "(".repeat(200),
    ]);
    for header in &headers {
        for data in [0, 1 << 12] {
            let bytes = npy(header, data);
            std::fs::write(&path, &bytes).unwrap();
            let options = OpenOptions::new().limits(limits);
            for options in [OpenOptions::new(), options] {
                match NpyDataset::open_with(&path, options.clone()) {
                    Ok(dataset) => said.shown(&dataset),
                    Err(error) => said.error(&error),
                }
                let array = match Array::open_with(&path, options) {
                    Ok(array) => array,
                    Err(error) => {
                        said.error(&error);
                        continue;
                    }
                };
                for result in [
                    array.field("z").map(drop),
                    Column::new(array.clone()).map(drop),
                ] {
                    if let Err(error) = result {
                        said.error(&error);
                    }
                }
                if let Err(error) = array.reinterpret(DType::F64) {
                    said.error(&error);
                }
            }
        }
    }
    println!("{} messages, at most {} bytes", said.messages, said.longest);
}
