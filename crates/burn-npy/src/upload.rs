//! The upload of a column to the device.
//!
//! A device with memory of its own, or on another machine, gets rows of bytes as they are stored,
//! a quarter of their size as `f32`, and converts them. Its arithmetic may round in another way, so
//! it does none: the host converts the 256 values of a byte, and the device looks the results up.
//! Where the device has no 8-bit type, as with WGSL, four bytes are uploaded as one 32-bit integer.
//!
//! `Device::staging` is not used: wgpu has none, and answers that only after a wait for its thread;
//! for CUDA it is one more copy in the thread that uploads.

use std::any::Any;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use burn::backend::{Backend, Dispatch};
use burn::tensor::kind::{Basic, TensorKind};
use burn::tensor::{
    AllocationProperty, Bytes, DType as TensorDType, Device, Int, IntDType, Shape, Tensor,
    TensorData,
};
use burn_npy_core::internal::{self, ByteTable, Draws};
use burn_npy_core::{Error, ErrorKind, Result, file::Column};

use crate::BatchInfo;
use crate::dtype::tensor_dtype;
use crate::layout::BatchColumn;
use crate::loader::guarded;
use crate::pool::Pool;

/// The smallest stored row, in bytes, that the device converts. For labels it gains nothing.
const MIN_ROW_BYTES: usize = 64;
/// How many bytes are packed into one integer.
const PACKED: usize = 4;
/// How many values a byte has.
const BYTES: usize = 256;

/// The memory of one tensor of a batch, on its way to the device.
#[derive(Debug)]
pub struct Upload {
    data: UploadData,
    /// The conversion on the device and the shape of its result; `None` if the data is the tensor.
    lut: Option<(Arc<DeviceLut>, Shape)>,
}

#[derive(Debug)]
enum UploadData {
    Host(TensorData),
    /// Rows of a column that is on the device.
    Resident(Arc<ResidentColumn>, Tensor<1, Int>),
}

impl Upload {
    /// How many bytes go to the device.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        match &self.data {
            UploadData::Host(data) => data.bytes().len(),
            UploadData::Resident(..) => 0,
        }
    }

    /// Some rows of a column that is on the device.
    pub(crate) fn resident(column: Arc<ResidentColumn>, rows: Tensor<1, Int>) -> Self {
        let [count] = rows.dims();
        let lut = column.lut.clone();
        let shape = std::iter::once(count).chain(column.row_shape.iter().copied());
        Self {
            lut: lut.map(|lut| (lut, shape.collect())),
            data: UploadData::Resident(column, rows),
        }
    }

    /// The tensor, on the device that the batch was gathered for.
    ///
    /// # Panics
    ///
    /// Panics if the data has another rank or kind.
    pub(crate) fn into_tensor<const D: usize, K>(self, device: &Device) -> Tensor<D, K>
    where
        K: Basic + TensorKind + 'static,
    {
        match (self.data, self.lut) {
            (UploadData::Host(data), None) => {
                let dtype = data.dtype();
                Tensor::from_data(data, (device, dtype))
            }
            (UploadData::Host(data), Some((lut, shape))) => {
                let dtype = data.dtype();
                let stored = Tensor::from_data(data, (device, dtype));
                lut.on(device).look_up(stored, shape)
            }
            (UploadData::Resident(column, rows), None) => {
                let [count] = rows.dims();
                let shape = std::iter::once(count).chain(column.row_shape.iter().copied());
                let shape: Shape = shape.collect();
                column.on::<K>(device).select(0, rows).reshape(shape)
            }
            (UploadData::Resident(column, rows), Some((lut, shape))) => {
                let stored = column.on::<Int>(device).select(0, rows);
                lut.on(device).look_up(stored.flatten(0, 1), shape)
            }
        }
    }
}

impl From<TensorData> for Upload {
    /// Data that is uploaded as it is.
    fn from(data: TensorData) -> Self {
        Self {
            data: UploadData::Host(data),
            lut: None,
        }
    }
}

/// All rows of a column, on one device from the first batch on.
#[derive(Debug)]
pub(crate) struct ResidentColumn {
    /// `[rows, stored numbers of a row]`, until it is on the device.
    data: Mutex<Option<TensorData>>,
    bytes: usize,
    row_shape: Vec<usize>,
    lut: Option<Arc<DeviceLut>>,
    /// A `Tensor<2, K>`.
    on_device: OnceLock<Box<dyn Any + Send + Sync>>,
}

impl ResidentColumn {
    /// Gathers the rows of a column: bytes that the device converts, or else numbers.
    pub(crate) fn new(
        narrow: &BatchColumn,
        converted: &BatchColumn,
        rows: &[usize],
    ) -> Result<Self> {
        // A row of packed bytes is whole integers.
        let packs = |lut: &Arc<DeviceLut>| lut.takes_rows(narrow.column.row_bytes());
        let lut = narrow.lut.clone().filter(packs);
        let column = if lut.is_some() { narrow } else { converted };
        let row_bytes = column.column.row_bytes();
        let mut buffer = Arc::<Pool>::default().take(rows.len() * row_bytes)?;
        column.gather_into(rows, Draws::default(), buffer.as_mut_slice())?;
        let bytes = Bytes::from_shared(buffer.into_shared(), AllocationProperty::Other);
        let dtype = match &lut {
            Some(lut) if lut.packed => TensorDType::I32,
            Some(_) => TensorDType::U8,
            None => column.dtype,
        };
        let shape = [rows.len(), row_bytes / dtype.size()];
        Ok(Self {
            bytes: bytes.len(),
            data: Mutex::new(Some(TensorData::from_bytes(bytes, shape, dtype))),
            row_shape: column.column.row_shape().to_vec(),
            lut,
            on_device: OnceLock::new(),
        })
    }

    /// The size of the column on the device.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    fn on<K: Basic + TensorKind + 'static>(&self, device: &Device) -> Tensor<2, K> {
        let upload = || -> Box<dyn Any + Send + Sync> {
            let data = self.data.lock().unwrap_or_else(PoisonError::into_inner);
            let data = { data }.take().expect("it is uploaded once");
            let dtype = data.dtype();
            Box::new(Tensor::<2, K>::from_data(data, (device, dtype)))
        };
        let tensor = self.on_device.get_or_init(upload);
        let tensor: Option<&Tensor<2, K>> = tensor.downcast_ref();
        tensor.expect("a column is of one kind").clone()
    }
}

/// Row numbers on a device.
pub(crate) fn select(rows: Vec<i32>, device: &Device) -> Tensor<1, Int> {
    let shape = [rows.len()];
    Tensor::from_data(TensorData::new(rows, shape), (device, TensorDType::I32))
}

/// The conversion of a column of bytes as a look-up table, for one device.
#[derive(Debug)]
pub(crate) struct DeviceLut {
    table: ByteTable,
    dtype: TensorDType,
    /// Whether four bytes are uploaded as one integer.
    packed: bool,
    /// An [`LutCache`], made for the first batch.
    on_device: OnceLock<Box<dyn Any + Send + Sync>>,
}

impl DeviceLut {
    /// The table of a column, if the device should convert it.
    pub(crate) fn of(column: &Column, device: &Device) -> Result<Option<Self>> {
        let stored = column.clone().unconverted().row_bytes();
        if stored < MIN_ROW_BYTES || stored >= column.row_bytes() || !has_own_memory(device) {
            return Ok(None);
        }
        // A server of Burn 0.22 fails at a cast of integers, which a tensor of bytes needs.
        let name = Dispatch::name(device.as_dispatch());
        let packed = is_remote(&name) || !device.supports_dtype(TensorDType::U8);
        Self::new(column, packed)
    }

    fn new(column: &Column, packed: bool) -> Result<Option<Self>> {
        let dtype = tensor_dtype(column.dtype())?;
        Ok(internal::byte_table(column)?.map(|table| Self {
            table,
            dtype,
            packed,
            on_device: OnceLock::new(),
        }))
    }

    /// The size of the memory that is uploaded for `bytes` bytes.
    pub(crate) fn buffer_len(&self, bytes: usize) -> usize {
        if self.packed {
            bytes.next_multiple_of(PACKED)
        } else {
            bytes
        }
    }

    /// Whether bytes can be uploaded from where they lie.
    pub(crate) fn takes(&self, bytes: &[u8]) -> bool {
        let is_aligned = bytes.as_ptr().align_offset(PACKED) == 0;
        !self.packed || is_aligned && bytes.len().is_multiple_of(PACKED)
    }

    /// Whether each of many rows can be selected on the device.
    fn takes_rows(&self, row_bytes: usize) -> bool {
        !self.packed || row_bytes.is_multiple_of(PACKED)
    }

    /// The upload of rows of bytes that become a tensor of this shape.
    pub(crate) fn upload(self: &Arc<Self>, bytes: Bytes, shape: Shape) -> Upload {
        let len = bytes.len();
        let (len, dtype) = if self.packed {
            (len / PACKED, TensorDType::I32)
        } else {
            (len, TensorDType::U8)
        };
        Upload {
            data: UploadData::Host(TensorData::from_bytes(bytes, [len], dtype)),
            lut: Some((self.clone(), shape)),
        }
    }

    fn on<K: Basic + TensorKind + 'static>(&self, device: &Device) -> &LutCache<K> {
        self.on_device
            .get_or_init(|| Box::new(LutCache::<K>::new(self, device)))
            .downcast_ref()
            .expect("a column is of one kind")
    }
}

/// The table as tensors on the device.
struct LutCache<K: Basic + TensorKind> {
    /// The results for each byte, channel by channel.
    values: Tensor<2, K>,
    /// The shift of a packed integer for each of its bytes.
    shifts: Option<Tensor<2, Int>>,
    /// How many neighbours belong to the same channel.
    inner: usize,
}

impl<K: Basic + TensorKind> LutCache<K> {
    fn new(lut: &DeviceLut, device: &Device) -> Self {
        let table = &lut.table;
        let values = TensorData::from_bytes_vec(
            table.values.as_slice().to_vec(),
            [table.channels, BYTES],
            lut.dtype,
        );
        // The first byte is the lowest: no device is big-endian.
        let shifts = || Tensor::from_data([[0, 8, 16, 24]], (device, TensorDType::I32));
        Self {
            values: Tensor::from_data(values, (device, lut.dtype)),
            shifts: lut.packed.then(shifts),
            inner: table.inner,
        }
    }

    fn look_up<const D: usize>(&self, uploaded: Tensor<1, Int>, shape: Shape) -> Tensor<D, K> {
        let count = shape.num_elements();
        let bytes = match &self.shifts {
            Some(shifts) => {
                let [words] = uploaded.dims();
                let words = uploaded.reshape([words, 1]);
                let bytes = words.bitwise_right_shift(shifts.clone());
                let bytes = bytes.bitwise_and_scalar(0xff).flatten(0, 1);
                if bytes.dims() == [count] {
                    bytes
                } else {
                    bytes.narrow(0, 0, count)
                }
            }
            None => uploaded.cast(IntDType::I32),
        };
        let values = self.values.clone();
        match values.dims()[0] {
            1 => values.flatten::<1>(0, 1).select(0, bytes).reshape(shape),
            channels => {
                let runs = count / (channels * self.inner);
                let bytes = bytes.reshape([runs, channels, self.inner]);
                // `expand` copies nothing.
                let values = values.unsqueeze::<3>().expand([runs, channels, BYTES]);
                values.gather(2, bytes).reshape(shape)
            }
        }
    }
}

/// Whether uploads to a device go over a bus or a network: true for CubeCL's devices except its
/// CPU, and for remote devices. Backends on the CPU use the host's memory, and too little is known
/// of others.
///
/// It goes by the name, which works whichever backends are compiled in.
pub(crate) fn has_own_memory(device: &Device) -> bool {
    let name = Dispatch::name(device.as_dispatch());
    is_remote(&name) || name.contains("cubecl<") && !name.contains("cubecl<cpu")
}

fn is_remote(name: &str) -> bool {
    name.contains("router<remote")
}

/// Whether a remote device is there. Burn itself sends tensors to one that is gone without an error
/// and panics when one is read. Another device is always there.
///
/// A session with a remote device that has ended stays so: a device that is connected anew is
/// another one, so what is kept of tensors on a device is not used with another server.
///
/// # Errors
///
/// [`ErrorKind::Io`] if the device does not answer.
pub(crate) fn check_there(device: &Device) -> Result<()> {
    let name = Dispatch::name(device.as_dispatch());
    if !is_remote(&name) {
        return Ok(());
    }
    let reason = match guarded("device", || device.sync()) {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => error.to_string(),
        Err(failure) => failure.message,
    };
    let reason = Vec::from_iter(reason.split_whitespace()).join(" ");
    let message = format!(
        "the remote device {device:?} does not answer: {reason}; if its server has ended, start \
         this program again, or connect with another credential, since Burn opens a session once"
    );
    Err(Error::new(ErrorKind::Io, message))
}

/// Asks before the first batch of a pass whether the device is there, since asking takes the time
/// of all that it still has to do.
pub(crate) fn check_first(device: &Device, batch: &BatchInfo) -> Result<()> {
    match batch.is_first {
        true => check_there(device),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use burn_npy_core::ndarray::Array3;
    use burn_npy_core::{Array, Convert, DType};

    use super::*;
    const ROWS: [usize; 3] = [3, 0, 2];

    fn column<T>(shape: (usize, usize, usize), convert: &Convert, of: fn(usize) -> T) -> Column
    where
        T: burn_npy_core::file::Element + Clone,
    {
        let array = Array3::from_shape_fn(shape, |(i, y, x)| of(i * 91 + y * 17 + x * 5));
        Column::new(Array::from(array))
            .and_then(|column| column.convert(convert.clone()))
            .unwrap()
    }

    /// The rows converted by a device, and as they are gathered.
    fn both_ways<K: Basic + TensorKind + 'static>(column: &Column, packed: bool) -> [Vec<u8>; 2] {
        let pool = Arc::new(Pool::default());
        let lut = Arc::new(DeviceLut::new(column, packed).unwrap().unwrap());
        let stored = column.clone().unconverted();
        let len = ROWS.len() * stored.row_bytes();
        let mut buffer = pool.take(lut.buffer_len(len)).unwrap();
        // What a buffer held before must not matter.
        buffer.as_mut_slice().fill(0xa5);
        stored
            .gather(&ROWS, &mut buffer.as_mut_slice()[..len])
            .unwrap();
        let mut shape = vec![ROWS.len()];
        shape.extend(column.row_shape());
        let bytes = Bytes::from_shared(buffer.into_shared(), AllocationProperty::Other);
        let upload = lut.upload(bytes, shape.clone().into());
        assert_eq!(upload.bytes(), lut.buffer_len(len));
        let tensor = upload.into_tensor::<3, K>(&Device::flex());
        assert_eq!(tensor.dims()[..], shape);
        let mut gathered = pool.take(ROWS.len() * column.row_bytes()).unwrap();
        column.gather(&ROWS, gathered.as_mut_slice()).unwrap();
        let data = tensor.into_data();
        assert_eq!(data.dtype(), tensor_dtype(column.dtype()).unwrap());
        [data.as_bytes().to_vec(), gathered.as_ref().to_vec()]
    }

    #[test]
    fn what_is_looked_up_is_what_would_have_been_gathered() {
        let float = || Convert::to::<f32>();
        let conversions = [
            float().divide(255.0),
            float().scale(0.1).offset(3.0),
            Convert::new().cast(DType::F16).divide(7.0),
            float().normalize(&[1.0, 2.0, 3.0], &[0.1, 0.3, 0.7]),
            float()
                .divide(255.0)
                .normalize_axis(1, &[0.1, 0.2, 0.3, 0.4, 0.5], &[0.3; 5]),
        ];
        for (packed, convert) in [true, false]
            .into_iter()
            .flat_map(|packed| conversions.iter().map(move |convert| (packed, convert)))
        {
            let unsigned = column((5, 3, 5), convert, |i| i as u8);
            let signed = column((5, 3, 5), convert, |i| i as i8);
            for column in [unsigned, signed] {
                let [looked_up, gathered] = both_ways::<burn::tensor::Float>(&column, packed);
                assert!(looked_up == gathered, "{packed} {convert:?}");
            }
        }
    }

    #[test]
    fn integers_are_looked_up_too() {
        for packed in [true, false] {
            let column = column((4, 2, 7), &Convert::to::<i64>(), |i| i as i8);
            let [looked_up, gathered] = both_ways::<Int>(&column, packed);
            assert!(looked_up == gathered, "{packed}");
        }
    }

    #[test]
    fn a_cpu_gets_what_it_always_got() {
        let column = column((4, 16, 16), &Convert::to::<f32>(), |i| i as u8);
        assert!(DeviceLut::of(&column, &Device::flex()).unwrap().is_none());
    }
}
