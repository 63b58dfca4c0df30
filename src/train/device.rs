use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tch::{Cuda, Device};

use super::{TrainError, cuda_library};

/// Where to train: `auto`, `cpu`, `cuda` or `cuda:N`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The first GPU where CUDA works, else the CPU.
    Auto,
    /// The CPU.
    Cpu,
    /// This GPU, or not at all.
    Cuda(usize),
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceChoice::Auto => f.write_str("auto"),
            DeviceChoice::Cpu => f.write_str("cpu"),
            DeviceChoice::Cuda(0) => f.write_str("cuda"),
            DeviceChoice::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let choice = match text {
            "auto" => Some(DeviceChoice::Auto),
            "cpu" => Some(DeviceChoice::Cpu),
            "cuda" => Some(DeviceChoice::Cuda(0)),
            _ => text
                .strip_prefix("cuda:")
                .and_then(|index| index.parse().ok())
                .map(DeviceChoice::Cuda),
        };
        choice.ok_or_else(|| {
            format!("\"{text}\" is no device; \"auto\", \"cpu\", \"cuda\" or \"cuda:N\" is right")
        })
    }
}

impl Serialize for DeviceChoice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DeviceChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// Makes the device ready. Call it before the first tensor is made: libtorch looks for CUDA only once.
///
/// # Errors
/// CUDA is asked for and does not work: what is missing, and how to get it. There is no falling back but with
/// [`DeviceChoice::Auto`], which logs why.
pub fn open_device(choice: DeviceChoice) -> Result<Device, TrainError> {
    match choice {
        DeviceChoice::Cpu => Ok(Device::Cpu),
        DeviceChoice::Cuda(index) => open_cuda(choice, index),
        DeviceChoice::Auto => Ok(open_cuda(choice, 0).unwrap_or_else(|error| {
            match error {
                // No GPU, or the light libtorch on a machine without one: nothing is wrong.
                TrainError::NoCudaDriver { .. } | TrainError::NoCudaLibrary { .. } => {
                    tracing::info!(reason = %error, "training on the CPU");
                }
                _ => tracing::warn!(reason = %error, "training on the CPU though there may be a GPU"),
            }
            Device::Cpu
        })),
    }
}

fn open_cuda(choice: DeviceChoice, index: usize) -> Result<Device, TrainError> {
    let device = choice.to_string();
    let library = match cuda_library::path() {
        Ok(path) => path,
        Err(reason) => return Err(TrainError::NoLibtorch { device, reason }),
    };
    if !library.exists() {
        return Err(TrainError::NoCudaLibrary { device, library });
    }
    if let Err(reason) = cuda_library::driver() {
        return Err(TrainError::NoCudaDriver { device, reason });
    }
    if let Err(reason) = cuda_library::open(&library) {
        return Err(TrainError::CudaLibraryBroken {
            device,
            library,
            reason,
        });
    }
    let found = if Cuda::is_available() {
        Cuda::device_count()
    } else {
        0
    };
    if index as i64 >= found {
        return Err(TrainError::NoSuchGpu { device, found });
    }
    Ok(Device::Cuda(index))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_written_as_they_are_read() {
        for text in ["auto", "cpu", "cuda", "cuda:3"] {
            assert_eq!(text.parse::<DeviceChoice>().unwrap().to_string(), text);
        }
        for text in ["gpu", "cuda:", "cuda:-1", "CPU", ""] {
            let told = text.parse::<DeviceChoice>().unwrap_err();
            assert!(told.contains("\"cuda:N\""), "{told}");
        }
    }

    #[test]
    fn cuda_that_is_not_there_is_an_error_that_says_what_is_missing() {
        match open_device(DeviceChoice::Cuda(99)) {
            Ok(device) => panic!("{device:?} cannot be"),
            Err(error) => {
                let told = error.to_string();
                assert!(told.starts_with("train.device is \"cuda:99\", but "), "{told}");
                let names_the_way = ["scripts/setup", "install the driver", "nvidia-smi"];
                assert!(names_the_way.iter().any(|way| told.contains(way)), "{told}");
            }
        }
    }

    #[test]
    fn the_cuda_part_is_looked_for_beside_the_libtorch_in_use() {
        let path = cuda_library::path().unwrap();
        assert!(
            path.with_file_name("libtorch_cpu.so").exists(),
            "{}",
            path.display()
        );
    }
}
