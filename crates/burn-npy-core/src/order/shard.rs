//! The part of each epoch that one of several processes gets.

use std::ffi::OsString;
use std::fmt;
use std::str::FromStr;

use crate::{Error, ErrorKind, Result};

/// The variables with which launchers give a process its rank and the number of ranks: torchrun and
/// similar ones, Slurm, Open MPI, and MPICH with its derivatives.
const LAUNCHERS: [[&str; 2]; 4] = [
    ["RANK", "WORLD_SIZE"],
    ["SLURM_PROCID", "SLURM_NTASKS"],
    ["OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"],
    ["PMI_RANK", "PMI_SIZE"],
];

/// One of several processes that share each epoch. [`Plan::shard`](crate::Plan::shard) gives its
/// batches.
///
/// # Example
///
/// ```
/// # extern crate burn_npy_core as burn_npy;
/// use burn_npy::order::Shard;
///
/// # fn main() -> burn_npy::Result<()> {
/// let shard: Shard = "1/4".parse()?;
/// assert_eq!(shard, Shard::new(1, 4)?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shard {
    index: u64,
    count: u64,
}

impl Shard {
    /// The only shard, which has the whole epoch.
    pub const WHOLE: Self = Self { index: 0, count: 1 };

    /// Shard `index`, counted from 0, of `count`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] if the index is not below the count.
    pub fn new(index: u64, count: u64) -> Result<Self> {
        if index >= count {
            return Err(usage(format!("shard {index} of {count}")));
        }
        Ok(Self { index, count })
    }

    /// The shard of this process, from the environment variables of its launcher: `RANK` and
    /// `WORLD_SIZE`, `SLURM_PROCID` and `SLURM_NTASKS`, `OMPI_COMM_WORLD_RANK` and
    /// `OMPI_COMM_WORLD_SIZE`, or `PMI_RANK` and `PMI_SIZE`. It is [`WHOLE`](Self::WHOLE) if none
    /// is set.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`], with a message that names the variables, for
    ///
    /// * a value that is not a number;
    /// * a rank that is not below the number of ranks;
    /// * one variable of a pair without the other, if no pair is complete;
    /// * pairs that contradict each other, as when one launcher runs inside another. Unset one
    ///   pair, or call [`new`](Self::new).
    pub fn from_env() -> Result<Self> {
        Self::from_lookup(|name| std::env::var_os(name))
    }

    fn from_lookup(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Self> {
        let mut found: Option<(Self, [&str; 2])> = None;
        let mut incomplete = None;
        for names in LAUNCHERS {
            let [rank, size] = names;
            let (index, count) = match [lookup(rank), lookup(size)] {
                [None, None] => continue,
                [Some(index), Some(count)] => (number(rank, index)?, number(size, count)?),
                [Some(_), None] => {
                    incomplete.get_or_insert([rank, size]);
                    continue;
                }
                [None, Some(_)] => {
                    incomplete.get_or_insert([size, rank]);
                    continue;
                }
            };
            if index >= count {
                return Err(usage(format!("{rank} is {index}, but {size} is {count}")));
            }
            let shard = Self { index, count };
            match found {
                Some((other, [other_rank, other_size])) if other != shard => {
                    return Err(usage(format!(
                        "{other_rank} and {other_size} are {other}, \
                         but {rank} and {size} are {shard}; unset one pair"
                    )));
                }
                _ => found = Some((shard, names)),
            }
        }
        match (found, incomplete) {
            (Some((shard, _)), _) => Ok(shard),
            (None, Some([set, missing])) => {
                Err(usage(format!("{set} is set, but {missing} is not")))
            }
            (None, None) => Ok(Self::WHOLE),
        }
    }

    /// The index of the shard, counted from 0.
    pub fn index(self) -> u64 {
        self.index
    }

    /// The number of shards.
    pub fn count(self) -> u64 {
        self.count
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

/// Parses the index and the count, as in `1/4`.
impl FromStr for Shard {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let numbers = text
            .split_once('/')
            .and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
        let (index, count) =
            numbers.ok_or_else(|| usage(format!("{text:?} is not a shard like 1/4")))?;
        Self::new(index, count)
    }
}

fn number(name: &str, value: OsString) -> Result<u64> {
    let number = value.to_str().and_then(|value| value.parse().ok());
    number.ok_or_else(|| usage(format!("{name} is {value:?}, expected a number")))
}

fn usage(message: String) -> Error {
    Error::new(ErrorKind::Usage, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(variables: &[(&str, &str)]) -> std::result::Result<String, String> {
        let lookup = |name: &str| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| OsString::from(value))
        };
        match Shard::from_lookup(lookup) {
            Ok(shard) => Ok(shard.to_string()),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Usage);
                Err(error.to_string())
            }
        }
    }

    #[test]
    fn launchers_are_known() {
        for [rank, size] in LAUNCHERS {
            assert_eq!(from(&[(rank, "3"), (size, "8")]), Ok("3/8".to_owned()));
        }
        assert_eq!(from(&[]), Ok("0/1".to_owned()));
        // A second pair that agrees, and an incomplete one, are accepted.
        let all = [
            ("RANK", "1"),
            ("WORLD_SIZE", "2"),
            ("PMI_RANK", "1"),
            ("PMI_SIZE", "2"),
            ("SLURM_PROCID", "0"),
        ];
        assert_eq!(from(&all), Ok("1/2".to_owned()));
    }

    #[test]
    fn contradictory_variables_are_an_error_that_names_them() {
        for (variables, message) in [
            (&[("RANK", "1")][..], "RANK is set, but WORLD_SIZE is not"),
            (&[("PMI_SIZE", "1")], "PMI_SIZE is set, but PMI_RANK is not"),
            (
                &[("RANK", "one"), ("WORLD_SIZE", "2")],
                "RANK is \"one\", expected a number",
            ),
            (
                &[("RANK", "0"), ("WORLD_SIZE", "")],
                "WORLD_SIZE is \"\", expected a number",
            ),
            (
                &[("SLURM_PROCID", "-1"), ("SLURM_NTASKS", "2")],
                "SLURM_PROCID is \"-1\", expected a number",
            ),
            (
                &[("RANK", "2"), ("WORLD_SIZE", "2")],
                "RANK is 2, but WORLD_SIZE is 2",
            ),
            (
                &[
                    ("RANK", "1"),
                    ("WORLD_SIZE", "2"),
                    ("SLURM_PROCID", "0"),
                    ("SLURM_NTASKS", "2"),
                ],
                "RANK and WORLD_SIZE are 1/2, but SLURM_PROCID and SLURM_NTASKS are 0/2; \
                 unset one pair",
            ),
        ] {
            assert_eq!(from(variables), Err(message.to_owned()));
        }
    }

    #[test]
    fn shards_are_read_and_written() {
        assert_eq!("3/8".parse::<Shard>().unwrap().to_string(), "3/8");
        for text in ["", "3", "8/8", "1/0", "-1/2", "1/2/3", "a/b"] {
            let error = text.parse::<Shard>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{text}");
        }
    }
}
