//! Folders of images: each file is a row, and each folder in the folder a class.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::thread;

use burn_npy_core::internal::shown_path;
use burn_npy_core::{Error, ErrorKind};
use image::imageops::{self, FilterType};
use image::{DynamicImage, ImageDecoder, ImageReader};

/// Width and height, as in `32x24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) width: u32,
    pub(crate) height: u32,
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (width, height) = text
            .split_once('x')
            .ok_or("expected WIDTHxHEIGHT, such as 32x32")?;
        let number = |text: &str| match text.parse() {
            Ok(0) => Err("an image has pixels".to_owned()),
            Ok(number) => Ok(number),
            Err(error) => Err(format!("{text}: {error}")),
        };
        Ok(Self {
            width: number(width)?,
            height: number(height)?,
        })
    }
}

/// Images that are decoded when they are read.
#[derive(Clone, Debug)]
pub(crate) struct Images {
    files: Vec<PathBuf>,
    size: Size,
    /// Whether they have one channel, and no axis for it; otherwise they have red, green and blue.
    pub(crate) grey: bool,
    /// Whether they are brought to the size.
    resized: bool,
}

/// A folder of images.
pub(crate) struct Folder {
    pub(crate) images: Images,
    /// The classes, sorted by name, each with the number of its images; empty if the images are in
    /// the folder itself.
    pub(crate) classes: Vec<(String, usize)>,
}

fn is_image(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    ["png", "jpg", "jpeg"].contains(&&*extension.to_lowercase()) && path.is_file()
}

/// What is in a folder, sorted by name, without what is hidden.
pub(crate) fn entries(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let text = |error: std::io::Error| format!("{}: {error}", shown_path(folder));
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(text)? {
        let entry = entry.map_err(text)?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            paths.push(entry.path());
        }
    }
    paths.sort_unstable();
    Ok(paths)
}

/// Whether there are images in a folder, or in a folder in it.
pub(crate) fn are_in(folder: &Path) -> Result<bool, String> {
    for path in entries(folder)? {
        if is_image(&path) || path.is_dir() && entries(&path)?.iter().any(|path| is_image(path)) {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Folder {
    /// Finds the images and looks at the header of each.
    pub(crate) fn open(folder: &Path, size: Option<Size>, grey: bool) -> Result<Self, String> {
        let mut found = entries(folder)?;
        let mut classes = Vec::new();
        let mut files = Vec::new();
        let folders: Vec<_> = found.iter().filter(|path| path.is_dir()).cloned().collect();
        for class in folders {
            let mut images = entries(&class)?;
            images.retain(|path| is_image(path));
            if images.is_empty() {
                return Err(format!(
                    "{}: a class without .png or .jpg files",
                    shown_path(&class)
                ));
            }
            let name = class.file_name().unwrap_or_default();
            classes.push((name.to_string_lossy().into_owned(), images.len()));
            files.extend(images);
        }
        if classes.is_empty() {
            found.retain(|path| is_image(path));
            files = found;
        }
        if files.is_empty() {
            return Err(format!(
                "{}: no IDX files, no .png or .jpg files and no folders of these in the folder",
                shown_path(folder)
            ));
        }
        Ok(Self {
            images: Images::new(files, size, grey)?,
            classes,
        })
    }

    /// The class of each image, a number from 0 on.
    pub(crate) fn labels(&self) -> Vec<i64> {
        let classes = (0..).zip(&self.classes);
        classes
            .flat_map(|(label, (_, images))| std::iter::repeat_n(label, *images))
            .collect()
    }
}

impl Images {
    fn new(files: Vec<PathBuf>, size: Option<Size>, grey: bool) -> Result<Self, String> {
        let mut first: Option<Size> = None;
        let mut coloured = false;
        for file in &files {
            let look = || -> image::ImageResult<_> {
                let decoder = ImageReader::open(file)?
                    .with_guessed_format()?
                    .into_decoder()?;
                Ok((decoder.dimensions(), decoder.color_type().has_color()))
            };
            let ((width, height), has_color) =
                look().map_err(|error| format!("{}: {error}", shown_path(file)))?;
            coloured |= has_color;
            let own = Size { width, height };
            let expected = *first.get_or_insert(own);
            if size.is_none() && own != expected {
                return Err(format!(
                    "{}: {width} x {height} pixels, but {} has {} x {}; --size {}x{} resizes all",
                    shown_path(file),
                    shown_path(&files[0]),
                    expected.width,
                    expected.height,
                    expected.width,
                    expected.height
                ));
            }
        }
        let resized = size.is_some();
        let size = size.or(first).ok_or("no images")?;
        Ok(Self {
            files,
            size,
            grey: grey || !coloured,
            resized,
        })
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.files.len()
    }

    /// Height and width, and the three channels of colours.
    pub(crate) fn row_shape(&self) -> Vec<usize> {
        let mut shape = vec![self.size.height as usize, self.size.width as usize];
        if !self.grey {
            shape.push(3);
        }
        shape
    }

    /// Decodes images, on all cores.
    pub(crate) fn read(&self, rows: &[usize], out: &mut [u8]) -> burn_npy_core::Result<()> {
        let row_bytes = self.row_shape().iter().product();
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let share = rows.len().div_ceil(threads).max(1);
        thread::scope(|scope| {
            let work = rows.chunks(share).zip(out.chunks_mut(share * row_bytes));
            let workers: Vec<_> = work
                .map(|(rows, out)| {
                    scope.spawn(move || {
                        let mut images = rows.iter().zip(out.chunks_exact_mut(row_bytes));
                        images.try_for_each(|(row, out)| self.decode(&self.files[*row], out))
                    })
                })
                .collect();
            let done = workers.into_iter().map(|worker| match worker.join() {
                Ok(done) => done,
                Err(payload) => std::panic::resume_unwind(payload),
            });
            done.fold(Ok(()), Result::and)
        })
    }

    fn decode(&self, file: &Path, out: &mut [u8]) -> burn_npy_core::Result<()> {
        let decode = || -> image::ImageResult<_> {
            ImageReader::open(file)?.with_guessed_format()?.decode()
        };
        let refuse = |message: String| Error::new(ErrorKind::Io, message).in_file(file);
        let image = decode().map_err(|error| refuse(error.to_string()))?;
        let Size { width, height } = self.size;
        let own = (image.width(), image.height());
        let resize = self.resized && own != (width, height);
        let bytes = match self.grey {
            true => {
                let grey = grey(&image);
                match resize {
                    true => imageops::resize(&grey, width, height, FilterType::Triangle),
                    false => grey,
                }
                .into_raw()
            }
            false => {
                let colours = image.into_rgb8();
                match resize {
                    true => imageops::resize(&colours, width, height, FilterType::Triangle),
                    false => colours,
                }
                .into_raw()
            }
        };
        if bytes.len() != out.len() {
            return Err(refuse(format!("{} x {} pixels", own.0, own.1)));
        }
        out.copy_from_slice(&bytes);
        Ok(())
    }
}

/// Grey as in Pillow, whose weights are those of ITU-R BT.601.
fn grey(image: &DynamicImage) -> image::GrayImage {
    if !image.color().has_color() {
        return image.to_luma8();
    }
    let colours = image.to_rgb8();
    let grey = colours.pixels().map(|pixel| {
        let [red, green, blue] = pixel.0.map(u32::from);
        ((19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16) as u8
    });
    let grey = grey.collect();
    image::GrayImage::from_raw(colours.width(), colours.height(), grey).unwrap_or_default()
}
