//! Maps NumPy's dtypes to Burn's, and checks which of them a device supports.

use burn::tensor::kind::Kind;
use burn::tensor::{BoolStore, DType as TensorDType, Device};
use burn_npy_core::internal::literal;
use burn_npy_core::{DType, Error, ErrorKind, Result};

/// Burn's dtype for a dtype of NumPy.
pub(crate) fn tensor_dtype(dtype: DType) -> Result<TensorDType> {
    Ok(match dtype {
        DType::Bool => TensorDType::Bool(BoolStore::Native),
        DType::I8 => TensorDType::I8,
        DType::I16 => TensorDType::I16,
        DType::I32 => TensorDType::I32,
        DType::I64 => TensorDType::I64,
        DType::U8 => TensorDType::U8,
        DType::U16 => TensorDType::U16,
        DType::U32 => TensorDType::U32,
        DType::U64 => TensorDType::U64,
        DType::F16 => TensorDType::F16,
        DType::F32 => TensorDType::F32,
        DType::F64 => TensorDType::F64,
        DType::BF16 => TensorDType::BF16,
        other => {
            let instead = if other.is_float() {
                DType::F32
            } else {
                DType::I32
            };
            return Err(Error::new(
                ErrorKind::Dtype,
                format!(
                    "Burn has no tensors of {other}; convert the column, for example to {instead}"
                ),
            ));
        }
    })
}

/// The default dtype of a device for a kind of tensor.
pub(crate) fn device_dtype(kind: Kind, device: &Device) -> Result<DType> {
    let settings = device.settings();
    let dtype: TensorDType = match kind {
        Kind::Float => settings.float_dtype.into(),
        Kind::Int => settings.int_dtype.into(),
        // Burn converts bools into the type that the device stores.
        Kind::Bool => return Ok(DType::Bool),
    };
    DType::ALL
        .iter()
        .copied()
        .find(|ours| tensor_dtype(*ours).is_ok_and(|burn| burn == dtype))
        .ok_or_else(|| {
            Error::new(
                ErrorKind::Dtype,
                format!(
                    "the device's default dtype is {dtype:?}, which NumPy does not have; \
                     cast to another"
                ),
            )
        })
}

/// Checks that a column can become a tensor of a kind on a device.
pub(crate) fn check_kind(name: &str, dtype: DType, kind: Kind, device: &Device) -> Result<()> {
    let (fits, wanted, advice) = match kind {
        Kind::Float => (dtype.is_float(), "a float", "f32"),
        Kind::Int => (dtype.is_int(), "an integer", "i64"),
        Kind::Bool => (dtype == DType::Bool, "a bool", "bool"),
    };
    if !fits {
        let kind_of_column = match dtype {
            DType::Bool => "Bool",
            dtype if dtype.is_float() => "Float",
            _ => "Int",
        };
        return Err(Error::new(
            ErrorKind::Dtype,
            format!(
                "the column is {dtype}, but the batch wants {wanted} tensor: \
                 dataset.convert({}, Convert::to::<{advice}>()) makes it one, or the field of the \
                 batch can be of the kind {kind_of_column}",
                literal(name)
            ),
        ));
    }
    // Every device has a type for bools.
    if kind != Kind::Bool && !device.supports_dtype(tensor_dtype(dtype)?) {
        return Err(Error::new(
            ErrorKind::Dtype,
            format!(
                "{device:?} has no {dtype} tensors: convert the column, or leave out keep_dtypes()"
            ),
        ));
    }
    Ok(())
}
