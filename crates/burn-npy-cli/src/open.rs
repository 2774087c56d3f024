//! Opens what a user names: FILE, or FILE:ARRAY.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use burn_npy_core::internal::{is_url, shown, shown_path, without_secrets};
use burn_npy_core::{
    Array, DType, Error, ErrorKind, Result,
    file::{ByteOrder, ItemKind, Limits, Npz, NumpyFile, OpenOptions, RawFormat},
};

/// How much of a compressed array is decoded into memory; a larger one goes to a temporary file.
const IN_MEMORY: u64 = 256 << 20;

/// How files are opened.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct OpenArgs {
    /// Read files without a header, such as those of tofile: their dtype, and the shape of a row
    #[arg(long, value_name = "DTYPE[,AXIS...]")]
    raw: Option<Raw>,
    /// With --raw: skip bytes at the start of a file
    #[arg(
        long,
        value_name = "BYTES",
        requires = "raw",
        default_value_t,
        hide_default_value = true
    )]
    offset: u64,
    /// Take opaque items for numbers, such as those of ml_dtypes: bfloat16, int4, float8_e4m3fn
    #[arg(long = "as", value_name = "DTYPE", value_parser = dtype)]
    dtype: Option<DType>,
    /// Decode at most so many bytes of compressed arrays [default: 4 GiB each; for inspect --json
    /// 64 MiB each, 256 MiB in all]
    #[arg(long, value_name = "BYTES")]
    pub(crate) limit: Option<u64>,
}

/// The dtype and the shape of a row, as in `float32,28,28`.
#[derive(Clone, Debug)]
struct Raw(DType, Vec<usize>);

impl OpenArgs {
    /// Whether files have no header.
    pub(crate) fn is_raw(&self) -> bool {
        self.raw.is_some()
    }
}

impl FromStr for Raw {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split(',').map(str::trim);
        let dtype = dtype(words.next().unwrap_or(""))?;
        let axes = words.map(|word| word.parse().map_err(|error| format!("{word}: {error}")));
        Ok(Self(dtype, axes.collect::<Result<_, String>>()?))
    }
}

fn dtype(name: &str) -> Result<DType, String> {
    name.parse().map_err(|error: Error| error.to_string())
}

/// What a user names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The file.
    pub(crate) file: PathBuf,
    /// An array of an archive, a field, or `array.field`.
    pub(crate) array: Option<String>,
}

impl Target {
    /// A file whose name has a colon is that file. Otherwise the name of the file ends at the first
    /// colon at which a file is found. A URL, at which nobody looks first, ends
    /// at the first colon behind `.npz` or `.npy`.
    pub(crate) fn new(named: &Path) -> Self {
        let whole = |file: &Path| Self {
            file: file.to_path_buf(),
            array: None,
        };
        let Some(text) = named.to_str().filter(|_| !named.exists()) else {
            return whole(named);
        };
        let mut parts = text.match_indices(':').map(|(at, _)| text.split_at(at));
        let is_url = is_url(named);
        let found = parts.find(|(file, _)| match is_url {
            true => file.ends_with(".npz") || file.ends_with(".npy"),
            false => Path::new(file).is_file(),
        });
        found.map_or_else(
            || whole(named),
            |(file, array)| Self {
                array: Some(array[1..].to_owned()),
                ..whole(Path::new(file))
            },
        )
    }

    /// FILE or FILE:ARRAY, as it can be shown and, mostly, given to the command again.
    pub(crate) fn label(&self, array: Option<&str>) -> String {
        let file = shown_path(&self.file);
        match array {
            Some(array) => format!("{file}:{}", shown(array)),
            None => file,
        }
    }
}

/// An open file.
#[derive(Debug)]
pub(crate) enum Source {
    /// A file with one array.
    One(Box<Array>),
    /// A `.npz` file.
    Archive(Box<Npz>),
}

/// An open file, and which of its arrays are meant.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) target: Target,
    pub(crate) source: Source,
    /// The dtype of opaque items.
    dtype: Option<DType>,
}

/// A file as JSON and code name it: a URL without what may be secret.
pub(crate) fn text(file: &Path) -> String {
    without_secrets(file).to_string_lossy().into_owned()
}

/// The default options of this program.
pub(crate) fn options() -> OpenOptions {
    OpenOptions::new().limits(Limits::new().memory_bytes(IN_MEMORY))
}

/// Opens a file.
pub(crate) fn open(named: &Path, args: &OpenArgs, mut options: OpenOptions) -> Result<Opened> {
    let target = Target::new(named);
    if let Some(bytes) = args.limit {
        options.limits = options.limits.member_bytes(bytes).total_bytes(bytes);
    }
    let source = source(&target.file, args, options)?;
    let dtype = args.dtype;
    Ok(Opened {
        target,
        source,
        dtype,
    })
}

fn source(file: &Path, args: &OpenArgs, options: OpenOptions) -> Result<Source> {
    if let Some(Raw(dtype, row_shape)) = &args.raw {
        let format = RawFormat::new(*dtype).row_shape(row_shape);
        let array = Array::open_raw_with(file, format.offset(args.offset), options)?;
        return Ok(Source::One(array.into()));
    }
    match NumpyFile::open_with(file, options.clone()) {
        Ok(NumpyFile::Npy(array)) => Ok(Source::One(array.into())),
        Ok(NumpyFile::Npz(npz)) => Ok(Source::Archive(npz.into())),
        Err(error) if error.kind() == ErrorKind::Magic => match idx(file) {
            Some(format) => {
                Array::open_raw_with(file, format, options).map(|array| Source::One(array.into()))
            }
            None => Err(error),
        },
        Err(error) => Err(error),
    }
}

/// What is in an IDX file, as MNIST comes in; `None` if it is none, or of another length than its
/// header says.
fn idx(file: &Path) -> Option<RawFormat> {
    let mut file = File::open(file).ok().filter(is_file)?;
    let len = file.metadata().ok()?.len();
    let mut magic = [0; 4];
    file.read_exact(&mut magic).ok()?;
    let [0, 0, code, axes @ 1..=8] = magic else {
        return None;
    };
    let dtype = match code {
        0x08 => DType::U8,
        0x09 => DType::I8,
        0x0b => DType::I16,
        0x0c => DType::I32,
        0x0d => DType::F32,
        0x0e => DType::F64,
        _ => return None,
    };
    let mut lengths = vec![[0; 4]; axes.into()];
    file.read_exact(lengths.as_flattened_mut()).ok()?;
    let mut shape = Vec::new();
    let mut bytes = dtype.size() as u64;
    for length in lengths {
        let length = u32::from_be_bytes(length);
        bytes = bytes.checked_mul(length.into())?;
        shape.push(usize::try_from(length).ok()?);
    }
    let start = 4 + 4 * u64::from(axes);
    let (rows, row_shape) = shape.split_first()?;
    let format = RawFormat::new(dtype).byte_order(ByteOrder::Big);
    let format = format.offset(start).rows(*rows).row_shape(row_shape);
    (start.checked_add(bytes)? == len).then_some(format)
}

fn is_file(file: &File) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.is_file())
}

impl Opened {
    /// The names of the arrays that are meant: `None` for that of a file with one.
    pub(crate) fn names(&self) -> Vec<Option<String>> {
        match (&self.target.array, &self.source) {
            (Some(name), _) => vec![Some(name.clone())],
            (None, Source::One(_)) => vec![None],
            (None, Source::Archive(npz)) => npz.names().iter().cloned().map(Some).collect(),
        }
    }

    /// One of the arrays.
    pub(crate) fn array(&self, name: Option<&str>) -> Result<Array> {
        let array = match (&self.source, name) {
            (Source::One(array), None) => (**array).clone(),
            (Source::One(array), Some(name)) => field(array, name)?,
            (Source::Archive(npz), name) => of_archive(npz, name.unwrap_or(""))?,
        };
        match (self.dtype, array.item().kind()) {
            (Some(dtype), ItemKind::Opaque(_)) => array.reinterpret(dtype),
            _ => Ok(array),
        }
    }

    /// FILE or FILE:ARRAY.
    pub(crate) fn label(&self, name: Option<&str>) -> String {
        self.target.label(name)
    }
}

/// An array of an archive, or a field of one, as `array.field`.
fn of_archive(npz: &Npz, name: &str) -> Result<Array> {
    let is_array = |name: &str| npz.names().iter().any(|known| known == name);
    if is_array(name) {
        return npz.array(name);
    }
    let mut dots = name.match_indices('.').map(|(at, _)| name.split_at(at));
    match dots.find(|(array, _)| is_array(array)) {
        Some((array, rest)) => field(&npz.array(array)?, &rest[1..]),
        // Its error lists the arrays.
        None => npz.array(name),
    }
}

/// A field, or a field of a field as `outer.inner`.
fn field(array: &Array, name: &str) -> Result<Array> {
    let fields = array.fields().into_iter();
    let found = fields.into_iter().find(|(field, _)| field == name);
    found.map_or_else(|| array.field(name), |(_, field)| Ok(field))
}

/// Adds the file and the name of an array to an error.
pub(crate) fn locate(array: &Array, mut error: Error) -> Error {
    if let Some(name) = array.member() {
        error = error.in_array(name);
    }
    match array.file() {
        Some(file) => error.in_file(file),
        None => error,
    }
}

/// The array, or its fields, with their names in the file.
pub(crate) fn parts(name: Option<&str>, array: &Array) -> Vec<(Option<String>, Array)> {
    if array.item().fields().is_empty() {
        return vec![(name.map(str::to_owned), array.clone())];
    }
    let inside = |field: String| match name {
        Some(name) => format!("{name}.{field}"),
        None => field,
    };
    let fields = array.fields().into_iter();
    fields
        .map(|(field, array)| (Some(inside(field)), array))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colon_separates_an_array_unless_it_is_in_the_name_of_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("a.npz"), b"").unwrap();
        std::fs::write(path("b:x"), b"").unwrap();
        for (named, file, array) in [
            ("a.npz", "a.npz", None),
            ("a.npz:x", "a.npz", Some("x")),
            ("a.npz:x:y", "a.npz", Some("x:y")),
            ("b:x", "b:x", None),
            ("b:x:y", "b:x", Some("y")),
            ("no:x", "no:x", None),
        ] {
            let expected = Target {
                file: path(file),
                array: array.map(str::to_owned),
            };
            assert_eq!(Target::new(&path(named)), expected);
        }
    }

    #[test]
    fn the_array_of_a_url_is_behind_the_ending() {
        for (named, file, array) in [
            ("https://h:1/a.npz", "https://h:1/a.npz", None),
            ("https://h:1/a.npz:x", "https://h:1/a.npz", Some("x")),
            ("hf://o/n@v:2/a.npy:x:y", "hf://o/n@v:2/a.npy", Some("x:y")),
            ("https://h/a.npz?b=c:d", "https://h/a.npz?b=c:d", None),
        ] {
            let expected = Target {
                file: file.into(),
                array: array.map(str::to_owned),
            };
            assert_eq!(Target::new(Path::new(named)), expected);
        }
    }

    #[test]
    fn an_idx_file_is_as_long_as_its_header_says() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let header = [0, 0, 0x0b, 2, 0, 0, 0, 2, 0, 0, 0, 1];
        for (numbers, fits) in [(&[0, 1, 2, 3][..], true), (&[0, 1, 2], false)] {
            std::fs::write(&path, [&header[..], numbers].concat()).unwrap();
            let args = OpenArgs {
                raw: None,
                offset: 0,
                dtype: None,
                limit: None,
            };
            let opened = open(&path, &args, options());
            assert_eq!(opened.is_ok(), fits);
            if let Ok(opened) = opened {
                let values = opened.array(None).unwrap().read::<i16>().unwrap();
                assert_eq!(values, ndarray::array![[1], [0x203]].into_dyn());
            }
        }
    }
}
