//! Model, optimizer and loader state in one file, which is replaced in one step.
//!
//! If the parts were saved one after the other, a kill between two would leave a model of one step
//! beside the data of another: a run that resumes, and is wrong.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::optim::ModuleOptimizer;
use burn::store::ModuleRecord;
use burn::tensor::Bytes;
use burn_npy::State;

use crate::Result;

/// A line of JSON in front of the bytes of the model and the optimizer.
type Head = (usize, State, [usize; 2]);

/// A moment of a training run.
pub(crate) struct Checkpoint<M> {
    pub(crate) step: usize,
    pub(crate) model: M,
    pub(crate) optimizer: ModuleOptimizer,
    pub(crate) loader: State,
}

fn path(folder: &Path) -> PathBuf {
    folder.join("checkpoint")
}

impl<M: Module> Checkpoint<M> {
    pub(crate) fn save(self, folder: &Path) -> Result<()> {
        let model = self.model.into_record().into_bytes()?;
        let optimizer = self.optimizer.into_bytes()?;
        let head: Head = (self.step, self.loader, [model.len(), optimizer.len()]);

        let new = folder.join("checkpoint.new");
        let mut file = File::create(&new)?;
        serde_json::to_writer(&file, &head)?;
        file.write_all(b"\n")?;
        file.write_all(&model)?;
        file.write_all(&optimizer)?;
        // The file is on the disk before it is renamed, and the name before training continues.
        file.sync_all()?;
        fs::rename(new, path(folder))?;
        File::open(folder)?.sync_all()?;
        Ok(())
    }

    /// The last checkpoint in a folder, into a new model and a new optimizer; none if there is
    /// none.
    pub(crate) fn load(
        folder: &Path,
        model: M,
        optimizer: ModuleOptimizer,
    ) -> Result<Option<Self>> {
        let path = path(folder);
        if !path.exists() {
            return Ok(None);
        }
        let file = fs::read(path)?;
        let parts = || {
            let end = file.iter().position(|byte| *byte == b'\n')?;
            let head: Head = serde_json::from_slice(&file[..end]).ok()?;
            let [model, optimizer] = head.2;
            let (model, rest) = file[end + 1..].split_at_checked(model)?;
            (rest.len() == optimizer).then_some((head.0, head.1, model, rest))
        };
        let (step, loader, model_bytes, optimizer_bytes) =
            parts().ok_or("the checkpoint is not one of this example")?;
        let bytes = |bytes: &[u8]| Bytes::from_bytes_vec(bytes.to_vec());
        Ok(Some(Self {
            step,
            model: model.try_load_record(ModuleRecord::from_bytes(bytes(model_bytes))?)?,
            optimizer: optimizer.from_bytes(bytes(optimizer_bytes))?,
            loader,
        }))
    }
}
