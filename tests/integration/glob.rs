//! Everything of this crate, of Burn's prelude and of the standard library's in one file, as a
//! project may import it: no name hides another, and none is ambiguous.

use burn::prelude::*;
use burn_npy::*;
use half::f16;
use ndarray::Array1;

/// What is written of Burn's prelude: a name that two globs have is an error where it is used.
#[derive(Module, Debug)]
struct Scaled {
    factor: Tensor<1>,
}

#[derive(Config, Debug)]
struct ScaledConfig {
    #[config(default = 2.0)]
    factor: f32,
}

impl ScaledConfig {
    fn init(&self, device: &Device) -> Scaled {
        Scaled {
            factor: Tensor::<1, Float>::from_data([self.factor], device),
        }
    }
}

/// The standard library's, with two parameters.
fn parsed(text: &str) -> Result<i64, Box<dyn std::error::Error>> {
    Ok(text.parse()?)
}

fn first(dataset: &NpyDataset) -> Result<i64> {
    Ok(dataset.row(0).get::<i64>("x")?[[]])
}

fn sum(numbers: Vec<i64>) -> std::result::Result<i64, Error> {
    let numbers = numbers.into_iter().map(Ok::<i64, Error>);
    numbers
        .collect::<Result<Vec<i64>>>()
        .map(|all| all.iter().sum())
}

#[test]
fn all_globs_go_into_one_file() {
    let array = Array::from(Array1::from(vec![parsed("3").unwrap(), 4]));
    let dataset = NpyDataset::from_arrays([("x", array)]).unwrap();
    assert_eq!(first(&dataset).unwrap(), 3);
    let rows = [dataset.row(1), dataset.row(0)];
    let batcher = NpyBatcher::<Tensor<1, Int>>::new().with_columns(["x"]);
    let device = crate::cpu();
    let batch: Tensor<1, Int> = batcher.try_batch(&rows, &device).unwrap();
    assert_eq!(batch.shape(), Shape::new([2]));
    let data: TensorData = batch.clone().into_data();
    assert_eq!(sum(data.iter().collect()).unwrap(), 7);
    assert_eq!(batch.clone().slice(s![1..]).dims(), [1]);
    let is_three: Tensor<1, Bool> = batch.equal_elem(3);
    assert_eq!(is_three.into_data().iter::<i64>().sum::<i64>(), 1);
    let scaled = ScaledConfig::new().init(&device);
    assert_eq!(scaled.factor.into_scalar::<f32>().elem::<i64>(), 2);
    assert_eq!(f16::from_f32(2.0).to_f32().to_i64(), 2);

    // The names of the standard library's prelude.
    let (boxed, text, option) = (Box::new(1), String::from("1"), Some(Vec::from([1])));
    let same: Option<Vec<i32>> = option.clone().into_iter().next();
    let wide: i64 = Into::into(1_i32);
    assert_eq!(wide, 1);
    assert_eq!(
        (same, text.to_owned(), boxed.as_ref()),
        (option, "1".to_owned(), &1)
    );
    let found: Result<u8, _> = u8::try_from(300_i32);
    assert!(found.is_err() && AsRef::<str>::as_ref(&ToString::to_string(&1)) == "1");
}
