//! What each subcommand prints: `tests/cmd` has the commands with their output.
//!
//! `TRYCMD=overwrite cargo test -p burn-npy-cli --test cmd` writes the output of now there.

use std::path::Path;

use burn_npy_core::file::{NpzWriter, write_npy};
use ndarray::{Array1, Array2, Array3, Array4, ShapeBuilder, array};

/// A `.npy` file with a header of any kind.
fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}");
    let header = format!("{header:117}\n");
    let start = [
        b"\x93NUMPY\x01\x00",
        &(header.len() as u16).to_le_bytes()[..],
    ]
    .concat();
    [&start, header.as_bytes(), data].concat()
}

/// The files that the commands look at.
fn make(dir: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let path = |name: &str| dir.join(name);
    let mut table = Array2::from_shape_fn((100, 4), |(i, j)| (i as f32 - 50.0) / (j + 1) as f32);
    write_npy(path("fortran.npy"), &{
        let mut fortran = Array2::zeros((100, 4).f());
        fortran.assign(&table);
        fortran
    })?;
    write_npy(path("table.npy"), &table)?;
    table[[5, 2]] = f32::NAN;
    table[[90, 0]] = f32::INFINITY;
    let third = table.row(3).to_owned();
    table.row_mut(9).assign(&third);
    write_npy(path("bad.npy"), &table)?;
    let wide = Array2::from_shape_fn((3, 200), |(i, j)| 1000 * i as i32 + j as i32);
    write_npy(path("wide.npy"), &wide)?;
    write_npy(
        path("images.npy"),
        &Array3::from_shape_fn((4, 8, 9), |(i, j, k)| (i * j * k) as u8),
    )?;
    write_npy(
        path("rgb.npy"),
        &Array4::from_shape_fn((5, 3, 2, 2), |(_, c, ..)| c as u8),
    )?;
    write_npy(
        path("labels.npy"),
        &Array1::from_shape_fn(60, |i| (i * i % 7) as i64),
    )?;
    write_npy(path("ids.npy"), &array![i64::MAX, i64::MAX - 1, 0])?;
    write_npy(path("near.npy"), &array![1.0000001_f32, 1.0, 0.5])?;
    write_npy(path("huge.npy"), &array![u64::MAX, (1 << 53) + 1, 1 << 53])?;
    write_npy(path("empty.npy"), &Array2::<f64>::zeros((0, 3)))?;
    let mut npz = NpzWriter::create(path("parts.npz"))?;
    npz.add("x_train", &Array3::<u8>::ones((60, 2, 2)))?;
    npz.add("y_train", &Array1::from_shape_fn(60, |i| (i % 3) as u8))?;
    npz.add("x_test", &Array3::<u8>::zeros((10, 2, 2)))?;
    npz.add("fps", &ndarray::arr0(120.0))?;
    npz.finish()?;
    let mut damaged = std::fs::read(path("parts.npz"))?;
    let ones = damaged
        .windows(8)
        .position(|bytes| bytes == [1; 8])
        .ok_or("no ones")?;
    damaged[ones] = 2;
    std::fs::write(path("damaged.npz"), damaged)?;
    let people: [&[u8]; 2] = [
        b"\x01\0\0\0\0\0\x04\x40A\0\0\0d\0\0\0",
        b"\x02\0\0\0\0\0\0\x3fB\0\0\0\0\0\0\0",
    ];
    let descr = "[('id', '<i4'), ('x', '<f4'), ('name', '<U2')]";
    std::fs::write(path("people.npy"), npy(descr, "(2,)", &people.concat()))?;
    let descr = "[('name', '<U1'), ('id', '|u1')]";
    std::fs::write(path("names.npy"), npy(descr, "(1,)", b"A\0\0\0\x05"))?;
    let days = [18_262_i64, i64::MIN].map(i64::to_le_bytes).concat();
    std::fs::write(path("days.npy"), npy("'<M8[D]'", "(2,)", &days))?;
    std::fs::write(
        path("bf16.npy"),
        npy("'<V2'", "(2,)", &[0xc0, 0x3f, 0, 0xc0]),
    )?;
    let parts = [1.0_f32, -2.0, 0.5, 4.0].map(f32::to_le_bytes).concat();
    std::fs::write(path("complex.npy"), npy("'<c8'", "(2,)", &parts))?;
    std::fs::write(path("object.npy"), npy("'|O'", "(1,)", b"\x80\x04N."))?;
    std::fs::write(path("cut.npy"), npy("'<f8'", "(3,)", &[0; 20]))?;
    std::fs::write(
        path("x.idx"),
        [0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6],
    )?;
    std::fs::write(path("idx.gz"), b"\x1f\x8b\x08\0\0\0\0\0\0\x03")?;
    std::fs::write(path("raw.bin"), [1, 0, 2, 0, 3, 0, 4, 1])?;
    // An archive of compressed arrays.
    let mnist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/mnist/data/mnist.npz");
    std::fs::copy(mnist, path("mnist.npz"))?;
    std::fs::write(
        path("people.csv"),
        "age,height,weight\n33,1.75,70\n41,1.6,58\n",
    )?;
    std::fs::write(path("broken.csv"), "age,height\n33,1.75\n41,tall\n")?;
    std::fs::write(path("labels.txt"), "cat\ndog\ncat\ncat\n")?;
    Ok(())
}

#[test]
fn each_command_prints_what_its_page_says() {
    let dir = tempfile::tempdir().unwrap();
    make(dir.path()).unwrap();
    // Messages name a file as the system does.
    let real = dir.path().canonicalize().unwrap();
    // There is one test in this program.
    std::env::set_current_dir(&real).unwrap();
    let pages = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cmd/*.trycmd");
    let cases = trycmd::TestCases::new();
    cases.register_bin(
        "burn-npy",
        trycmd::schema::Bin::Path(env!("CARGO_BIN_EXE_burn-npy").into()),
    );
    cases
        .insert_var("[DIR]", real.display().to_string())
        .unwrap();
    cases.case(pages).run();
}
